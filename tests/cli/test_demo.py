"""The demo and the sandbox, as processes of their own."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from tests.serving import passed_on
from tests.surface import HELD, hold, list_keys
from worker.cli.demo_world import take_percentile
from worker.settings import Settings

pytestmark = pytest.mark.slow  # it starts a server

ROOT = Path(__file__).parents[2]


async def start(*words: str, folder: Path = ROOT, **settings: str) -> asyncio.subprocess.Process:
    """Start a command with these settings and no others."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "worker",
        *words,
        env=passed_on() | settings,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def read_exports(sandbox: asyncio.subprocess.Process) -> dict[str, str]:
    """Return the settings that a sandbox prints for a shell."""
    assert sandbox.stdout
    lines = [(await sandbox.stdout.readline()).decode() for _ in range(4)]
    return dict(re.findall(r"^export (\w+)=(.+)$", "".join(lines), re.MULTILINE))


@pytest.mark.slow
@pytest.mark.unmeasured
async def test_the_demo_proves_everything_it_did() -> None:
    process = await start("demo", "--json")
    out, err = await process.communicate()
    figures = msgspec.json.decode(out)
    hold("--json", {"worker demo": HELD["--json"]["worker demo"]}, {"worker demo": list_keys(figures)})
    assert 1000 < figures["new messages"] < 1500 < figures["messages read"]  # a granted verdict is news
    assert (process.returncode, err) == (0, b"")
    left = figures["unproved senders waiting"], figures["known senders waiting"]
    assert min(figures["senders blocked"], *left) >= 4
    assert (figures["repeated effects"], figures["left in inboxes"], figures["open gaps"]) == (0, 0, 0)
    assert {kind for kind, states in figures["entries"].items() if "done" in states} == {
        "AllowSender",
        "BlockSender",
        "Move",
        "Notify",
        "Reclassify",
        "Release",
    }
    assert min(figures["verdicts granted"], figures["verdicts rejected"]) > 0
    asked = sum(figures[f"verdicts {told}"] for told in ("granted", "rejected", "undecided"))
    assert sum(figures["entries"]["Reclassify"].values()) == asked
    taken_back = {kind: states for kind, states in figures["entries"].items() if "later" in states}
    assert {kind: set(states) for kind, states in taken_back.items()} == {"Disallow": {"later"}, "Unblock": {"later"}}


@pytest.mark.parametrize(("words", "told"), [((), 2), (("--serve",), 1)])
async def test_a_demo_that_is_stopped_says_that_its_figures_are_not_final(words: tuple[str, ...], told: int) -> None:
    process = await start("demo", *words, WORKER_LISTEN="127.0.0.1:0")
    assert process.stderr
    lines = [await process.stderr.readline() for _ in range(told)]
    assert lines[0] == b"the account holds 1,000 messages of the last hour\n"
    assert all(line == b"an outbreak arrives: 100 of 400 messages\n" for line in lines[1:])
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    assert process.returncode == 1
    assert out.startswith(b"Stopped before the outbreak was over; the figures are not final.\n")
    assert b"\nactions not proved" in out
    assert all(words not in out for words in (b"One message", b"\nNext:", b"Still running"))


async def test_a_demo_without_rules_says_what_to_do(tmp_path: Path) -> None:
    process = await start("demo", folder=tmp_path)
    _, err = await process.communicate()
    assert process.returncode == 2
    assert b"run the demo in the repository, or set WORKER_RULES" in err


async def test_the_sandbox_tells_the_settings_that_reach_it() -> None:
    process = await start("sandbox", "--port", "0", "--messages", "7", "--arrivals", "0/s", "--quota", "none")
    assert process.stdout
    settings = Settings.load(await read_exports(process))
    url = settings.base_url.removesuffix("/client/v4")
    async with ClientSession() as web, web.get(f"{url}/_sandbox/messages") as answer:
        assert sum(bool(mail["kind"]) for mail in await answer.json()) == 7
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


async def test_a_port_that_is_taken_is_an_option_to_change() -> None:
    first = await start("sandbox", "--port", "0")
    assert first.stdout
    port = (await first.stdout.readline()).decode().partition("127.0.0.1:")[2].partition("/")[0]
    second = await start("sandbox", "--port", port)
    _, err = await second.communicate()
    first.send_signal(signal.SIGINT)
    await first.communicate()
    assert second.returncode == 2
    assert f"port {port} is in use: choose another with --port" in err.decode()


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (take_percentile(values, 50), take_percentile(values, 99)) == (50, 99)
    assert (take_percentile([7.0], 99), take_percentile([], 50)) == (7, 0)
