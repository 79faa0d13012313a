"""Ledgers and rules that a user may not read or write: one sentence, the right exit code, and nothing is touched."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from tests.every_record import write_every_record
from tests.faults.commands import type_all
from tests.faults.rig import MOVES, Told
from tests.ledger.db.disks import small_disk
from tests.rule_files import rule_files
from worker.ledger.ledger import open_ledger

pytestmark = pytest.mark.slow
SOMEBODY = 12_345
Commands = tuple[tuple[str, ...], ...]
LOOKING: Commands = (("status",), ("waiting",), ("gaps",), ("brake",), ("audit", "query"), ("audit", "verify"))
CHANGING: Commands = (
    ("approve", "x", "--as", "ada"),
    ("refuse", "x", "--as", "ada"),
    ("brake", "on", "--as", "ada"),
    ("brake", "off", "--as", "ada"),
    ("run", "--once"),
)
LOADING: Commands = (("rules",), ("check",), ("run", "--once"))
BRAKING = ("brake", "on", "--rule", "moves", "--as", "ada")
HARMLESS = {0, 1}
Fault = Callable[[Path], None]


def close(mode: int, owner: int | None = None) -> Fault:
    """Return what changes the mode of a file or folder, and whose it is."""

    def act(path: Path) -> None:
        if owner is not None:
            os.chown(path, owner, owner)
        path.chmod(mode)

    return act


def inside(folder: str, fault: Fault) -> Fault:
    """Return the same for something in a folder, or for a folder above."""
    return lambda path: fault(path / folder)


UNREADABLE: dict[str, Fault] = {
    "a folder without any right": close(0o000),
    "a folder that may be listed only": close(0o444),
    "a folder above that is closed": inside("..", close(0o600)),
    "a folder of somebody else": close(0o700, SOMEBODY),
    "a file without any right": inside("worker.db", close(0o000)),
    "a file of somebody else": inside("worker.db", close(0o600, SOMEBODY)),
}
READ_ONLY: dict[str, Fault] = {
    "a file that may be read only": inside("worker.db", close(0o400)),
    "a folder that may be read only": close(0o500),
    "a file that somebody else lets everybody read": inside("worker.db", close(0o644, SOMEBODY)),
    "a folder that somebody else lets everybody read": close(0o755, SOMEBODY),
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Path]:
    """Give a ledger that holds every kind of record, in a folder of its own below another."""
    folder = tmp_path / "above" / "folder"
    folder.mkdir(parents=True)
    asyncio.run(write_every_record(f"sqlite:///{folder / 'worker.db'}"))
    yield folder / "worker.db"
    folder.parent.chmod(0o700)
    folder.chmod(0o700)


@pytest.fixture
def rules(tmp_path: Path) -> Iterator[Path]:
    """Give a folder of rules, below another."""
    folder = tmp_path / "beyond" / "rules"
    folder.mkdir(parents=True)
    yield rule_files(folder, moves=MOVES, others=MOVES.replace("moves", "others"))
    folder.parent.chmod(0o700)
    folder.chmod(0o700)


def environment(ledger: Path, rules: Path) -> dict[str, str]:
    """Return the settings of a worker that has these, and reaches nobody."""
    return {
        "CLOUDFLARE_ACCOUNT_ID": "a1",
        "CLOUDFLARE_API_TOKEN": "t0ken",
        "CLOUDFLARE_BASE_URL": "http://127.0.0.1:1/client/v4",
        "WORKER_LISTEN": "127.0.0.1:1",
        "WORKER_STORE_URL": f"sqlite:///{ledger}",
        "WORKER_RULES": str(rules),
    }


def needs_root(fault: str) -> None:
    """Skip what only root can set up."""
    if "somebody else" in fault and os.geteuid() != 0:
        pytest.skip("only root can give a file to somebody else")


def complain(told: Mapping[tuple[str, ...], Told], code: int, *words: str) -> list[str]:
    """Return each command that did not end with this code and one sentence that has these words."""
    good = {
        typed
        for typed, one in told.items()
        if (one.code, one.out, one.err.count("\n"), one.err[:8]) == (code, "", 1, "worker: ")
        and all(word in one.err for word in words)
    }
    return [f"{' '.join(typed)} → {told[typed]}" for typed in told.keys() - good]


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_ledger_that_cannot_be_read_is_named_with_what_to_do(ledger: Path, rules: Path, fault: str) -> None:
    needs_root(fault)
    UNREADABLE[fault](ledger.parent)
    told = type_all(LOOKING + CHANGING, environment(ledger, rules))
    assert complain(told, 3, str(ledger), f"uid {os.geteuid()}", "mode 0", "WORKER_STORE_URL") == []


def picture(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return what is in a folder, byte by byte, and when it was changed."""
    return {
        path.name: (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns, path.stat().st_mode)
        for path in (folder, *folder.iterdir())
    }


@pytest.mark.parametrize("fault", READ_ONLY)
def test_a_ledger_that_cannot_be_written_is_read_and_left_as_it_was(ledger: Path, rules: Path, fault: str) -> None:
    needs_root(fault)
    READ_ONLY[fault](ledger.parent)
    before = picture(ledger.parent)
    told = type_all(LOOKING + CHANGING, environment(ledger, rules))
    looked, changed = ({typed: told[typed] for typed in some} for some in (LOOKING, CHANGING))
    assert [f"{typed} → {one}" for typed, one in looked.items() if one.err or one.code not in HARMLESS] == []
    assert complain(changed, 3, f"the ledger {ledger} is read-only", "WORKER_STORE_URL") == []
    assert picture(ledger.parent) == before


def test_a_ledger_in_use_is_read_as_it_is_now_by_whom_it_lets_only_read(ledger: Path, rules: Path) -> None:
    async def look() -> tuple[Told, bool]:
        async with open_ledger(f"sqlite:///{ledger}", owner="daemon", exclusive=True) as held:
            await held.order("a1", "brake", "lane:block", "ada", "stop", 1.0)
            await held.take_orders("a1", 1.0)
            for path in ledger.parent.iterdir():
                path.chmod(0o444)
            before = picture(ledger.parent)
            told = await asyncio.to_thread(type_all, [("brake", "--json")], environment(ledger, rules))
            return told["brake", "--json"], picture(ledger.parent) == before

    told, unchanged = asyncio.run(look())
    assert ("block" in [row["lane"] for row in msgspec.json.decode(told.out)], unchanged) == (True, True)


async def test_a_copy_on_a_read_only_disk_is_read_and_orders_are_refused(
    ledger: Path, rules: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    async with small_disk(tmp_path / "disk", "size=8m") as disk:
        copy = Path(shutil.copy(ledger, disk))
        again = await asyncio.create_subprocess_exec("mount", "-o", "remount,ro", disk)
        assert await again.wait() == 0
        told = await asyncio.to_thread(type_all, LOOKING + CHANGING, environment(copy, rules), as_user=())
        assert [str(one) for typed, one in told.items() if typed in LOOKING and one.err] == []
        changed = {typed: told[typed] for typed in CHANGING}
        assert complain(changed, 3, f"the ledger {copy} is read-only", "Read-only file system") == []
        assert [path.name for path in disk.iterdir()] == [copy.name]


def test_changes_that_cannot_be_read_in_place_are_not_left_out_in_silence(ledger: Path, rules: Path) -> None:
    copy = ledger.with_name("copy.db")

    async def copy_half() -> None:
        async with open_ledger(f"sqlite:///{ledger}", owner="daemon", exclusive=True) as held:
            await held.order("a1", "brake", "", "ada", "stop", 1.0)
            shutil.copy(ledger, copy)
            shutil.copy(f"{ledger}-wal", f"{copy}-wal")

    asyncio.run(copy_half())
    ledger.parent.chmod(0o500)
    told = type_all(LOOKING, environment(copy, rules))
    assert complain(told, 3, f"{copy}-wal", "copy both files", "WORKER_STORE_URL") == []


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a closed folder", "empty"])
def test_what_is_no_ledger_is_named(ledger: Path, rules: Path, tmp_path: Path, kind: str) -> None:
    odd = tmp_path / "odd.db"
    match kind:
        case "pipe":
            os.mkfifo(odd)
        case "device":
            odd.symlink_to("/dev/null")
        case "link to a closed folder":
            odd.symlink_to(ledger)
            ledger.parent.chmod(0o000)
        case _:
            odd.touch(0o400)
    told = type_all(LOOKING, environment(odd, rules))
    assert complain(told, 3, str(odd), "WORKER_STORE_URL") == []


CLOSED: dict[str, Fault] = {
    "a folder without any right": close(0o000),
    "a folder that may be listed only": close(0o444),
    "a folder that may be searched only": close(0o111),
    "a folder above that is closed": inside("..", close(0o600)),
    "a folder of somebody else": close(0o700, SOMEBODY),
}
KEPT_BACK: dict[str, Fault] = {
    "a file without any right": inside("moves.py", close(0o000)),
    "a file of somebody else": inside("moves.py", close(0o600, SOMEBODY)),
}


@pytest.mark.parametrize("fault", CLOSED)
def test_a_rules_folder_that_cannot_be_read_is_named_and_keeps_nobody_from_braking(
    ledger: Path, rules: Path, fault: str
) -> None:
    needs_root(fault)
    CLOSED[fault](rules)
    told = type_all((*LOADING, BRAKING), environment(ledger, rules))
    assert told.pop(BRAKING).code == 0
    assert complain(told, 2, f"{rules}: cannot read the rules folder (Permission denied)", "WORKER_RULES", "uid") == []


@pytest.mark.parametrize("fault", KEPT_BACK)
def test_a_rule_file_that_cannot_be_read_is_named_itself(ledger: Path, rules: Path, fault: str) -> None:
    needs_root(fault)
    KEPT_BACK[fault](rules)
    told = type_all((*LOADING, BRAKING), environment(ledger, rules))
    assert (told.pop(BRAKING).code, checked := told.pop(("check",))) == (0, checked)
    sentence = f"{rules}/moves.py: this rule file cannot be read (Permission denied); let this user"
    assert (checked.code, checked.out.startswith(sentence), checked.out.count("\n")) == (1, True, 1)
    assert complain(told, 2, sentence) == []
