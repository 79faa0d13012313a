"""Files that others can open are named, with what to do; what nobody else can reach is no alarm."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cells import each
from tests.daemon.bench import Bench
from tests.ledger.db.disks import small_disk
from worker.daemon import maintenance
from worker.daemon.exposure import find_exposed
from worker.settings import Settings

PARTS = ("worker.db", "worker.db-wal", "worker.db-shm", "worker.db.lock", "worker.db.0007")
SECRETS = ("secrets/cloudflare_api_token", "secrets/WORKER_NOTIFY_SOC", "accounts.toml", "audit.key")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that everybody can enter, with private files in it."""
    with tempfile.TemporaryDirectory() as place:
        found = Path(place)
        (found / "secrets").mkdir()
        for name in (*PARTS, *SECRETS, "heads.jsonl", "secrets/WORKER_CEILING"):
            (found / name).write_text("observe" if "CEILING" in name else "log://")
            (found / name).chmod(0o660)
        for each_folder in (found, found / "secrets"):
            each_folder.chmod(0o755)
        yield found


def settings(folder: Path) -> Settings:
    return Settings.load({
        "WORKER_STORE_URL": f"sqlite:///{folder}/worker.db",
        "WORKER_SECRETS": str(folder / "secrets"),
        "WORKER_ACCOUNTS": str(folder / "accounts.toml"),
        "WORKER_AUDIT_KEY": str(folder / "audit.key"),
        "WORKER_AUDIT_HEADS": str(folder / "heads.jsonl"),
    })  # fmt: skip


def test_private_files_are_no_alarm(folder: Path) -> None:
    assert list(find_exposed(settings(folder))) == []


@each("name", [*PARTS, *SECRETS])
@each("right", [0o004, 0o002])
def test_a_file_that_others_can_open_is_named_with_its_mode(folder: Path, name: str, right: int) -> None:
    (folder / name).chmod(0o660 | right)
    (told,) = find_exposed(settings(folder))
    (folder / name).chmod(0o660)
    assert f"{folder / name} (066{right})" in told
    assert ("secrets of the worker" in told, "chmod o-rw" in told) == (name in SECRETS, True)


def test_heads_may_be_read_and_not_written_and_a_setting_that_is_no_secret_is_no_matter(folder: Path) -> None:
    for name in ("heads.jsonl", "secrets/WORKER_CEILING"):
        (folder / name).chmod(0o644)
    assert list(find_exposed(settings(folder))) == []
    (folder / "heads.jsonl").chmod(0o622)
    assert "which prove nothing then" in "".join(find_exposed(settings(folder)))


@pytest.mark.parametrize("closed", [0o700, 0o750])
def test_what_others_cannot_reach_is_no_alarm(folder: Path, closed: int) -> None:
    for name in (*PARTS, *SECRETS):
        (folder / name).chmod(0o666)
    folder.chmod(closed)
    assert list(find_exposed(settings(folder))) == []


def test_a_second_name_of_the_ledger_is_told(folder: Path) -> None:
    (folder / "other.db").hardlink_to(folder / "worker.db")
    assert [f"{folder}/worker.db has 2 names" in told for told in find_exposed(settings(folder))] == [True]


@pytest.mark.slow
@pytest.mark.parametrize(("access", "alarms"), [("ro", 0), ("rw", 1)])
async def test_a_secret_as_kubernetes_mounts_it_is_no_alarm(folder: Path, access: str, alarms: int) -> None:
    async with small_disk(folder / "secrets", "mode=755") as disk:
        (disk / "..2026").mkdir()
        (disk / "..data").symlink_to("..2026")
        (disk / "..data" / "CLOUDFLARE_API_TOKEN").write_text("t0ken")
        (disk / "..data" / "CLOUDFLARE_API_TOKEN").chmod(0o644)
        (disk / "CLOUDFLARE_API_TOKEN").symlink_to("..data/CLOUDFLARE_API_TOKEN")
        again = await asyncio.create_subprocess_exec("mount", "-o", f"remount,{access}", disk)
        assert await again.wait() == 0
        assert len(list(find_exposed(settings(folder)))) == alarms


@pytest.mark.slow
async def test_it_is_a_warning_until_the_mode_is_mended(bench: Bench, folder: Path) -> None:
    (folder / "worker.db").unlink()
    async with bench.app(WORKER_STORE_URL=f"sqlite:///{folder}/worker.db") as app:
        (folder / "worker.db").chmod(0o644)
        await app.begin()
        exposed = f"{folder}/worker.db (0644)"
        assert [exposed in warning for warning in app.check_readiness().warnings] == [True]
        assert [line["level"] for line in bench.told() if exposed in str(line["event"])] == ["warning"]
        (folder / "worker.db").chmod(0o640)
        await maintenance.look_at_files(app)
        assert app.check_readiness().warnings == ()
