"""What came of carrying entries out: answers, outcomes, and what a process left behind that is gone."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from sqlalchemy import insert, select

from worker.errors import LeaseLost
from worker.ledger.db.tables import brakes, entries
from worker.ledger.entries import Answered, Entry, Outcome, Question
from worker.ledger.records import Json, instant
from worker.ledger.spending import keep_spent
from worker.ledger.unit_of_work import Change, UnitOfWork
from worker.ledger.values import Spent

LOOKED_AT = frozenset({"ready", "sent", "unsure"})
"""States of which a look may say something."""


def answer(work: UnitOfWork, answers: Sequence[Answered], spent: Spent) -> None:
    """Write down what the API answered; raise LeaseLost when an entry was taken over by another process."""
    by_id = {answered.id: answered for answered in answers}
    for entry in work.fetch(by_id):
        if entry.state == "claimed" and entry.owner != work.mint.owner:
            raise LeaseLost(f"entry {entry.id} was taken over by another worker; its answer is left to that one")
        _answer(work, entry, by_id[entry.id])
    keep_spent(work.conn, work.account, spent, work.now)


def settle(work: UnitOfWork, outcomes: Sequence[Outcome]) -> None:
    """Write down what looks have shown; an outcome of the same state only says when to look again."""
    by_id = {outcome.id: outcome for outcome in outcomes}
    for entry in work.fetch(by_id):
        outcome = by_id[entry.id]
        if entry.state not in LOOKED_AT:  # it has ended since that look, by what its answer said
            continue
        if outcome.state == entry.state and outcome.review in {"", entry.review}:
            work.touch(replace(entry, next_at=outcome.next_at))
        else:
            _settle(work, entry, outcome)


def abandon(work: UnitOfWork, reached_by: float) -> int:
    """Make unsure what other processes had claimed; a look may say no only after ``reached_by`` and a settle time."""
    left = work.load((entries.c.state == "claimed") & (entries.c.owner != work.mint.owner))
    for entry in left:
        latest = max(entry.reached_by, reached_by)
        said = "its process ended before an answer was written"
        work.move(
            entry, "unsure", "abandoned", told={"owner": entry.owner}, said=said, reached_by=latest, next_at=work.now
        )
    return len(left)


def retire(work: UnitOfWork, moots: Iterable[tuple[str, str]]) -> None:
    """End entries of which a look showed that there is nothing to do; what is under way by now is left alone."""
    whys = dict(moots)
    for entry in work.fetch(whys):
        if entry.state in {"ready", "waiting"}:
            work.move(entry, "moot", "retired", said=whys[entry.id], proof="seen")


def postpone(work: UnitOfWork, questions: Iterable[Question]) -> None:
    """Let ready entries wait for a person; what is under way by now is left alone."""
    by_id = {question.id: question for question in questions}
    for entry in work.fetch(by_id):
        if entry.state == "ready":
            asked = by_id[entry.id]
            change: Change = {"said": asked.said, "why": asked.why, "why_ref": asked.why_ref, "shown": asked.shown}
            change["approved_by"] = ""
            work.move(entry, "waiting", "postponed", **change)


def _answer(work: UnitOfWork, entry: Entry, answered: Answered) -> Entry:
    """Move one entry to what its answer says; an attempt that provably came to nothing was none."""
    at = answered.at or work.now
    kept = answered.state == "ready" and entry.approved_by  # what the person decided on is told until it is done
    change: Change = {
        "said": entry.said if kept else answered.said,
        "why": answered.why or ("" if entry.why == "answer_unclear" else entry.why),
        "fault": answered.fault,
        "remote": answered.remote or entry.remote,
        "answered_at": at,
        "next_at": answered.next_at,
    }
    if answered.state == "unsure":
        change["reached_by"] = max(entry.reached_by, at)
    if answered.state == "ready":
        change |= {"attempts": entry.attempts - 1, "owner": "", "next_at": max(answered.next_at, entry.ready_at)}
    told: dict[str, Json] = {"attempt": entry.attempts, "remote": answered.remote, "why": answered.said if kept else ""}
    return work.move(entry, answered.state, "answered", told=told, **change)


def _settle(work: UnitOfWork, entry: Entry, outcome: Outcome) -> Entry:
    """Move one entry to what was found; what was tried often enough is not tried again."""
    state, said, fault = outcome.state, outcome.said, outcome.fault
    if state == "ready" and entry.attempts >= entry.action.tries:
        state = "waiting" if entry.action.repeat_hurts else "failed"
        said, fault = f"tried {entry.attempts} times; {said}", _tried_too_often(entry, outcome)
    remote = outcome.remote or entry.remote
    change: Change = {"said": said, "proof": outcome.proof, "remote": remote, "next_at": outcome.next_at}
    change |= {"fault": fault, "review": outcome.review}
    if state == "ready":
        change |= {"owner": "", "next_at": max(outcome.next_at, entry.ready_at)}
    if state == "waiting":
        change["approved_by"] = ""
    told: dict[str, Json] = {"proof": outcome.proof, "remote": remote, "claimed": instant(entry.claimed_at)}
    told["review"] = outcome.review
    if state == "sent":
        return work.move(entry, state, "accepted", told=told, **change)
    return work.move(entry, state, "settled", told=told, **change)


def _tried_too_often(entry: Entry, outcome: Outcome) -> str:
    """Return the fault of an entry that is not tried again: by what its last attempt failed, or what was not shown."""
    return f"tried too often: {entry.fault or outcome.fault or 'not shown'}"


def put_brake(work: UnitOfWork, rule: str, lane: str, who: str, because: str) -> None:
    """Let nothing be claimed of a rule, of a lane, or at all, until a person takes the brake off."""
    on = (brakes.c.account == work.account, brakes.c.rule == rule, brakes.c.lane == lane)
    if work.conn.execute(select(brakes.c.rule).where(*on)).first():
        return
    row = {"account": work.account, "rule": rule, "lane": lane, "who": who, "because": because, "at": work.now}
    work.conn.execute(insert(brakes), row)
    work.chain.add("braked", rule=rule, in_lane=lane, who=who, because=because)
