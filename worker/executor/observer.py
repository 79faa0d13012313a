"""Observer: asks the API what targets look like, before and after acting, with as few calls as that takes."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct, field

from worker.api import Client, Clock, SlowSearch, Urgency
from worker.api.bodies import MessageAction, WhereMessage
from worker.api.clock import SECOND
from worker.api.collection import BatchCollection
from worker.api.submissions import WhereSubmission
from worker.errors import NotFound, WorkerError
from worker.executor.action_log import ActionLogReading
from worker.executor.lists import ListReading
from worker.executor.poison_messages import SENSELESS, PoisonMessages
from worker.executor.postconditions import TeamSubmissions
from worker.language.actions import ACTIONS, Lane
from worker.language.models import Submission
from worker.ledger.entries import Look
from worker.ledger.values import Reading
from worker.observations import Looks, read_message, read_scan_time

WORTH_A_PAGE = 100
"""Single reads that a page of a window search may cost instead."""
LIST_NAMES = {kind.lane: kind.list_name for kind in ACTIONS.values() if kind.list_name}
NOTHING = ListReading(-1.0, ())
SINGLES = 100
"""Messages asked for one by one in one round; the others have their turn in the next."""


def list_of(client: Client, lane: Lane) -> BatchCollection[Any, Any, Any, Any, Any]:
    """Return the list that a lane is about."""
    found: BatchCollection[Any, Any, Any, Any, Any] = getattr(client.settings, LIST_NAMES[lane])
    return found


class Seen(Struct, frozen=True):
    """Looks by message, and the messages that the API says it does not have."""

    looks: dict[str, Look]
    missing: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()
    """Messages of which the API gave no answer that makes sense."""
    readings: dict[str, Reading] = field(default_factory=dict)
    """What was read just now, of which nobody but us has heard."""
    trouble: WorkerError | None = None
    """Why not all were asked about: the API gives no answer that makes sense about any."""

    def and_then(self, later: "Seen") -> "Seen":
        """Return what is known after a second look."""
        return Seen(
            self.looks | later.looks,
            self.missing | later.missing,
            self.unreadable | later.unreadable,
            self.readings | later.readings,
            later.trouble or self.trouble,
        )


class TargetObserver:
    """Reads of one account; what they show of messages is kept in Looks for whoever wants to know next."""

    def __init__(self, client: Client, looks: Looks, clock: Clock) -> None:
        """Begin without a list read."""
        self._client = client
        self._looks = looks
        self._clock = clock
        self._poison = PoisonMessages(clock)
        self._listed: dict[Lane, ListReading] = {}
        self._asked = (0.0, TeamSubmissions(-1.0, ()))

    def recall(self, messages: Mapping[str, float]) -> dict[str, Look]:
        """Return the looks that need no call: those begun at or after the time given for a message."""
        return {message: look for message, since in messages.items() if (look := self._looks.recall(message, since))}

    async def look(self, messages: Mapping[str, float], urgency: Urgency) -> Seen:
        """Look at messages: what is known since a time, else anew."""
        looks = self.recall(messages)
        return Seen(looks).and_then(await self.anew(messages.keys() - looks.keys(), urgency))

    async def anew(self, messages: Iterable[str], urgency: Urgency) -> Seen:
        """Look at messages by one search over their scan times, else one by one.

        At most a hundred are asked for one by one, so some may be in no part of the answer.
        """
        wanted = set(messages)
        found = await self._search(wanted, None, urgency) if len(wanted) > 1 else {}
        missing, unreadable, trouble = set[str](), set[str](), None
        for message in sorted(wanted - found.keys(), key=lambda one: (self.is_suspected(one), one))[:SINGLES]:
            try:
                reading = await self._get(message, urgency)
            except NotFound:
                missing.add(message)
                continue
            except SENSELESS as error:
                trouble = error
                break
            if reading:
                found[message] = reading
            else:
                unreadable.add(message)
        return Seen(_looks(found), frozenset(missing), frozenset(unreadable), found, trouble)

    async def search_touched(self, messages: Iterable[str], action: MessageAction) -> dict[str, Look]:
        """Return looks at those messages to which something was done (MOVED, QUARANTINE_RELEASED) by now."""
        return _looks(await self._search(set(messages), action, Urgency.PROVE))

    async def _search(self, wanted: set[str], action: MessageAction | None, urgency: Urgency) -> dict[str, Reading]:
        """Walk one search over the scan times of messages, as long as that is cheaper and something is missing."""
        times = _times(wanted)
        if not times:
            return {}
        start, end = min(times) - 1, max(times) + 1
        found: dict[str, Reading] = {}
        cursor, pages = None, 0
        while True:
            try:
                page = await self._client.investigate.search(
                    WhereMessage(message_action=action),
                    start=start,
                    end=end,
                    cursor=cursor,
                    detections_only=False,
                    urgency=urgency,
                )
            except SlowSearch:
                return found
            self._poison.note_answer()
            pages, cursor = pages + 1, page.next
            read = self._read(page.records, page.begun)
            found |= {message: reading for message, reading in read.items() if message in wanted}
            if cursor is None or len(found) == len(wanted):
                return found
            if _estimate_pages(pages, start, end, read) > len(wanted) / WORTH_A_PAGE + 1:
                return found

    async def _get(self, message: str, urgency: Urgency) -> Reading | None:
        """Read one message; None when the answer makes no sense, which must not keep the others waiting."""
        begun = self._clock.now()
        raw = await self._poison.ask(("message", message), partial(self._client.investigate.get, message, urgency))
        return self._read((raw,), begun).get(message) if raw is not None else None

    def is_suspected(self, message: str) -> bool:
        """Tell whether the last answer about a message made no sense; it is asked about after the others."""
        return self._poison.is_suspected(message)

    def senseless_for(self, message: str) -> float:
        """Return for how many seconds no answer about this message alone has made sense."""
        return self._poison.lasts(message)

    def _read(self, records: Iterable[msgspec.Raw], begun: float) -> dict[str, Reading]:
        """Read records and remember their looks; a broken record shows nothing."""
        readings: dict[str, Reading] = {}
        for raw in records:
            try:
                reading = read_message(raw, begun)
            except (msgspec.MsgspecError, ValueError, OverflowError):
                continue
            if reading.look is not None:
                readings[reading.thing.id] = reading
                self._looks.remember(reading.thing.id, reading.look)
        return readings

    async def log(self, message: str, urgency: Urgency) -> ActionLogReading | None:
        """Read a message's action log; None when the answer makes no sense. Raises NotFound."""
        begun = self._clock.now()
        log = await self._poison.ask(("log", message), partial(self._client.investigate.action_log, message, urgency))
        return ActionLogReading(begun, log.entries) if log is not None else None

    async def read_list(self, lane: Lane, since: float, urgency: Urgency) -> ListReading:
        """Return the whole list of a lane as it was at ``since`` or later."""
        if self._listed.get(lane, NOTHING).at < since:
            begun = self._clock.now()
            read = await list_of(self._client, lane).all(urgency=urgency)
            self._listed[lane] = ListReading.from_answer(begun, read)
        return self._listed[lane]

    def forget_listed(self, lane: Lane) -> None:
        """Read the list of a lane anew next time: we have changed it."""
        self._listed.pop(lane, None)

    async def read_submissions(self, reaching: float, since: float, urgency: Urgency) -> TeamSubmissions:
        """Return the team's submissions made after ``reaching``, as they were at ``since`` or later."""
        known_from, known = self._asked
        if known.at < since or known_from > reaching:
            self._asked = (reaching, await self._submissions(reaching, urgency))
        return self._asked[1]

    async def read_submission(self, id: str, at: float, urgency: Urgency) -> Submission | None:  # noqa: A002 (the API's word)
        """Return one submission, made in the second ``at``, as it is now; None when the API does not show it."""
        where = WhereSubmission(submission_id=id)
        page = await self._client.submissions.list(where, start=at - SECOND, end=at + SECOND, urgency=urgency)
        return next((one for one in page.entries if one.submission_id == id), None)

    async def _submissions(self, reaching: float, urgency: Urgency) -> TeamSubmissions:
        begun, found, whole = self._clock.now(), list[Submission](), True
        end = max(begun, reaching + 1)
        async for page in self._client.submissions.walk(start=reaching, end=end, type="TEAM", urgency=urgency):
            found += page.entries
            whole = whole and not page.broken
        return TeamSubmissions(begun, tuple(found), whole=whole)


def _times(messages: Iterable[str]) -> list[float]:
    """Return the scan times inside ids; ids without one are asked for one by one."""
    times = []
    for message in messages:
        try:
            times.append(read_scan_time(message))
        except ValueError:
            continue
    return times


def _looks(readings: Mapping[str, Reading]) -> dict[str, Look]:
    return {message: reading.look for message, reading in readings.items() if reading.look}


def _estimate_pages(pages: int, start: float, end: float, read: Mapping[str, Reading]) -> float:
    """Estimate how many pages a walk takes altogether, from how far back its newest-first pages have come."""
    if not read:
        return pages + 1.0
    covered = end - min(_times(read) or [start])
    return max(pages + 1.0, pages * (end - start) / covered if covered > 0 else 0.0)
