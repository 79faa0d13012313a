"""The token is in the requests and nowhere else, whatever goes wrong."""

from pathlib import Path

import msgspec
import pytest

from tests.faults.rig import TOKEN, Rig, Told, until, until_it
from tests.serving import find_children
from worker.sandbox import Faults, SandboxOptions

pytestmark = pytest.mark.slow
KEY = "an-0ld-api-key-never-to-be-seen"
ADDRESS = "json://ann:T0KEN-B@127.0.0.1:9/hook"


def children(pid: int) -> list[Path]:
    """Return the processes that a process has started."""
    return [Path("/proc") / str(child) for child in find_children(pid)]


def known_to(process: Path) -> bytes:
    """Return everything a process was given: environment, arguments, and what its descriptors are."""
    links = [str(link.readlink()).encode() for link in (process / "fd").iterdir()]
    return b"\n".join([(process / "environ").read_bytes(), (process / "cmdline").read_bytes(), *links])


def kept(folder: Path) -> bytes:
    """Return everything that lies in a folder: the database, its journal, and both outputs."""
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def leaks(*places: bytes) -> list[str]:
    """Return the secrets that are somewhere."""
    return [secret for secret in (TOKEN, KEY, "T0KEN-B") if any(secret.encode() in place for place in places)]


async def test_the_token_is_nowhere_on_the_worst_day(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.world.faults = Faults("hostile", seed=3)
    async with rig.api(), rig.daemon(WORKER_LOG_LEVEL="debug", WORKER_NOTIFY_SOC=ADDRESS) as daemon:
        rig.world.arrive(20, "outbreak")
        await until(lambda: len(rig.ours()) == 20 and not rig.unsettled(), lambda: daemon.log)
        (child,) = children(daemon.process.pid)
        own = (Path("/proc") / str(daemon.process.pid) / "cmdline").read_bytes()
        assert leaks(known_to(child), own) == []
        answer = msgspec.json.encode(await daemon.ready())
        daemon.stop()
        assert await daemon.ended() == 0
    assert leaks(kept(tmp_path), answer) == []
    assert {each.by for each in rig.world.effects if each.operation == "move"} != {TOKEN}


@pytest.mark.parametrize(
    ("told", "prefix", "options"),
    [
        ("check CLOUDFLARE_API_TOKEN", "wrong-", SandboxOptions()),
        ("subscription", "", SandboxOptions(entitled=False)),
        ("can read but not change anything", "read-", SandboxOptions()),
    ],
    ids=["a wrong token", "no subscription", "a token that may only read"],
)
async def test_a_token_that_is_refused_is_not_shown(
    tmp_path: Path, told: str, prefix: str, options: SandboxOptions
) -> None:
    rig = Rig(tmp_path)
    rig.world.options = options
    rig.environment |= {"CLOUDFLARE_API_TOKEN": prefix + TOKEN, "WORKER_LOG_LEVEL": "debug"}
    rig.world.arrive(2, "outbreak")
    async with rig.api(), rig.daemon() as daemon:
        await daemon.logged("effects are held up" if prefix == "read-" else "could not; tries again")
        asked: list[Told] = [await rig.command(*words) for words in (("check", "--live"), ("status",))]
    assert leaks(kept(tmp_path), *(f"{one.out}{one.err}".encode() for one in asked)) == []
    assert asked[0].code == 1
    assert rig.ours() == []
    assert told in daemon.log + (tmp_path / "stdout").read_text() + asked[0].out.replace("\n", " ")


async def test_an_address_and_its_key_are_kept_as_well(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    del rig.environment["CLOUDFLARE_API_TOKEN"]
    rig.environment |= {"CLOUDFLARE_EMAIL": "ann@corp.example", "CLOUDFLARE_API_KEY": KEY, "WORKER_LOG_LEVEL": "debug"}
    async with rig.api(), rig.daemon() as daemon:
        await until_it(daemon.is_ready, lambda: daemon.log)
        assert leaks(*map(known_to, children(daemon.process.pid))) == []
    assert leaks(kept(tmp_path)) == []


async def test_an_address_of_a_channel_that_nobody_knows_is_refused_without_any_part_of_it(tmp_path: Path) -> None:
    told = await Rig(tmp_path).command("run", WORKER_NOTIFY_SOC="slack://T0KEN-A/T0KEN-B/T0KEN-C")
    assert (told.code, "WORKER_NOTIFY_SOC" in told.err, "T0KEN" in told.err) == (2, True, False)
