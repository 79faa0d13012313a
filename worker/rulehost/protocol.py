"""The protocol between the daemon and a rule process: frames on a socket, and a note in shared memory.

A frame is four bytes of length, then msgpack. The daemon sends ``Sources`` and receives ``Loaded``; then it sends one
``EventPage`` after another and receives ``Verdicts``. A process that hangs or dies writes its
traceback to the same socket as bare text: its first four letters, read as a length, are far above ``FRAME_LIMIT``.
"""

from struct import Struct as Layout

from msgspec import Struct
from msgspec.msgpack import encode

from worker.language.rules import RuleInfo
from worker.rulehost.evaluation import Event, Said, Skip
from worker.rulehost.validation import Problem

HEAD = Layout("<I")
FRAME_LIMIT = 64 << 20
"""Bytes of one frame at most."""
NOTE = Layout("<QII")
"""Shared memory: calls so far, number of the event (while loading: of the file), number of the rule."""
MEMORY = 512 << 20
"""Bytes of address space that a rule process may use."""
OUT_OF_MEMORY = 112
"""Exit status of a rule process that reached this limit."""


class EventPage(Struct, frozen=True, omit_defaults=True):
    """Events to judge, and calls that must not be made again."""

    events: tuple[Event, ...]
    skip: tuple[Skip, ...] = ()


class Loaded(Struct, frozen=True, omit_defaults=True):
    """The result of loading the sources: rules, or problems."""

    rules: tuple[RuleInfo, ...] = ()
    fingerprint: str = ""
    problems: tuple[Problem, ...] = ()


class Verdicts(Struct, frozen=True, omit_defaults=True):
    """What the rules said about a page, one answer per event, and by number of rule its calls and their seconds."""

    said: list[Said]
    calls: dict[int, tuple[int, float]] = {}


def pack_frame(message: object) -> bytes:
    """Encode a message with its length in front."""
    body = encode(message)
    return HEAD.pack(len(body)) + body
