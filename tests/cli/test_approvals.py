"""Deciding about what waits for a person: no more is decided than was shown."""

import asyncio
import os
import pty
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import pytest

from tests.cli.shell import Shell
from tests.ledger.desk import ME, Desk
from worker.cli import context
from worker.language.actions import AnyAction, BlockSender, Move, Release
from worker.ledger.decided import DECIDED
from worker.ledger.entries import Draft
from worker.ledger.ledger import open_ledger
from worker.ledger.records import NewRecord
from worker.ledger.values import Page

SPENT = "the limit of r is spent: 2 per 1 hour"
DESK = Desk()
HOSTILE = "\x1b[2J\u202einvoice" + "x" * 5000


def waits(*drafts: Draft, seconds: float = 600.0) -> None:
    """Make a ledger in which these effects have waited for so long."""

    async def enter() -> None:
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
            await ledger.enter(Page(account=ME, now=time.time() - seconds, source="messages", drafts=drafts))

    asyncio.run(enter())


def draft(message: str, item: str, action: AnyAction | None = None, **more: object) -> Draft:
    """Return an effect that waits under an item."""
    told: dict[str, Any] = {"state": "waiting", "item": item, "why_waiting": SPENT, "subject": HOSTILE, **more}
    return DESK.draft(action or Move("DeletedItems"), message, **told)


@pytest.fixture
def queue(shell: Shell) -> Shell:
    """Give a shell in whose ledger a queue of 45 mails waits, and a single one."""
    waits(*(draft(f"m{n}", "limit/r/1") for n in range(45)), draft("m99", "alone", Release()))
    return shell


@contextmanager
def terminal(patch: pytest.MonkeyPatch, typed: bytes) -> Iterator[None]:
    """Let a person sit at a terminal who types this."""
    keyboard, screen = pty.openpty()
    os.write(keyboard, typed)
    with os.fdopen(screen) as stdin, patch.context() as patched:
        patched.setattr(sys, "stdin", stdin)
        yield
    os.close(keyboard)


@pytest.mark.parametrize(
    ("typed", "words", "ordered"),
    [
        (b"y\n", (), True),
        (b"n\n", (), False),
        (b"\x04", (), False),
        (b"n\n", ("--yes",), True),
    ],
    ids=["yes", "no", "goes away", "is not to be asked"],
)
def test_a_person_is_asked_before_several_are_decided(
    queue: Shell, monkeypatch: pytest.MonkeyPatch, typed: bytes, words: tuple[str, ...], *, ordered: bool
) -> None:
    (some, *_) = [row["id"] for row in queue.json("waiting") if row["item"] == "limit/r/1"]
    with terminal(monkeypatch, typed):
        code, out, _ = queue.type("refuse", some, *words)
    assert (out.count("Move DeletedItems"), "40 more of 45" in out) == ((0, False) if words else (5, True))
    question, answer = (
        "Refuse all 45 entries of this decision? [y/N]",
        "Refused all 45 entries of this decision. A running",
    )
    assert (code, answer in out, "nothing was refused" in out) == (0, ordered, not ordered)
    assert (question in out) == (not words)


@pytest.mark.parametrize(
    ("changed", "told"),
    [("m7", "Approved all 45 entries of rule r."), ("m%", "nothing of this waits any more as it was shown")],
)
def test_what_asks_something_else_by_the_time_of_the_answer_is_not_approved(
    queue: Shell, monkeypatch: pytest.MonkeyPatch, changed: str, told: str
) -> None:
    def ask(_: str) -> bool:
        with closing(sqlite3.connect(queue.folder / "worker.db")) as ledger, ledger:
            ledger.execute("UPDATE entries SET waits_since = waits_since + 1 WHERE target LIKE ?", (changed,))
        return True

    monkeypatch.setattr(context, "confirm", ask)
    with terminal(monkeypatch, b""):
        _, out, problem = queue.type("approve", "--rule", "r", "--as", "ada")
    assert told in out + problem
    act(take=True)
    left = [row["target"] for row in queue.json("waiting")]
    assert left == ["m7"] if changed == "m7" else len(left) == 46


def test_nobody_is_asked_about_a_single_one_or_in_a_script(queue: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone,) = [row["id"] for row in queue.json("waiting") if row["item"] == "alone"]
    with terminal(monkeypatch, b"n\n"):
        assert queue.type("approve", alone)[1] == f"Approved. {context.PICKED_UP}\n"
    assert queue.type("refuse", "--rule", "r")[1] == f"Refused all 45 entries of rule r. {context.PICKED_UP}\n"


def test_a_group_covers_what_was_shown_and_nothing_that_came_later(queue: Shell) -> None:
    (group,) = re.findall(r"^\w+\+44 ", queue.type("waiting")[1], re.MULTILINE)
    assert queue.type("waiting", group.strip(), "--limit", "2")[1].count("Move DeletedItems") == 2
    waits(draft("late", "limit/r/1"), seconds=10)
    assert queue.type("approve", group.strip(), "--as", "ada")[1].startswith("Approved all 45 entries of this group. ")
    act(take=True)
    assert [row["target"] for row in queue.json("waiting")] == ["late", "m99"]
    assert "nothing is waiting for" in queue.type("approve", group.strip(), "--as", "ada")[2]


def ask_anew(shell: Shell, target: str, seconds: int) -> None:
    """Let something wait for another reason since a later moment, as when a limit is spent."""
    with closing(sqlite3.connect(shell.folder / "worker.db")) as ledger, ledger:
        change = "UPDATE entries SET waits_since = waits_since + ?, said = ? WHERE target = ?"
        ledger.execute(change, (seconds, f"somebody moved it {seconds}", target))


@pytest.mark.parametrize("changed", ["m1", "EMAIL:a@evil.example"], ids=["itself", "what belongs to it"])
@pytest.mark.parametrize("before", [0, 7], ids=["as entered", "changed before"])
def test_what_asks_something_else_than_was_shown_under_its_id_is_not_approved(
    shell: Shell, changed: str, before: int
) -> None:
    waits(draft("m1", "one"), draft("m1", "one", BlockSender("a@evil.example")))
    ask_anew(shell, changed, before)
    (shown,) = {row["decide"] for row in shell.json("waiting")}
    ask_anew(shell, changed, 40)
    code, _, err = shell.type("approve", shown, "--as", "ada")
    assert (code, f"what {shown} waits for has changed: somebody moved it 40" in err) == (1, True)
    (now,) = re.findall(r"type (\w{26}@\d+)", err)
    assert now in shell.type("waiting")[1]
    assert shell.type("approve", now, "--as", "ada")[1].startswith("Approved all 2 entries of this decision. ")


def test_a_group_of_which_the_newest_asks_something_else_is_not_approved(queue: Shell) -> None:
    (group,) = re.findall(r"^\w+\+44 ", queue.type("waiting")[1], re.MULTILINE)
    (newest,) = [row["target"] for row in queue.json("waiting") if row["id"] == group[:26]]
    ask_anew(queue, newest, 3)
    code, _, err = queue.type("approve", group.strip(), "--as", "ada")
    assert (code, "has changed: somebody moved it 3; look at `worker waiting` again\n" in err) == (1, True)


def test_the_id_of_a_decision_covers_what_waited_by_then(shell: Shell) -> None:
    for number, seconds in enumerate((600, 500, 400)):
        waits(draft(f"m{number}", "limit/r/1"), seconds=seconds)
    (shown,) = [row["decide"] for row in shell.json("waiting") if row["target"] == "m1"]
    assert shell.type("waiting", shown)[1].count("Move DeletedItems") == 2
    assert shell.type("approve", shown, "--as", "ada")[1].startswith("Approved all 2 entries of this decision. ")
    act(take=True)
    assert [row["target"] for row in shell.json("waiting")] == ["m2"]


def test_a_group_that_was_narrowed_down_is_not_decided_without_the_same_options(shell: Shell) -> None:
    waits(*(draft(f"m{n}", f"i{n}", sender=f"a@{'x' if n < 2 else 'y'}.example") for n in range(9)))
    (group,) = re.findall(r"^\w+\+1 ", shell.type("waiting", "--sender", "x.example")[1], re.MULTILINE)
    code, _, err = shell.type("approve", group.strip(), "--as", "ada")
    assert (code, "was shown with 2 decisions, and 2 are" in err, "the options with which" in err) == (2, False, True)
    _, out, _ = shell.type("approve", group.strip(), "--sender", "x.example", "--as", "ada")
    assert out.startswith("Approved all 2 entries of this group, sender x.example. ")
    assert shell.type("refuse", "--subject", "INVOICE", "--recipient", "corp.example")[1].startswith(
        "Refused all 7 ent"
    )


def act(*, started: str = "", take: bool = False) -> None:
    """Do what a daemon does: put its start on record, or take up the orders of people."""

    async def work() -> None:
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
            if started:
                await ledger.write(ME, [NewRecord("started", {"ceiling": started})], time.time())
            if take:
                await ledger.take_orders(ME, time.time())

    asyncio.run(work())


@pytest.mark.slow
@pytest.mark.parametrize("taken", [False, True], ids=["written", "taken up"])
@pytest.mark.parametrize("by", ["id", "item", "rule"])
@pytest.mark.parametrize(("first", "then"), [(one, other) for one in DECIDED for other in DECIDED])
def test_what_is_decided_is_not_decided_again_and_it_is_told_by_whom_and_when(
    shell: Shell, first: str, then: str, by: str, *, taken: bool
) -> None:
    waits(draft("m1", "one"))
    (row,) = shell.json("waiting")
    words = ("--rule", "r") if by == "rule" else (row[by],)
    assert shell.type(first, *words, "--as", "a\x1bda")[0] == 0
    act(take=taken)
    code, out, err = shell.type(then, *words, "--as", "ben")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert re.search(rf"a\\u001Bda {DECIDED[first]} it \d+s ago", err)


@pytest.mark.parametrize("by", ["id", "item"])
@pytest.mark.parametrize(
    ("state", "said"),
    [("lapsed", "nobody decided in time, so it lapsed 5m"), ("moot", "it is moot 5m"), ("sent", "it is sent")],
)
def test_what_nobody_can_decide_about_any_more_is_a_finding_that_says_why(
    shell: Shell, by: str, state: str, said: str
) -> None:
    waits(draft("m1", "one"))
    (row,) = shell.json("waiting")
    ended = 0.0 if state == "sent" else time.time() - 300
    with closing(sqlite3.connect(shell.folder / "worker.db")) as ledger, ledger:
        ledger.execute("UPDATE entries SET state = ?, settled_at = ?", (state, ended))
    code, _, err = shell.type("approve", row[by], "--as", "ada")
    assert (code, err.startswith(f"worker: nothing is waiting for '{row[by]}': {said}")) == (1, True)


def test_an_id_that_nothing_has_is_wrong_usage(queue: Shell) -> None:
    for name in ("06HX2K4M9Q0000000000000001", "06HX2K4M9Q0000000000000001+4", "one"):
        assert queue.type("approve", name, "--as", "ada")[::2] == (
            2,
            f"worker: nothing is waiting for '{name}': `worker waiting` lists what is\n",
        )


def test_an_approval_that_waits_for_its_turn_is_not_given_twice_and_may_be_taken_back(shell: Shell) -> None:
    waits(draft("m1", "first", state="ready"), draft("m1", "second", Move("JunkEmail")))
    (row,) = shell.json("waiting")
    shell.type("approve", row["id"], "--as", "ada")
    act(take=True)
    code, _, err = shell.type("approve", row["id"], "--as", "ben")
    assert (code, bool(re.search(r"ada approved it \d+s ago, and it takes place once", err))) == (1, True)
    assert shell.type("refuse", row["id"], "--as", "ben")[0] == 0


def test_a_decision_about_a_rule_leaves_out_what_is_decided_already(queue: Shell) -> None:
    (alone,) = [row["id"] for row in queue.json("waiting") if row["item"] == "alone"]
    queue.type("refuse", alone, "--as", "ada")
    assert queue.type("approve", "--rule", "r", "--as", "ada")[1].startswith("Approved all 45 entries of rule r. ")
    assert "this is decided: ada approved it" in queue.type("approve", "--rule", "r", "--as", "ben")[2]


@pytest.mark.parametrize(
    ("ceiling", "started", "refused"),
    [
        ("", (), ""),
        ("", ("approve",), ""),
        ("", ("observe", "enforce"), ""),
        ("approve", ("approve",), ""),
        ("observe", (), "WORKER_CEILING is observe: nothing is carried out"),
        ("Observe", ("approve",), "WORKER_CEILING is observe: nothing is carried out"),
        ("", ("approve", "observe"), "the worker was started with WORKER_CEILING observe: nothing is carried out"),
        ("enforce", ("observe",), "the worker was started with WORKER_CEILING observe: nothing is carried out"),
    ],
)
def test_an_approval_under_a_ceiling_that_forbids_it_is_refused_at_once(
    queue: Shell, ceiling: str, started: tuple[str, ...], refused: str
) -> None:
    for one in started:
        act(started=one)
    queue.set(WORKER_CEILING=ceiling)
    code, out, err = queue.type("approve", "--rule", "r", "--as", "ada")
    assert (code, bool(out), err.startswith(f"worker: {refused}")) == (2 if refused else 0, not refused, bool(err))
    assert "set it to approve or enforce, restart the worker" in err or not refused
    assert queue.type("refuse", "--rule", "r", "--as", "ada")[0] == (0 if refused else 1)


@pytest.mark.slow
def test_what_waits_can_be_approved_or_refused_by_its_id(worked: Shell) -> None:
    first, second, *_ = worked.json("waiting")
    assert worked.type("approve", first["id"], "--as", "ada")[0] == 0
    assert worked.type("refuse", second["id"], "--as", "ben", "--because", "a newsletter")[0] == 0
    worked.json("run", "--once")
    left = {row["id"] for row in worked.json("waiting")}
    assert not left & {first["id"], second["id"]}
    code, _, err = worked.type("approve", second["id"])
    assert (code, f"nothing is waiting for '{second['id']}': ben refused it " in err) == (1, True)
    orders = [
        msgspec.json.decode(line)
        for line in worked.type("audit", "query", "--verb", "ordered", "--json")[1].splitlines()
    ]
    assert (orders[0]["what"], orders[0]["who"]) == ("approve", "ada")
    assert orders[1]["because"] == "a newsletter"


@pytest.mark.slow
def test_everything_of_a_rule_can_be_refused_at_once(worked: Shell) -> None:
    of_it = [row for row in worked.json("waiting") if "malicious_mail" in row["rule"]]
    code, out, _ = worked.type("refuse", "--rule", "malicious_mail")
    assert (code, out.startswith(f"Refused all {len(of_it)} entries of rule malicious_mail. ")) == (0, True)
    worked.json("run", "--once")
    assert not [row for row in worked.json("waiting") if "malicious_mail" in row["rule"]]


@pytest.mark.slow
def test_what_a_sender_would_be_spared_is_told_before_anybody_decides(worked: Shell) -> None:
    allows = [row for row in worked.json("waiting") if row["action"]["type"] == "AllowSender"]
    assert allows
    told = [(row["action"]["kind"], row["action"]["verify"], row["action"]["for_"]) for row in allows]
    assert set(told) == {("acceptable", True, "P30D")}


@pytest.mark.slow
def test_what_belongs_to_one_decision_is_decided_together(worked: Shell) -> None:
    waiting = worked.json("waiting")
    release = next(row for row in waiting if row["action"]["type"] == "Release")
    parts = {row["id"] for row in waiting if row["item"] == release["item"]}
    _, out, _ = worked.type("approve", release["id"])
    worked.type("run", "--once")
    assert (len(parts), out.startswith("Approved all 3 entries of this decision. A running")) == (3, True)
    assert not parts & {row["id"] for row in worked.json("waiting")}


@pytest.mark.slow
@pytest.mark.parametrize("words", [("approve", "nothing-like-it"), ("approve",), ("refuse", "x", "--rule", "y")])
def test_a_decision_about_nothing_is_refused(worked: Shell, words: tuple[str, ...]) -> None:
    code, _, err = worked.type(*words)
    assert (code, "worker waiting" in err) == (2, True)
