"""/_sandbox/: shows what was done to the account, and changes it from outside; none of it counts as a request."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from worker.sandbox.account.mail import DESTINATIONS, TEN
from worker.sandbox.account.traffic import KINDS
from worker.sandbox.content.by_hand import GivenMail, Misfit, add_mail, convert, read_mail, require_names, require_word
from worker.sandbox.edge.faults import Fault
from worker.sandbox.wire import JSON_TYPE, IncomingRequest, Json, OutgoingResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.sandbox.account.account import Effect
    from worker.sandbox.account.mail import Mail
    from worker.sandbox.world import World

PREFIX = "/_sandbox/"


class FaultsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST faults: another table, and faults that come before it."""

    table: str | None = None
    script: list[Fault] = []


class MessagesBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST messages: messages to add (see by_hand), counts of kinds to let arrive, changes of messages."""

    add: list[dict[str, Any]] = []
    arrive: dict[str, int] = {}
    change: list[dict[str, Any]] = []


class Change(Struct, frozen=True):
    """What happens to a message: its verdict changes, or somebody moves it."""

    id: str
    disposition: str | None = None
    folder: str | None = None
    by: str = "analyst"


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
    except Misfit as wrong:
        return _answer(400, {"error": str(wrong)})
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
    """Add messages, let messages arrive, or change the verdict or the folder of messages; all or nothing."""
    body = msgspec.json.decode(request.body, type=MessagesBody)
    messages = [read_mail(fields) for fields in body.add]
    changes = [_read_change(world, fields) for fields in body.change]
    for kind in filter(None, body.arrive):  # the empty one means any
        require_word("arrive", kind, KINDS)
    _require_new_ids(world, messages)
    added = [add_mail(world, message).id for message in messages]
    for kind, count in body.arrive.items():
        added += [mail.id for mail in world.arrive(count, kind)]
    for change in changes:
        _change(world, change)
    return {"added": added, "changed": len(changes)}


def _require_new_ids(world: World, messages: list[GivenMail]) -> None:
    """Refuse an id that another message has: it would take its place."""
    ids = [str(message.record["id"]) for message in messages if "id" in message.record]
    for ident, times in Counter(ids).items():
        if times > 1 or not ident or ident in world.by_id:
            raise Misfit(f"id cannot be {ident!r}: leave it out, or write one that no other message has")


def _read_change(world: World, given: dict[str, Any]) -> Change:
    require_names("a change", given, Change.__struct_fields__)
    change = convert(given, Change)
    if change.id not in world.by_id:
        raise Misfit(f"there is no message {change.id!r}: GET /_sandbox/messages lists all")
    if change.disposition is not None:
        require_word("disposition", change.disposition, TEN)
    if change.folder is not None:
        require_word("folder", change.folder, DESTINATIONS)
    return change


def _change(world: World, change: Change) -> None:
    if change.disposition is not None:
        world.change_verdict(change.id, change.disposition)
    if change.folder is not None:
        world.move_by_hand(change.id, change.folder, change.by)


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
