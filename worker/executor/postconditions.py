"""Postconditions: what a look or a log proves about an entry. Pure: no clock, no network, no ledger."""

from collections.abc import Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from worker.api.clock import SECOND
from worker.escaping import escape
from worker.executor.action_log import (
    ActionLogReading,
    describe_lines,
    kind_of_failure,
    may_have_caused,
    time_of,
    went_well,
)
from worker.executor.lists import UNOWNED, ListReading, mark, pattern_of, say_whose, shows_ours
from worker.judging.reviews import LONGEST_ID, accept, find_request, give_up, give_up_time, judge_request
from worker.language.actions import Move, Reclassify, Release
from worker.language.models import Submission
from worker.ledger.entries import FOLLOWS, Entry, Look, Outcome, Proof, State, is_accepted

FIRST_LOOKS = (2.0, 10.0, 60.0)
"""Seconds after an answer at which proof is looked for, besides the learned delay and SETTLE."""
LISTED_LATE = 5.0
"""How many times SETTLE a request for another verdict may stay unlisted before it is taken as never made."""
LISTED_BY = 86400.0
SILENT = "for a day the API gave no usable answer about this message: check it in the dashboard"
MOVED = "a read after the request shows that this message was moved; the request named the folder"
NEVER_LISTED = "never listed"
LOOK = "check it in the dashboard"
REQUESTS = frozenset({"RECLASSIFY", "SUBMISSION"})
"""Operations of an action log that ask for another verdict."""


class TeamSubmissions(Struct, frozen=True):
    """The team's submissions since some moment, as of ``at``; not ``whole`` when one could not be read."""

    at: float
    entries: tuple[Submission, ...]
    whole: bool = True


def latest_arrival(entry: Entry) -> float:
    """Return the latest moment at which the last attempt could have reached the API."""
    return entry.answered_at if entry.state == "sent" else max(entry.reached_by, entry.claimed_at)


def deadline(entry: Entry, settle: float) -> float:
    """Return from when on a read of this entry's target may say no."""
    return latest_arrival(entry) + SECOND + settle * (LISTED_LATE if isinstance(entry.action, Reclassify) else 1.0)


def next_look(entry: Entry, now: float, settle: float, delay: float) -> float:
    """Return when to look again: after the learned delay, 2, 10 and 60 s, and when a look may say no."""
    if is_accepted(entry):
        return max(give_up_time(entry), now + settle)
    begun, last = max(entry.answered_at, entry.claimed_at), deadline(entry, settle)
    times = [begun + after for after in (delay, *FIRST_LOOKS) if begun + after < last]
    later = now + min(3600.0, max(settle, now - begun))
    return min((at for at in (*times, last) if at > now), default=later)


def wants_log(entry: Entry, look: Look | None, now: float, settle: float) -> bool:
    """Tell whether a move can be judged by its action log only; so it is too when the answer named failures."""
    if had_moved(entry):
        return True
    if look is None:
        return False
    if entry.state == "sent" and entry.why == "answer_unclear" and now >= entry.answered_at + FIRST_LOOKS[1]:
        return True
    if "MOVE" in look.operations:
        return not _shows_all(entry, look)
    return "move_failed" in look.status or look.at >= deadline(entry, settle)


def judge_move(
    entry: Entry, look: Look | None, log: ActionLogReading | None, settle: float, ours: Sequence[Entry] = ()
) -> Outcome | None:
    """Judge a move by a look begun after the claim and, where it was read, the action log.

    ``ours`` are this ledger's other entries about the message: what they did shortly before is not this entry's.
    """
    if log is not None and (logged := _judge_log(entry, log, ours)):
        return logged
    late = log is not None and log.at >= deadline(entry, settle)
    shown = look is not None and "MOVE" in look.operations and not had_moved(entry)
    if look is not None and shown and (_shows_all(entry, look) or (late and "move_failed" not in look.status)):
        return _outcome(entry, "done", "seen", MOVED)
    if late and (look is None or look.at >= deadline(entry, settle)):
        return again(entry, "no move is shown or logged since the request")
    return None


def _shows_all(entry: Entry, look: Look) -> bool:
    """Tell whether a MOVE that a look shows is one of every copy: without a delivery status only the log knows."""
    return "move_failed" not in look.status and (bool(look.status) or len(entry.recipients) <= 1)


def had_moved(entry: Entry) -> bool:
    """Tell whether the message showed a MOVE when it was claimed; then only its log can show another."""
    return entry.look is not None and "MOVE" in entry.look.operations


def _judge_log(entry: Entry, log: ActionLogReading, ours: Sequence[Entry]) -> Outcome | None:
    """Judge by what the action log tells since the claim; any move since then means: never again."""
    moves = [
        line
        for line in log.entries
        if line.operation == "MOVE"
        and (line.completed_at is None or time_of(line) >= entry.claimed_at - SECOND)
        and not (time_of(line) < entry.claimed_at and any(may_have_caused(one, line) for one in ours))
    ]
    if not moves:
        return None
    wanted = entry.action.destination if isinstance(entry.action, Move) else ""
    mine = [line for line in moves if line.folder in {"", wanted}]
    if not mine:
        return _outcome(entry, "moot", "log", f"moved by someone else since the request: {describe_lines(moves)}")
    well = [line for line in mine if went_well(line)]
    if len(well) == len(mine) or len(well) >= (len(entry.recipients) or len(mine)):
        return _outcome(entry, "done", "log", describe_lines(well[:1]))
    words = sorted({escape(line.status, 200) for line in mine if line not in well})
    said = f"{len(well)} of {len(mine)} moved; {'; '.join(words[:3])}"
    return _outcome(entry, "failed", "log", said, fault=kind_of_failure(words))


def judge_release(entry: Entry, look: Look, settle: float) -> Outcome | None:
    """Judge a release by a look begun after the claim."""
    if not look.quarantined:
        return _outcome(entry, "done", "seen", "the message is not in quarantine any more")
    if look.at < deadline(entry, settle):
        return None
    if "delivered" in look.status:
        return _outcome(
            entry, "waiting", "seen", "delivered to some recipients only; the rest is for a person to decide"
        )
    return again(entry, "the message is still in quarantine")


def judge_adding(entry: Entry, listed: ListReading, settle: float) -> Outcome | None:
    """Judge a new list entry by the whole list: one whose comment carries our id, or an equal one that does not."""
    if shown := find_added(entry, listed):
        return shown
    equal = [one for one in listed.entries if pattern_of(one) == entry.target]
    if equal and listed.whole and listed.at >= deadline(entry, settle):
        if entry.state == "sent" and not equal[0].comments:
            return _outcome(entry, "waiting", "seen", f"entry {equal[0].id} has this pattern, {UNOWNED}: {LOOK}")
        whose = say_whose(equal[0], (entry,))
        return _outcome(entry, "moot", "seen", f"listed already as entry {equal[0].id}, {whose}")
    return _not_there(entry, listed, settle, "the list does not show it")


def find_added(entry: Entry, listed: ListReading) -> Outcome | None:
    """Find the list entry whose comment carries our id: made by an attempt of this very entry, whenever that was."""
    for one in listed.entries:
        if pattern_of(one) == entry.target and one.comments.startswith(mark(entry)):
            said = f"entry {one.id} with this pattern exists"
            return Outcome(id=entry.id, state="done", proof="seen", said=said, remote=one.id)
    return None


def judge_removing(entry: Entry, listed: ListReading, ours: Sequence[Entry], settle: float) -> Outcome | None:
    """Judge a removal by the whole list: it is done when no entry of ours with this pattern is left."""
    if shows_ours(listed, ours):
        return again(entry, "the list still shows it") if listed.at >= deadline(entry, settle) else None
    if listed.whole:
        return _outcome(entry, "done", "seen", "the entry is gone from the list")
    return _not_there(entry, listed, settle, "the list does not show it any more")


def judge_reclassify(
    entry: Entry, asked: TeamSubmissions, settle: float, taken: Collection[str] = ()
) -> Outcome | None:
    """Judge a request for another verdict by the team's submissions since the claim, up to Cloudflare's decision."""
    if request := find_request(entry, asked.entries, taken):
        return judge_request(entry, request, asked.at)
    if is_accepted(entry):
        return give_up(entry) if asked.at >= give_up_time(entry) else None
    if entry.state == "sent":
        late = asked.at >= entry.answered_at + LISTED_BY
        if not late:
            return None
        return _outcome(entry, "failed", "seen", "accepted, never seen among the submissions", fault=NEVER_LISTED)
    return _not_there(entry, asked, settle, "no submission is listed")


def wants_request_log(found: Outcome | None) -> bool:
    """Tell whether a request is about to count as never made: its message's log may name the submission directly."""
    return found is not None and (found.state in {"ready", "waiting"} or found.fault == NEVER_LISTED)


def judge_request_log(entry: Entry, log: ActionLogReading, taken: Collection[str] = ()) -> Outcome | None:
    """Judge a request for another verdict by a line of the log that names its submission."""
    wanted = entry.action.expected_disposition if isinstance(entry.action, Reclassify) else ""
    for line in log.entries:
        since = line.completed_at is None or time_of(line) >= entry.claimed_at - SECOND
        mine = line.operation in REQUESTS and line.requested_disposition == wanted and since
        if mine and line.submission_id and (remote := line.submission_id[:LONGEST_ID]) not in taken:
            return replace(accept(entry, remote), proof="log")
    return None


def _not_there(entry: Entry, found: ListReading | TeamSubmissions, settle: float, why: str) -> Outcome | None:
    """Let a complete and late reading say no; what cannot be read whole for a day is for a person."""
    if found.whole:
        return again(entry, why) if found.at >= deadline(entry, settle) else None
    if found.at < latest_arrival(entry) + LISTED_BY:
        return None
    return _outcome(entry, "waiting", "seen", f"{why}, and a part of it cannot be read: {LOOK}")


def judge_notice(entry: Entry) -> Outcome:
    """Judge a notice: taken when it was answered; else it is sent again, since it may arrive twice but not never."""
    return _outcome(entry, "done", "answered", "") if entry.state == "sent" else again(entry, entry.said)


def judge_missing(entry: Entry, at: float, settle: float) -> Outcome | None:
    """Judge an entry whose message the API does not find."""
    late = at >= deadline(entry, settle)
    if not late:
        return None
    return _outcome(entry, "failed", "seen", "the API does not know this message any more", fault="unknown message")


def judge_silence(entry: Entry, lasted: float) -> Outcome | None:
    """Let a person decide about mail of which no answer has made sense for a day; ``lasted`` is in seconds."""
    if not isinstance(entry.action, Move | Release) or lasted < LISTED_BY:
        return None
    return _outcome(entry, "waiting", "seen", SILENT)


def again(entry: Entry, why: str) -> Outcome:
    """Let an entry be tried again; the ledger ends it when it was tried often enough."""
    return _outcome(entry, "ready", "seen", why)


def steps(state: State, outcome: Outcome) -> tuple[Outcome, ...]:
    """Return the outcomes that lead from a state to the one found; what was sent may have to be unsure in between."""
    if outcome.state == state or outcome.state in FOLLOWS[state]:
        return (outcome,)
    return Outcome(id=outcome.id, state="unsure", said=outcome.said), outcome


def _outcome(entry: Entry, state: State, proof: Proof, said: str, fault: str = "") -> Outcome:
    return Outcome(id=entry.id, state=state, proof=proof, said=said, fault=fault)
