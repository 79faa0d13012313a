"""POST investigate/…/move and investigate/release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from worker.sandbox.account.account import Effect
from worker.sandbox.account.mail import (
    DESTINATIONS,
    DONE,
    NO_INTEGRATION,
    NO_MAILBOX,
    NO_SOFT_DELETE,
    NOT_FOUND,
    NOT_HELD,
    PROVIDER,
    PURGED,
    QUARANTINED,
    TEN,
    Mail,
    apply_move,
    apply_release,
    log_entry,
)
from worker.sandbox.wire import Call, Json, OutgoingResponse, Refused, format_moment, ok

if TYPE_CHECKING:
    from worker.sandbox.account.account import AccountState
    from worker.sandbox.account.mail import State


def move_one(account: AccountState, call: Call) -> OutgoingResponse:
    """Move one message; the result is a list even so."""
    destination = read_destination(account, account.reader.mapping(call.request))
    mail = account.find_mail(call.ids[0], call.now)
    if mail is None:
        raise Refused(404, 10002, "message not found")
    return ok(_move(account, call, mail, destination))


def move_many(account: AccountState, call: Call) -> OutgoingResponse:
    """Move up to 1,000 messages. There is an item for each recipient, and none says which message it is about."""
    body = account.reader.mapping(call.request)
    destination, ids = read_destination(account, body), _read_targets(account, body)
    items: list[Json] = []
    for ident in ids:
        mail = account.find_mail(ident, call.now)
        if mail is None:
            account.record(Effect(call.now, "move", ident, call.by, changed=False, detail={"status": "not found"}))
            items.append({"success": False, "status": "message not found", "operation": "MOVE"})
        else:
            items += _move(account, call, mail, destination)
    return ok(items)


def _read_targets(account: AccountState, body: Json) -> list[str]:
    """Read whom to move: in the era of the seeds also by postfix ids, or nobody."""
    if not account.options.seeds:
        return account.reader.ids(body.get("ids"))
    given = [account.reader.ids(body[name]) for name in ("ids", "postfix_ids") if name in body]
    return [ident for ids in given for ident in ids]


def read_destination(account: AccountState, body: Json) -> str:
    """Read where to move to, and refuse where nothing can be moved at all."""
    destination = body.get("destination")
    if not isinstance(destination, str) or destination not in DESTINATIONS:
        account.reader.refuse(f"destination must be one of {', '.join(sorted(DESTINATIONS))}")
    expected = body.get("expected_disposition")
    if expected is not None and not (isinstance(expected, str) and expected in TEN):
        account.reader.refuse("expected_disposition is not a disposition")
    if account.options.integration == "refused":
        raise Refused(400, 10003, NO_INTEGRATION)
    return destination


def _move(account: AccountState, call: Call, mail: Mail, destination: str) -> list[Json]:
    """Move one message and answer with an item per recipient."""
    statuses, named = move(account, call, mail, destination), mail.read_fixed().message_id
    old = account.keep_deprecated(completed_timestamp=format_moment(call.now), item_count=1)
    return [_render_item(call, recipient, status, destination, named) | old for recipient, status in statuses.items()]


def move(account: AccountState, call: Call, mail: Mail, destination: str, only: tuple[str, ...] = ()) -> dict[str, str]:
    """Move one message; for each recipient it succeeds or fails, and the log says so.

    ``only`` names the recipients of another try; for the others it was moved before. Returns the status of each try.
    """
    before, everybody = mail.now, mail.read_fixed().client_recipients
    tried = only or everybody
    hindrance = _find_hindrance(account, mail, destination)
    statuses = {one: hindrance or _find_in_reach(account, one) or _draw_luck(account) for one in tried}
    log = tuple(log_entry("MOVE", call.now, status, call.by, destination) for status in statuses.values())
    came = {"moved" if status == DONE else "move_failed" for status in statuses.values()}
    delivery = tuple(sorted(came | {"moved"} if len(tried) < len(everybody) else came))
    reached = "moved" in came
    if reached:
        mail.become(call.now, apply_move(before, destination, delivery, log))
        _maybe_move_back(account, call.now, mail)
    else:
        failed = before.delivery if before.quarantined else delivery
        mail.become(call.now, replace(before, delivery=failed, log=(*before.log, *log)))
    detail: Json = {"destination": destination, "from": before.folder, "statuses": statuses}
    account.record(Effect(call.now, "move", mail.id, call.by, reached and before.folder != destination, detail))
    return statuses


def _find_hindrance(account: AccountState, mail: Mail, destination: str) -> str | None:
    if mail.now.quarantined:
        return QUARANTINED
    if account.options.integration == "off":
        return NO_INTEGRATION
    if account.options.google and destination == "RecoverableItemsDeletions":
        return NO_SOFT_DELETE
    return NOT_FOUND if mail.now.folder == PURGED else None


def _find_in_reach(account: AccountState, mailbox: str) -> str | None:
    return NO_MAILBOX if mailbox in account.options.out_of_reach else None


def _draw_luck(account: AccountState) -> str:
    return PROVIDER if account.rng.random() < account.options.move_failed else DONE


def _maybe_move_back(account: AccountState, now: float, mail: Mail) -> None:
    """Draw whether the user will move it back into the inbox, and when."""
    if mail.now.folder not in {"Inbox", PURGED} and account.rng.random() < account.options.moved_back:
        when = now + account.options.moved_back_after * account.rng.random()
        account.schedule(when, lambda at: account.move_by_hand(mail.id, "Inbox", "user", at=at))


def _render_item(call: Call, recipient: str, status: str, destination: str, message_id: str | None) -> Json:
    return {
        "success": status == DONE,
        "status": status,
        "operation": "MOVE",
        "destination": destination,
        "recipient": recipient,
        "message_id": message_id,
        "completed_at": format_moment(call.now),
    }


def release(account: AccountState, call: Call) -> OutgoingResponse:
    """Release up to 1,000 messages from quarantine; unknown ids are left out of the result."""
    ids = _read_ids(account, call)
    mails = [(ident, account.find_mail(ident, call.now)) for ident in ids]
    if account.options.release_unknown == "404" and any(mail is None for _, mail in mails):
        raise Refused(404, 10002, "message not found")
    for ident, mail in mails:
        if mail is None:
            account.record(Effect(call.now, "release", ident, call.by, changed=False, detail={"status": "not found"}))
    return ok([release_one(account, call, mail) for _, mail in mails if mail is not None])


def _read_ids(account: AccountState, call: Call) -> list[str]:
    """Read the ids from a form of the body that an option allows."""
    body, form = account.reader.json(call.request), account.options.release_body
    if isinstance(body, list):
        if form == "object":
            account.reader.refuse("the body must be an object with ids")
        return account.reader.ids(body)
    if form == "array" or not isinstance(body, dict):
        account.reader.refuse("the body must be an array of ids")
    return account.reader.ids(body.get("ids"))


def release_one(account: AccountState, call: Call, mail: Mail) -> Json:
    """Release one message to the recipients that it has not reached yet; the log records every try."""
    before, everybody = mail.now, mail.read_fixed().client_recipients
    reached, failed, late = _draw_reached(account, before, everybody)
    status = NOT_HELD if not before.quarantined else "delivery failed for some recipients" if failed + late else DONE
    entry = log_entry("QUARANTINE_RELEASE", call.now, status, call.by)
    tried = replace(before, log=(*before.log, entry))
    mail.become(call.now, apply_release(before, everybody, reached, entry) if before.quarantined else tried)
    detail: Json = {"delivered": reached, "failed": failed + late}
    account.record(Effect(call.now, "release", mail.id, call.by, bool(reached), detail))
    item: Json = {"id": mail.id, "delivered": [*before.released, *reached] or None, "failed": failed or None}
    item |= account.keep_deprecated(postfix_id=mail.postfix)
    return item if len(everybody) > 1 and not late else item | {"undelivered": late or None}


def _draw_reached(
    account: AccountState, before: State, everybody: tuple[str, ...]
) -> tuple[tuple[str, ...], list[str], list[str]]:
    """Draw the recipients that a release reaches now, those it fails for, and those it does not reach yet."""
    left = [one for one in everybody if one not in before.released]
    if not before.quarantined:
        return (), left, []
    luck, failing = {one: account.rng.random() for one in left}, account.options.release_failed
    reached = tuple(one for one in left if luck[one] >= failing)
    late = [one for one in left if failing / 2 <= luck[one] < failing]
    return reached, [one for one in left if luck[one] < failing / 2], late
