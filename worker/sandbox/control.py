"""/_sandbox/: shows what was done to the account, and changes it from outside; none of it counts as a request."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec
from msgspec import Struct

from worker.sandbox.account.traffic import KINDS
from worker.sandbox.content.writing import Record
from worker.sandbox.edge.faults import Fault
from worker.sandbox.wire import JSON_TYPE, IncomingRequest, Json, OutgoingResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from worker.sandbox.account.account import Effect
    from worker.sandbox.account.mail import Mail
    from worker.sandbox.world import World

PREFIX = "/_sandbox/"
Moment = Annotated[float, msgspec.Meta(ge=0, lt=2**32)]


class ExtraFields(TypedDict, total=False):
    """The fields of a message to add that are no fields of the API."""

    disposition: str
    quarantined: bool
    folder: str
    scanned: Moment
    indexed: Moment
    links: tuple[str, ...]


class FaultsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST faults: another table, and faults that come before it."""

    table: str | None = None
    script: list[Fault] = []


class MessagesBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST messages: messages to add (see World.add_message), counts of kinds to let arrive, changes of messages."""

    add: list[dict[str, Any]] = []
    arrive: dict[str, int] = {}
    change: list[Json] = []


class SubmissionsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST submissions: the ids of messages that a recipient sends in."""

    ids: list[str]


class QuotaBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST quota: how many requests somebody else makes."""

    spend: int


def handle(world: World, request: IncomingRequest) -> OutgoingResponse:
    """Answer one request under the prefix."""
    act = ROUTES.get((request.method, request.path.removeprefix(PREFIX)))
    if act is None:
        return _answer(404, {"error": f"try one of {', '.join(f'{verb} {path}' for verb, path in ROUTES)}"})
    world.advance()
    try:
        return _answer(200, act(world, request))
    except (KeyError, TypeError, ValueError, RecursionError, msgspec.MsgspecError) as wrong:
        return _answer(400, {"error": f"{type(wrong).__name__}: {wrong}"})


def _answer(status: int, body: object) -> OutgoingResponse:
    return OutgoingResponse(status, dict(JSON_TYPE), msgspec.json.encode(body))


def _effects(world: World, request: IncomingRequest) -> list[Effect]:
    """Return the effects, beginning with number ``since``."""
    return world.effects[int(request.get("since") or 0) :]


def _requests(world: World, _: IncomingRequest) -> Mapping[str, object]:
    return world.requests


def _messages(world: World, request: IncomingRequest) -> list[Json]:
    """Return the true state of each message, whatever a read shows; ``limit`` is 10,000 by default."""
    offset, limit = int(request.get("offset") or 0), int(request.get("limit") or 10_000)
    return [_truth(mail) for mail in world.mails[offset : offset + limit]]


def _truth(mail: Mail) -> Json:
    state, fixed = mail.now, mail.read_fixed()
    return {
        "id": mail.id,
        "kind": mail.kind,
        "scanned": mail.scanned,
        "indexed": mail.first,
        "folder": state.folder,
        "disposition": state.disposition,
        "quarantined": state.quarantined,
        "operations": state.operations or (),
        "from": fixed.sender,
        "from_name": fixed.from_name,
        "recipients": fixed.client_recipients,
    }


def _change_messages(world: World, request: IncomingRequest) -> Json:
    """Add messages, let messages arrive, or change the verdict or the folder of messages."""
    body = msgspec.json.decode(request.body, type=MessagesBody)
    messages = [_read_message(fields) for fields in body.add]  # all are read before one is added
    _check_kinds(body.arrive)
    added = [world.add_message(**fields).id for fields in messages]
    for kind, count in body.arrive.items():
        added += [mail.id for mail in world.arrive(count, kind)]
    for change in body.change:
        if "disposition" in change:
            world.change_verdict(str(change["id"]), str(change["disposition"]))
        if "folder" in change:
            world.move_by_hand(str(change["id"]), str(change["folder"]), str(change.get("by", "analyst")))
    return {"added": added, "changed": len(body.change)}


def _check_kinds(kinds: Iterable[str]) -> None:
    """Raise ValueError for a kind that there is none of; the empty one means any."""
    for kind in kinds:
        if kind and kind not in KINDS:
            raise ValueError(f"there is no kind of mail {kind!r}; use {', '.join(KINDS)}")


def _read_message(fields: dict[str, Any]) -> dict[str, Any]:
    """Read a message to add. A field of the wrong type would break every search that comes across the message."""
    known = {"from" if name == "sender" else name: value for name, value in fields.items()}
    msgspec.convert(known, Record)
    return {**known, **msgspec.convert(known, ExtraFields)}


def _submit(world: World, request: IncomingRequest) -> Json:
    """Let a recipient of each message send it in, unless one of them is unknown."""
    body = msgspec.json.decode(request.body, type=SubmissionsBody)
    mails = [world.by_id[ident] for ident in body.ids]
    return {"submitted": [world.submit_by_user(mail) for mail in mails]}


def _faults(world: World, request: IncomingRequest) -> Json:
    body = msgspec.json.decode(request.body, type=FaultsBody)
    if body.table is not None:
        world.faults.use(body.table)
    world.faults.script(body.script)
    return {"scripted": len(world.faults.written)}


def _quota(world: World, request: IncomingRequest) -> Json:
    body = msgspec.json.decode(request.body, type=QuotaBody)
    world.spend_elsewhere(body.spend)
    return {"spent": body.spend}


ROUTES: Mapping[tuple[str, str], Callable[[World, IncomingRequest], object]] = MappingProxyType({
    ("GET", "effects"): _effects,
    ("GET", "requests"): _requests,
    ("GET", "messages"): _messages,
    ("POST", "messages"): _change_messages,
    ("POST", "submissions"): _submit,
    ("POST", "faults"): _faults,
    ("POST", "quota"): _quota,
})  # fmt: skip
