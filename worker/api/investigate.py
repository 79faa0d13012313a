"""The API client's room: searching mail, looking at one, moving, releasing, reclassifying."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Raw, Struct

from worker.api.calls import Calls
from worker.api.clock import written
from worker.api.envelope import Page, nothing, records
from worker.api.pacing import Urgency
from worker.errors import Rejected, ServerFault
from worker.models import ActionLog, AskedDisposition, Destination, Detection, LogEntry, epoch

SearchPage = Page
BAD_REQUEST = 400
MOST_MOVED, MOST_RELEASED = 1000, 100


class MoveItem(Struct, frozen=True):
    """What became of one recipient's copy; the API does not say of which message asked for."""

    success: bool
    recipient: str | None = None
    message_id: str | None = None
    status: str | None = None
    destination: str | None = None


class Released(Struct, frozen=True):
    """What became of a released message, by recipient."""

    id: str
    delivered: tuple[str, ...] | None = None
    failed: tuple[str, ...] | None = None
    undelivered: tuple[str, ...] | None = None


class WireProperties(Struct, frozen=True):
    """Where to, and who asked."""

    folder: str | None = None
    requested_by: str | None = None


class WireLogEntry(Struct, frozen=True):
    """An entry of an action log on the wire; ``completed_timestamp`` is the older name of the time."""

    operation: str
    completed_at: datetime | None = None
    completed_timestamp: str | float | None = None
    status: str | None = None
    properties: WireProperties | None = None

    def entry(self) -> LogEntry:
        """Return it as rules read it."""
        told = self.properties or WireProperties()
        return LogEntry(
            operation=self.operation,
            completed_at=self.completed_at or _moment(self.completed_timestamp),
            status=self.status or "",
            folder=told.folder or "",
            requested_by=told.requested_by or "",
        )


class Named(Struct, frozen=True):
    """The least that makes a message one."""

    id: str


named = msgspec.json.Decoder(Named).decode
detection = msgspec.json.Decoder(Detection).decode
lines = msgspec.json.Decoder(tuple[WireLogEntry, ...]).decode
moved = msgspec.json.Decoder(tuple[MoveItem, ...]).decode
released = msgspec.json.Decoder(tuple[Released, ...]).decode


class Investigate:
    """``/investigate``: mail, and what is done to it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._bare_list = False

    async def search(
        self,
        *,
        start: float,
        end: float,
        urgency: Urgency,
        cursor: str | None = None,
        detections_only: bool = True,
        per_page: int = 1000,
        message_action: str | None = None,
        recipient: str | None = None,
        query: str | None = None,
    ) -> Page:
        """Return one page of the mail scanned between two API times; raise Slow when that takes over a minute."""
        asked = {
            "start": written(start),
            "end": written(end),
            "detections_only": "true" if detections_only else "false",
            "per_page": str(per_page),
            "message_action": message_action,
            "recipient": recipient,
            "query": query,
            "cursor": cursor,
        }
        given = [(name, value) for name, value in asked.items() if value is not None]
        answer = await self._calls.call("GET", "/investigate", records, query=given, urgency=urgency)
        found = await self._calls.finished(answer, records, urgency=urgency)
        following = (found.info and found.info.next) or None
        if following and following == cursor:
            raise ServerFault("GET /investigate: the API named the page just read as the next one")
        return Page(tuple(found.result), following, answer.begun)

    async def get(self, id: str, urgency: Urgency = Urgency.PROVE) -> Raw:  # noqa: A002 (the API's word)
        """Return one message as it is now; raise NotFound."""
        path = "/investigate/{id}"
        return (await self._calls.call("GET", path, _one, where={"id": id}, urgency=urgency)).result

    async def action_log(self, id: str, urgency: Urgency = Urgency.FACTS) -> ActionLog:  # noqa: A002
        """Return everything done to a message, oldest first; entries without a time come last.

        An entry that cannot be read is a ServerFault: leaving it out could make somebody do again what it tells.
        """
        path = "/investigate/{id}/action_log"
        return (await self._calls.call("GET", path, _log, where={"id": id}, urgency=urgency)).result

    async def detections(self, id: str, urgency: Urgency = Urgency.FACTS) -> Detection:  # noqa: A002
        """Return why a message was detected; raise NotFound for one that was not."""
        path = "/investigate/{id}/detections"
        return (await self._calls.call("GET", path, detection, where={"id": id}, urgency=urgency)).result

    async def move(self, ids: Sequence[str], destination: Destination) -> tuple[MoveItem, ...]:
        """Move at most 1,000 messages to a folder, and return an item per recipient; some may have failed."""
        _bounded(ids, MOST_MOVED)
        body = {"destination": destination, "ids": ids}
        path = "/investigate/move"
        return (await self._calls.call("POST", path, moved, body=body, urgency=Urgency.ACT, writes=True)).result

    async def move_one(self, id: str, destination: Destination) -> tuple[MoveItem, ...]:  # noqa: A002
        """Move one message, and return an item per recipient."""
        where, body = {"id": id}, {"destination": destination}
        path = "/investigate/{id}/move"
        answer = await self._calls.call("POST", path, moved, where=where, body=body, urgency=Urgency.ACT, writes=True)
        return answer.result

    async def release(self, ids: Sequence[str]) -> tuple[Released, ...]:
        """Deliver at most 100 quarantined messages; ids that the API does not know are missing in the answer.

        The body is an object since October 2026 and was a bare list before. What is refused with a 400 was not carried
        out, so it is asked again in the other form; the form that worked is kept.
        """
        _bounded(ids, MOST_RELEASED)
        try:
            return await self._release(ids, bare=self._bare_list)
        except Rejected as refusal:
            if refusal.status != BAD_REQUEST:
                raise
        answer = await self._release(ids, bare=not self._bare_list)
        self._bare_list = not self._bare_list
        return answer

    async def _release(self, ids: Sequence[str], *, bare: bool) -> tuple[Released, ...]:
        body = ids if bare else {"ids": ids}
        path = "/investigate/release"
        return (await self._calls.call("POST", path, released, body=body, urgency=Urgency.ACT, writes=True)).result

    async def reclassify(self, id: str, expected_disposition: AskedDisposition) -> None:  # noqa: A002
        """Ask for a new verdict; the answer only says that the request was taken."""
        where, body = {"id": id}, {"expected_disposition": expected_disposition}
        path = "/investigate/{id}/reclassify"
        await self._calls.call("POST", path, nothing, where=where, body=body, urgency=Urgency.ACT, writes=True)


def _one(result: Raw) -> Raw:
    """Leave a message as it came, once it is one."""
    named(result)
    return result


def _log(result: Raw) -> ActionLog:
    """Read an action log and put it in order."""
    return ActionLog(entries=tuple(sorted((line.entry() for line in lines(result)), key=_when)))


def _bounded(ids: Sequence[str], most: int) -> None:
    """Refuse a batch that the API would refuse, or that asks for nothing."""
    if not 1 <= len(ids) <= most:
        raise ValueError(f"{len(ids)} ids in one request; between 1 and {most} are allowed")


def _moment(told: str | float | None) -> datetime | None:
    """Read an old time, in RFC 3339 or in seconds since the epoch."""
    if told is None:
        return None
    return msgspec.convert(told, datetime, strict=False) if isinstance(told, str) else datetime.fromtimestamp(told, UTC)


def _when(entry: LogEntry) -> tuple[bool, float]:
    """Order by time, unknown times last."""
    return entry.completed_at is None, epoch(entry.completed_at)
