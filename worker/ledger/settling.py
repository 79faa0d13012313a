"""What came of carrying entries out: answers, outcomes, and what a process left behind that is gone."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import insert, select

from worker.errors import LeaseLost
from worker.ledger.db.tables import brakes, entries
from worker.ledger.entries import Entry
from worker.ledger.pages import keep_spent
from worker.ledger.records import instant
from worker.ledger.unit_of_work import Pen
from worker.ledger.values import ALONE, Answered, Outcome, Spent

LOOKED_AT = frozenset({"ready", "sent", "unsure"})
"""States of which a look may say something."""
IN_A_ROW = 20
"""Failures of one lane for one reason after which the lane is braked."""


def answer(pen: Pen, answers: Sequence[Answered], spent: Spent) -> None:
    """Write down what the API answered; raise LeaseLost when an entry was taken over by another process."""
    by_id = {answered.id: answered for answered in answers}
    moved = []
    for entry in pen.fetch(by_id):
        if entry.state == "claimed" and entry.owner != pen.mint.owner:
            raise LeaseLost(f"entry {entry.id} was taken over by another worker; its answer is left to that one")
        answered = by_id[entry.id]
        moved.append(pen.move(entry, answered.state, "answered", **_answer(entry, answered, pen.now)))
    _brake_failing(pen, moved)
    keep_spent(pen.conn, pen.account, spent, pen.now)


def settle(pen: Pen, outcomes: Sequence[Outcome]) -> None:
    """Write down what looks have shown; an outcome of the same state only says when to look again."""
    by_id = {outcome.id: outcome for outcome in outcomes}
    moved = []
    for entry in pen.fetch(by_id):
        outcome = by_id[entry.id]
        if entry.state not in LOOKED_AT:  # it has ended since that look, by what its answer said
            continue
        if outcome.state == entry.state:
            pen.touch(replace(entry, next_at=outcome.next_at))
        else:
            moved.append(_settle(pen, entry, outcome))
    _brake_failing(pen, moved)


def abandon(pen: Pen, reached_by: float) -> int:
    """Make unsure what other processes had claimed; a look may say no only after ``reached_by`` and a settle time."""
    left = pen.load((entries.c.state == "claimed") & (entries.c.owner != pen.mint.owner))
    for entry in left:
        latest = max(entry.reached_by, reached_by)
        said = "its process ended before an answer was written"
        pen.move(
            entry, "unsure", "abandoned", told={"owner": entry.owner}, said=said, reached_by=latest, next_at=pen.now
        )
    return len(left)


def retire(pen: Pen, moots: Iterable[tuple[str, str]]) -> None:
    """End entries of which a look showed that there is nothing to do; what is under way by now is left alone."""
    whys = dict(moots)
    for entry in pen.fetch(whys):
        if entry.state in {"ready", "waiting"}:
            pen.move(entry, "moot", "retired", said=whys[entry.id], proof="seen")


def postpone(pen: Pen, waits: Iterable[tuple[str, str]]) -> None:
    """Let ready entries wait for a person; what is under way by now is left alone."""
    whys = dict(waits)
    for entry in pen.fetch(whys):
        if entry.state == "ready":
            pen.move(entry, "waiting", "postponed", said=whys[entry.id], approved_by="")


def _answer(entry: Entry, answered: Answered, now: float) -> dict[str, Any]:
    """Return what an answer changes; an attempt that provably came to nothing was none."""
    at = answered.at or now
    kept = answered.state == "ready" and entry.approved_by  # else a person's word would be lost with an outage
    change: dict[str, Any] = {
        "said": entry.said if kept else answered.said,
        "remote": answered.remote or entry.remote,
        "answered_at": at,
        "next_at": answered.next_at,
        "told": {"attempt": entry.attempts, "remote": answered.remote, "why": answered.said if kept else ""},
    }
    if answered.state == "unsure":
        change["reached_by"] = max(entry.reached_by, at)
    if answered.state == "ready":
        change.update(attempts=entry.attempts - 1, owner="", next_at=max(answered.next_at, entry.ready_at))
    return change


def _settle(pen: Pen, entry: Entry, outcome: Outcome) -> Entry:
    """Move one entry to what was found; what was tried often enough is not tried again."""
    state, said = outcome.state, outcome.said
    if state == "ready" and entry.attempts >= entry.action.tries:
        state = "waiting" if entry.action.repeat_hurts else "failed"
        said = f"tried {entry.attempts} times; {said}"
    change: dict[str, Any] = (
        {"owner": "", "next_at": max(outcome.next_at, entry.ready_at)}
        if state == "ready"
        else {"next_at": outcome.next_at}
    )
    if state == "waiting":
        change["approved_by"] = ""
    remote = outcome.remote or entry.remote
    told = {"proof": outcome.proof, "remote": remote, "claimed": instant(entry.claimed_at)}
    return pen.move(entry, state, "settled", told=told, said=said, proof=outcome.proof, remote=remote, **change)


def _brake_failing(pen: Pen, moved: Iterable[Entry]) -> None:
    """Brake each lane whose last entries all failed for one reason; those refused each on its own do not count.

    Whoever sends mail chooses which senders are blocked: words that are refused must not stop a lane.
    """
    pen.flush()
    failed = (entry for entry in moved if entry.state == "failed" and not entry.said.startswith(ALONE))
    for lane in sorted({entry.lane for entry in failed}):
        mine = (entries.c.account == pen.account, entries.c.lane == lane, entries.c.state.in_(("done", "failed")))
        query = select(entries.c.state, entries.c.said).where(*mine, ~entries.c.said.startswith(ALONE))
        last = pen.conn.execute(query.order_by(entries.c.settled_at.desc(), entries.c.id.desc()).limit(IN_A_ROW)).all()
        if len(last) == IN_A_ROW and len({(row.state, _gist(row.said)) for row in last}) == 1:
            put_brake(pen, "", lane, "worker", f"failed {IN_A_ROW} times in a row: {last[0].said}")


def put_brake(pen: Pen, rule: str, lane: str, who: str, because: str) -> None:
    """Let nothing be claimed of a rule, of a lane, or at all, until a person takes the brake off."""
    on = (brakes.c.account == pen.account, brakes.c.rule == rule, brakes.c.lane == lane)
    if pen.conn.execute(select(brakes.c.rule).where(*on)).first():
        return
    row = {"account": pen.account, "rule": rule, "lane": lane, "who": who, "because": because, "at": pen.now}
    pen.conn.execute(insert(brakes), row)
    pen.chain.add("braked", rule=rule, in_lane=lane, who=who, because=because)


def _gist(said: str) -> str:
    """Strip what differs from case to case: words that hold a digit or an address."""
    return " ".join(word for word in said.split() if "@" not in word and not any(map(str.isdigit, word)))
