"""Observations: the state of a message, read from a record of the API, and a memory of the latest ones."""

from collections import OrderedDict
from datetime import UTC, datetime
from functools import lru_cache
from sys import intern
from typing import ClassVar

import msgspec
from msgspec import field

from worker.language.base import Noun, Text, Texts
from worker.language.reading import Unreadable, read
from worker.language.times import Time, epoch
from worker.ledger.entries import Look
from worker.ledger.values import MailNames, Reading, Thing

REMEMBERED = 20_000
"""Messages whose latest look is remembered."""


class MessageKey(Noun, frozen=True):
    """The fields of a message that the daemon itself reads; the record stays bytes otherwise.

    No verdict is what clean mail has. That the quarantine is left out, or null, is documented nowhere.
    """

    _keys = ("final_disposition",)
    _older: ClassVar[dict[str, str]] = {"scanned_at": "ts"}

    id: str
    is_quarantined: bool
    final_disposition: Text = ""
    scanned_at: Time = None
    post_delivery_operations: Texts = ()
    delivery_status: Texts = ()


class NamesKey(Noun, frozen=True):
    """The fields of a message by which people know it."""

    id: str
    postfix_id: Text = ""
    message_id: Text = ""
    sender: Text = field(name="from", default="")
    client_recipients: Texts = ()
    subject: Text = ""


class Looks:
    """The latest look at each of the messages read most recently, kept in memory."""

    def __init__(self) -> None:
        self._looks: OrderedDict[str, Look] = OrderedDict()

    def remember(self, message: str, look: Look) -> None:
        """Remember a look, unless a newer one is known."""
        known = self._looks.pop(message, look)
        self._looks[message] = look if look.at >= known.at else known
        if len(self._looks) > REMEMBERED:
            self._looks.popitem(last=False)

    def recall(self, message: str, since: float) -> Look | None:
        """Return the latest look at a message if it was read at ``since`` or later."""
        look = self._looks.get(message)
        return look if look and look.at >= since else None


def read_message(raw: msgspec.Raw, began: float, *, detected: bool = False) -> Reading:
    """Read the key fields of a message's record; raise Unreadable, for a ``detected`` one also without a verdict."""
    key = read(MessageKey, raw)
    if not key.id:
        raise Unreadable("the message has no id")
    if detected and not key.final_disposition:
        raise Unreadable("its final_disposition is missing, although only detections were asked for")
    state = intern(f"{key.final_disposition or 'NONE'}|{'quarantined' if key.is_quarantined else 'delivered'}")
    operations, status = _share(key.post_delivery_operations), _share(key.delivery_status)
    look = Look(began, state, key.is_quarantined, operations, status)
    thing = Thing("Message", read_scan_time(key.id, key.scanned_at), key.id)
    verdict = key.final_disposition or "NONE"
    return Reading(thing=thing, state=state, raw=bytes(raw), verdict=verdict, look=look)


def read_names(raw: bytes | msgspec.Raw) -> MailNames:
    """Read by what people know a message; raise Unreadable."""
    key = read(NamesKey, raw)
    return MailNames(
        postfix_id=key.postfix_id or key.id.partition("-")[0],
        message_id=key.message_id,
        sender=key.sender,
        recipients=key.client_recipients,
        subject=key.subject,
    )


def try_names(raw: bytes) -> MailNames:
    """Read by what people know a message, as far as that can be read."""
    try:
        return read_names(raw)
    except Unreadable:
        return MailNames()


@lru_cache(maxsize=256)
def _share(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the same object for equal words, because thousands of looks are kept and most are equal."""
    return words


def read_scan_time(message: str, scanned_at: datetime | None = None) -> float:
    """Return the time in a message's id, else its scan time; raise Unreadable when it has neither."""
    inside = message.partition("-")[2].rpartition("-")[0]
    if not (at := _time_of(inside) or epoch(scanned_at)):
        raise Unreadable(f"the id {message[:60]!r} has no time, and the record no scanned_at")
    return at


def has_scan_time(message: str) -> bool:
    """Tell whether an id is whole, so that its message can be read without a search."""
    return bool(_time_of(message.partition("-")[2].rpartition("-")[0]))


@lru_cache(maxsize=4096)
def _time_of(inside: str) -> float:
    """Parse the time in an id, 0 when there is none; cached, because many mails arrive in one second."""
    try:
        return epoch(datetime.fromisoformat(inside).replace(tzinfo=UTC))
    except ValueError:
        return 0.0
