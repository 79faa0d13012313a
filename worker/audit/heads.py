"""Heads: signed lines that say which record was the last at some moment, each chained to the head before."""

import base64
import re
from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct

from worker.audit.keys import SIGNATURE, Succession
from worker.ledger.heads import KeptHead

SIGNED = re.compile(rb',"signature":"([A-Za-z0-9+/=]{88})"\}\Z')
"""How every head ends."""
_encoder = msgspec.json.Encoder(order="deterministic")


class SignedHead(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is signed: the number and hash of an account's last record, and when that was."""

    account: str
    at: str
    """When it was signed."""
    hash: str
    head: int
    """Its own number: heads count from 1, without a gap."""
    key: str
    """The id of the key, or COMMAND."""
    number: int
    previous: str
    """The SHA-256 of the head before, zeros before the first one."""
    recorded: str
    """When the last record was written."""
    succession: Succession | None = None
    """Where the key is new: the word of the one before."""

    def to_body(self) -> bytes:
        """Write the bytes that are signed."""
        return _encoder.encode(self)


class BrokenHeadError(ValueError):
    """A line that calls itself a head is none."""


def seal(body: bytes, signature: bytes) -> bytes:
    """Write a head: the bytes that were signed, with their signature at the end."""
    return body[:-1] + b',"signature":"' + base64.b64encode(signature) + b'"}'


def open_head(line: bytes) -> tuple[SignedHead, bytes, bytes]:
    """Return a head with the bytes that were signed and their signature, which is not verified yet.

    Raises BrokenHeadError for a line that is not exactly as it was written.
    """
    ending = SIGNED.search(line)
    body = line[: -len(ending[0])] + b"}" if ending else b""
    try:
        head = msgspec.json.decode(body, type=SignedHead)
        signature = base64.b64decode(ending[1]) if ending else b""
    except (ValueError, RecursionError) as error:
        raise BrokenHeadError(str(error)) from None
    if head.to_body() != body or len(signature) != SIGNATURE:
        raise BrokenHeadError("it is not written as the worker writes heads")
    return head, body, signature


def find_last(heads: Sequence[KeptHead]) -> SignedHead | None:
    """Return the last of the heads that a ledger keeps; None when there is none, or when somebody has changed it."""
    try:
        return open_head(heads[-1].line)[0] if heads else None
    except BrokenHeadError:
        return None


def hash_head(line: bytes) -> str:
    """Return what the next head names as its previous one."""
    return sha256(line).hexdigest()
