"""Handlers: how entries of each kind of action are sent: how many together, which ones, and what the answer means."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from worker.api import Client, Clock
from worker.api.bodies import NewAllow, NewBlock, NewTrust
from worker.api.investigate import MOST_MOVED, MOST_RELEASED, MoveItem, Released
from worker.errors import NotFound, Rejected, Temporary
from worker.escaping import escape
from worker.executor.action_log import kind_of_failure
from worker.executor.lists import comment
from worker.executor.notices import WORDS, notice
from worker.executor.observer import list_of
from worker.language.actions import (
    ACTIONS,
    LISTS,
    Action,
    Adding,
    BlockSender,
    Escalate,
    Lane,
    Move,
    Notify,
    Reclassify,
    Release,
    Removing,
    TrustDomain,
)
from worker.language.models import Destination
from worker.ledger.entries import Answered, Entry, Outcome, State
from worker.wording import explain_refusal

MOST_LISTED = 1000
CONFLICT = 409
NOTICE_AGAIN = 5.0
"""Seconds until a notice that was not taken is tried again; four times as long after each attempt."""

Notifier = Callable[[str, str], Awaitable[None]]


class Resources(Struct, frozen=True):
    """What sending needs: the API, the channels for notices if there are any, and the time."""

    client: Client
    notify: Notifier | None
    clock: Clock


class Reply(Struct, frozen=True):
    """What came of sending a batch; ``outcomes`` are proved by the answer itself."""

    answers: tuple[Answered, ...]
    outcomes: tuple[Outcome, ...] = ()


class Handler(Struct, frozen=True):
    """How one kind of action is sent; at most ``size`` entries of one ``group`` travel together."""

    queue: str
    """Entries of one queue are sent one batch after the other; queues do not wait for each other."""
    size: int
    group: Callable[[Entry], str]
    send: Callable[[Resources, Sequence[Entry]], Awaitable[Reply]]
    gathers: float = 0.0
    """Seconds for which a batch that is not full may wait for more while more is being read."""
    round: int = 5000
    """How many entries are taken in hand at once."""

    @property
    def is_for_notices(self) -> bool:
        """Whether it sends notices, to one channel or to any."""
        return self.send is _notify


def batches(handler: Handler, entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Group entries that may travel together, in their order, into batches of the handler's size."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(handler.group(entry), []).append(entry)
    for group in groups.values():
        for first in range(0, len(group), handler.size):
            yield group[first : first + handler.size]


def answer_all(
    resources: Resources,
    entries: Sequence[Entry],
    state: State,
    said: str = "",
    *,
    fault: str = "",
    next_at: float = 0.0,
) -> tuple[Answered, ...]:
    """Give all entries of a batch the same answer, now."""
    now = resources.clock.now()
    return tuple(Answered(id=one.id, state=state, said=said, fault=fault, at=now, next_at=next_at) for one in entries)


def _together(_: Entry) -> str:
    return ""


# -- placement --------------------------------------------------------------------------------------------------------


async def _move(resources: Resources, entries: Sequence[Entry]) -> Reply:
    """Move messages to one folder. Items do not say which message they are about, so only a whole failure is one."""
    items = await resources.client.investigate.move([entry.target for entry in entries], _destination(entries[0]))
    failed = [item for item in items if not item.success]
    if not items:
        return Reply(_unclear(answer_all(resources, entries, "sent", "the answer named no message")))
    if not failed:
        return Reply(answer_all(resources, entries, "sent"))
    said = f"{len(items) - len(failed)} of {len(items)} moved; {_words(failed)}"
    whole = len(entries) == 1 or (len(failed) == len(items) and len(items) >= len(entries))
    if not whole:
        return Reply(_unclear(answer_all(resources, entries, "sent", said)))
    return Reply(
        answer_all(resources, entries, "failed", said, fault=kind_of_failure(item.status or "" for item in failed))
    )


def _unclear(answers: Iterable[Answered]) -> tuple[Answered, ...]:
    """Mark answers that do not say what became of each message."""
    return tuple(replace(one, why="answer_unclear") for one in answers)


def _destination(entry: Entry) -> Destination:
    return cast("Move", entry.action).destination


def _words(items: Sequence[MoveItem]) -> str:
    """Return the API's own words about what failed, each once."""
    return "; ".join(sorted({escape(item.status or "no reason given", WORDS) for item in items})[:3])


async def _release(resources: Resources, entries: Sequence[Entry]) -> Reply:
    """Release messages; each answers for itself, by recipient."""
    told = {item.id: item for item in await resources.client.investigate.release([entry.target for entry in entries])}
    said = {entry.id: _describe_release(told.get(entry.target)) for entry in entries}
    answers = tuple(answer_all(resources, [entry], "sent", said[entry.id])[0] for entry in entries)
    found = (_judge_answer(entry, told.get(entry.target), said[entry.id]) for entry in entries)
    return Reply(answers, tuple(outcome for outcome in found if outcome))


def _judge_answer(entry: Entry, item: Released | None, said: str) -> Outcome | None:
    """Say what the answer itself proves: delivered to everybody, or to some; nobody may become somebody later."""
    if item is None or not item.delivered:
        return None
    missed = item.failed or item.undelivered
    if not missed and len(item.delivered) < len(entry.recipients):
        return None  # somebody is in no list: a look will tell
    state: State = "waiting" if missed else "done"
    return Outcome(id=entry.id, state=state, proof="answered", said=said)


def _describe_release(item: Released | None) -> str:
    """Tell a person what became of the recipients."""
    if item is None:
        return "the answer does not name this message"
    missed = (*(item.failed or ()), *(item.undelivered or ()))
    reached = len(item.delivered or ())
    if not missed:
        return f"delivered to {reached} of {reached}"
    names = ", ".join(escape(one, 100) for one in missed[:5])
    return f"delivered to {reached} of {reached + len(missed)}; not to {names}"


# -- the other lanes --------------------------------------------------------------------------------------------------


async def _reclassify(resources: Resources, entries: Sequence[Entry]) -> Reply:
    """Ask for another verdict, of one message at a time: nothing else would tell which request was taken."""
    (entry,) = entries
    wanted = cast("Reclassify", entry.action).expected_disposition
    escalated = entry.action.submission_id if isinstance(entry.action, Escalate) else None
    await resources.client.investigate.reclassify(entry.target, wanted, escalated_submission_id=escalated)
    return Reply(answer_all(resources, entries, "sent"))


async def _list(resources: Resources, entries: Sequence[Entry]) -> Reply:
    """Make and remove entries of a list, all or none. One that is there already may be ours: the list will tell."""
    adding = [entry for entry in entries if isinstance(entry.action, Adding)]
    removing = [entry for entry in entries if not isinstance(entry.action, Adding)]
    now = resources.clock.now()
    posts = [_new(cast("Adding", entry.action), comment(entry, now)) for entry in adding]
    deletes = [entry.remote for entry in removing]
    try:
        done = await list_of(resources.client, entries[0].lane).batch(deletes=deletes, posts=posts)
    except (Rejected, NotFound) as refusal:
        if len(entries) > 1 or not _list_will_tell(entries[0], refusal):
            raise
        return Reply(answer_all(resources, entries, "unsure", str(refusal)))
    now = resources.clock.now()
    made = {entry.comments: entry.id for entry in done.posts or ()}
    ids = [made.get(post.comments, "") for post in posts]
    answers = [Answered(id=entry.id, state="sent", remote=id_, at=now) for entry, id_ in zip(adding, ids, strict=True)]
    answers += [Answered(id=entry.id, state="sent", remote=entry.remote, at=now) for entry in removing]
    return Reply(tuple(answers))


def _list_will_tell(entry: Entry, refusal: Rejected | NotFound) -> bool:
    """Tell whether a refusal may mean that it is done already: what is to be made is there, what is to go is gone."""
    if isinstance(refusal, NotFound):
        return isinstance(entry.action, Removing)
    return refusal.status == CONFLICT


def _new(action: Adding, comments: str) -> NewBlock | NewAllow | NewTrust:
    """Write the list entry that an action is to make."""
    if isinstance(action, BlockSender):
        return NewBlock(pattern=action.pattern, pattern_type=action.pattern_type, comments=comments)
    if isinstance(action, TrustDomain):
        return NewTrust(
            pattern=action.pattern, is_similarity=action.similarity, is_recent=action.recent, comments=comments
        )
    return NewAllow(
        pattern=action.pattern,
        pattern_type=action.pattern_type,
        is_acceptable_sender=action.kind == "acceptable",
        is_trusted_sender=action.kind == "trusted",
        verify_sender=action.verify,
        comments=comments,
    )


async def _notify(resources: Resources, entries: Sequence[Entry]) -> Reply:
    """Hand one text about some entries to a channel. What it did not take may have arrived all the same."""
    channel = entries[0].target
    if resources.notify is None:
        said = f"channel {channel!r} has no address: set WORKER_NOTIFY_{channel.upper()}"
        return Reply(answer_all(resources, entries, "failed", said, fault=f"no channel {channel}"))
    try:
        await resources.notify(channel, notice(entries))
    except Exception as error:  # noqa: BLE001 (whatever a channel raises must not stop the worker)
        asked = error.after if isinstance(error, Temporary) else 0.0
        again = resources.clock.now() + max(asked, NOTICE_AGAIN * 4 ** min(entries[0].attempts, 4))
        words = explain_refusal(channel, error)
        fault = f"{channel} {type(error).__name__}"
        return Reply(answer_all(resources, entries, "unsure", escape(words, WORDS), fault=fault, next_at=again))
    outcomes = tuple(Outcome(id=entry.id, state="done", proof="answered") for entry in entries)
    return Reply(answer_all(resources, entries, "sent"), outcomes)


def _channel_and_rule(entry: Entry) -> str:
    return f"{entry.target}/{','.join(entry.rules)}"


MOVES = Handler(queue="move", size=MOST_MOVED, group=_destination, send=_move, gathers=1.0)
RELEASES = Handler(queue="release", size=MOST_RELEASED, group=_together, send=_release, gathers=1.0)
RECLASSIFIES = Handler(queue="reclassify", size=1, group=_together, send=_reclassify, round=50)
LIST_HANDLERS: dict[Lane, Handler] = {
    lane: Handler(queue=lane, size=MOST_LISTED, group=_together, send=_list) for lane in LISTS
}
NOTICES = Handler(queue="notice", size=MOST_LISTED, group=_channel_and_rule, send=_notify)


@cache
def _send_notices_to(channel: str) -> Handler:
    """Return how notices to one channel are sent: they wait for no other channel."""
    return replace(NOTICES, queue=f"notice {channel}")


def find_handler(entry: Entry) -> Handler:
    """Return how an entry is sent."""
    handler = HANDLERS[type(entry.action)]
    return _send_notices_to(entry.target) if handler is NOTICES else handler


HANDLERS: dict[type[Action], Handler] = {
    Move: MOVES,
    Release: RELEASES,
    Reclassify: RECLASSIFIES,
    Escalate: RECLASSIFIES,
    **{kind: LIST_HANDLERS[kind.lane] for kind in ACTIONS.values() if kind.list_name},
    Notify: NOTICES,
}
