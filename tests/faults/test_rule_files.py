"""Rule files that are wrong, or misbehave, under a running daemon: the others go on, and it is said what happened."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.faults.rig import MOVES, Daemon, Rig, until, until_it
from tests.rule_files import BAD, rule_files

pytestmark = pytest.mark.slow
OTHER = MOVES.replace("moves", "other")
BROKEN = {
    "a syntax error": ("def f(:\n", "broken.py:2: this is not Python"),
    "an unknown fact": (
        OTHER.replace("(message: Message)", "(message: Message, who: str)"),
        "is not a fact; use Detection",
    ),
    "no example": (OTHER.replace("@example(sample.message(), gives=None)\n", ""), "needs an example"),
    "a name that is taken": (MOVES, "has a rule of this name"),
    "an exception": ("raise ValueError('no')\n", "it cannot be loaded: ValueError: no"),
    "an endless loop": ("while True: pass\n", "did not end within"),
    "an exit": ("import enum; enum.sys.modules['os']._exit(5)\n", "exit status 5"),
}


def problems(daemon: Daemon) -> list[str]:
    """Return why rules were refused, each time."""
    return [line["problem"] for line in daemon.events if line["event"].startswith("rules refused")]


def refused(daemon: Daemon, times: int) -> Callable[[], bool]:
    """Return what tells whether rules were refused so often."""
    return lambda: len(problems(daemon)) == times


async def test_a_broken_file_leaves_the_running_rules_and_is_told_with_its_line(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), rig.daemon() as daemon:
        await until_it(daemon.is_ready, lambda: daemon.log)
        for number, (name, (text, problem)) in enumerate(BROKEN.items(), 1):
            rule_files(rig.rules, broken=text)
            await until(refused(daemon, number), lambda: daemon.log)
            assert problem in problems(daemon)[-1], name
            rig.world.arrive(1, "outbreak")
            await until(rig.moved(number), lambda: daemon.log)
        await until(lambda: [record["verb"] for record in daemon.records].count("bundle refused") == len(BROKEN))


@pytest.mark.parametrize("broken", [name for name in BROKEN if name != "an endless loop"])
async def test_a_broken_file_keeps_a_worker_from_starting(tmp_path: Path, broken: str) -> None:
    text, problem = BROKEN[broken]
    told = await Rig(tmp_path, moves=MOVES, broken=text).command("run")
    assert (told.code, told.out) == (2, "")
    assert problem in told.err
    assert "Traceback" not in told.err


DOES = {
    "raises": "raise ValueError(message.subject)",
    "hangs": "while True: pass",
    "backtracks": "re.fullmatch('(a+)+b', 'a' * 60)",
    "exits": "os._exit(7)",
    "devours": "x = [bytes(1 << 20) for _ in range(1000)]",
}


def mishaps(rig: Rig) -> set[tuple[str, str]]:
    """Return which rules failed, and how."""
    with closing(sqlite3.connect(f"file:{rig.ledger}?mode=ro", uri=True)) as ledger:
        return set(ledger.execute("SELECT rule, problem FROM mishaps"))


async def test_a_rule_that_misbehaves_loses_its_say_and_all_others_go_on(tmp_path: Path) -> None:
    files = {name: named(name, does) for name, does in DOES.items()}
    rig = Rig(tmp_path, moves=MOVES, **files)
    async with rig.api(), rig.daemon() as daemon:
        await until_it(daemon.is_ready, lambda: daemon.log)
        mails = [rig.world.add_message(subject=f"bad {number}") for number in range(2)]
        await until(lambda: len(rig.ours()) == len(mails) and not rig.unsettled(), lambda: daemon.log)
        assert {rule for rule, _ in mishaps(rig)} == set(DOES)
        (status,) = msgspec.json.decode((await rig.command("status", "--json")).out)["accounts"]
        told = [record for record in daemon.records if record["verb"] == "rule failed"]
    assert status["rule failures"] == len(DOES) * len(mails) == len(told)
    assert len(rig.ours()) == len(set(rig.ours()))


def named(name: str, does: str) -> str:
    """Return a file with one rule that does something to mail with "bad" in its subject."""
    return BAD.replace("def bad", f"def {name}").replace("{does}", does)
