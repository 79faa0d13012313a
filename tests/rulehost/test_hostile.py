"""Hostile pull requests against a daemon: what is tried, and that nothing comes of it."""

import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from msgspec import json

from tests.rulehost.attacked import SECRET, Outcome
from tests.rulehost.attacks import Attack, read_attacks
from worker.walls import WALLS, Wall

pytestmark = pytest.mark.slow
ATTACKS = {f"{one.area}: {one.name}": one for one in read_attacks()}
ALLOWED = {("good", "OBSERVE", ("Move",)), ("bad", "OBSERVE", ("Move",))}
"""What the two rules may do: both only observe, and both only return Move."""
STALL = 0.05
HARMFUL = {"signals", "ptrace"}
"""Areas that are not tried without walls, because they could end these tests."""
NOT_TOLD = {
    "processes: become a program",  # nobody is left who could tell
    "processes: clone by its number",  # the copy and the original tell it on one line
    "sockets: io_uring",  # many machines forbid it to all
    "ctypes: outlive the daemon",  # it has not died yet
    "import: a library of its own",  # it is none
    "sockets: hand on a descriptor",  # it spoils the line on which it would tell
}


def attack(walls: Iterable[str], names: Iterable[str] = ()) -> dict[str, Outcome]:
    """Attack a daemon behind these walls, and return what each attack came to."""
    with TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 (ours)
            [sys.executable, "-m", "tests.rulehost.attacked", folder, ",".join(walls), *names],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"CLOUDFLARE_API_TOKEN": SECRET},
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()  # the daemon lives
    return {one.name: one for one in (json.decode(line, type=Outcome) for line in done.stdout.splitlines())}


@cache
def behind_all() -> dict[str, Outcome]:
    """Try everything once behind all walls."""
    return attack(WALLS)


def test_fifty_hostile_pull_requests_come_to_nothing() -> None:
    outcomes = behind_all()
    print_table(outcomes.values())
    assert outcomes.keys() == ATTACKS.keys()
    assert len(outcomes) >= 50
    assert [one.name for one in outcomes.values() if one.got or SECRET in one.said] == []
    assert [one.name for one in outcomes.values() if one.sent] == []
    assert [one.name for one in outcomes.values() if one.left] == []
    assert [one.name for one in outcomes.values() if find_effects(one) - ALLOWED] == []
    assert find_stalls(outcomes.values()) == []


def find_stalls(outcomes: Iterable[Outcome]) -> list[tuple[str, float]]:
    """Return the attacks that stall the loop, and for how long, each time they are tried.

    A process is started in a thread, but Python goes on only when that process has had a processor. On a busy machine
    this may take long once in a while.
    """
    names = [one.name for one in outcomes if one.stalled > STALL]
    again = attack(WALLS, names).values() if names else ()
    return [(one.name, one.stalled) for one in again if one.stalled > STALL]


def find_effects(outcome: Outcome) -> set[tuple[str, str, tuple[str, ...]]]:
    """Return what came through, each kind once."""
    return {(rule, mode, tuple(actions)) for rule, mode, actions in outcome.effects}


@pytest.mark.parametrize("name", [name for name, one in ATTACKS.items() if not one.early])
def test_the_other_rules_keep_their_say(name: str) -> None:
    outcome = behind_all()[name]
    assert outcome.keys == ["1", "2", "3", "4"]
    heard = [effect for effect in outcome.effects if effect[0] == "good"]
    spoilt = ATTACKS[name].area in {"monkeypatch", "frames of Python"}  # both rules share a process
    assert len(heard) == 4 or spoilt


def test_a_file_that_attacks_while_it_is_loaded_is_refused_with_its_name() -> None:
    for name, one in ATTACKS.items():
        if one.early:
            assert "bad.py" in behind_all()[name].said, name


@pytest.mark.parametrize("wall", [wall for wall in WALLS if any(wall in one.walls for one in ATTACKS.values())])
def test_each_wall_stops_by_itself_what_it_is_there_for(wall: Wall) -> None:
    names = [name for name, one in ATTACKS.items() if wall in one.walls]
    outcomes = attack(("no_new_privileges", wall), names)
    print_table(outcomes.values())
    assert [one.name for one in outcomes.values() if one.got or one.sent or one.left] == []


def test_without_walls_the_attacks_get_what_they_want() -> None:
    tried = [name for name, one in ATTACKS.items() if can_be_tried(name, one)]
    outcomes = attack(["exposed"], tried)
    print_table(outcomes.values())
    failed = [one.name for one in outcomes.values() if not (one.got or one.sent or one.left)]
    assert [name for name in failed if name not in NOT_TOLD] == []


def can_be_tried(name: str, attack: Attack) -> bool:
    """Tell whether an attack that a wall stops harms nobody but the daemon of the test."""
    return bool(attack.walls) and attack.area not in HARMFUL and name != "processes: become a program"


def print_table(outcomes: Iterable[Outcome]) -> None:
    """Print what each attack came to."""
    print(f"\n{'attack':52} got sent left  stall  what it was told")  # noqa: T201 (its product)
    for one in outcomes:
        told = " ".join(one.said.split())[:70]
        row = f"{one.name:52} {one.got:3} {one.sent:4} {one.left:4} {1000 * one.stalled:3.0f} ms  {told}"
        print(row)  # noqa: T201
