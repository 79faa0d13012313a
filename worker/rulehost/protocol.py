"""The protocol between the daemon and a rule process: frames on a socket, and a note in shared memory.

A frame is four bytes of length, then msgpack. The process says ``Ready``. The daemon sends ``Sources`` and receives
``Parsed``, a ``Declared`` for each file, and ``Loaded``; then it sends one ``EventPage`` after another and receives
``Verdicts``, in several frames if they are long. A process that hangs or dies writes its traceback to the same socket
as bare text: its first four letters, read as a length, are far above ``ANSWER_LIMIT``.
"""

from collections.abc import Iterator
from struct import Struct as Layout
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.msgpack import encode

from worker.language.rules import RuleInfo
from worker.rulehost.evaluation import Event, Said, Skip
from worker.rulehost.validation import Problem
from worker.walls import Wall

HEAD = Layout("<I")
"""The length of a frame; ``MORE`` is added to it when the answer goes on in a further frame."""
MORE = 1 << 31
PAGE_EVENTS, PAGE_BYTES = 500, 8 << 20
"""Events and bytes of one page at most; a larger event is sent alone."""
ANSWER_LIMIT = 1 << 20
"""Bytes of one frame of an answer at most: the daemon reads that without keeping others waiting."""
LAST_WORDS_LIMIT = 64 << 10
"""Bytes that are read of what a process writes at its end."""
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


class Ready(Struct, frozen=True):
    """The first frame of a process, before it has been given any rule: which walls stand around it."""

    standing: dict[Wall, str]


class Parsed(Struct, frozen=True):
    """By file: the fingerprint of its code, told before any of the files is run."""

    fingerprints: dict[str, str]


class Declared(Struct, frozen=True):
    """The rules of one file, told before the next one is run."""

    file: str
    rules: tuple[RuleInfo, ...]


class Loaded(Struct, frozen=True, omit_defaults=True):
    """The result of loading the sources: rules, or problems.

    ``outcomes`` has for each rule one text per example: empty when the rule does what it says, else the difference.
    """

    rules: tuple[RuleInfo, ...] = ()
    outcomes: tuple[tuple[str, ...], ...] = ()
    fingerprint: str = ""
    problems: tuple[Problem, ...] = ()


class Verdicts(Struct, frozen=True, omit_defaults=True):
    """What the rules said about some events of a page, and by number of rule its calls and their seconds."""

    said: Annotated[list[Said], Meta(min_length=1, max_length=PAGE_EVENTS)]
    calls: dict[int, tuple[int, float]] = {}


def pack_frame(message: object, *, more: bool = False) -> bytes:
    """Encode a message with its length in front; ``more`` says that another frame of the same answer follows."""
    body = encode(message)
    return HEAD.pack(len(body) | MORE * more) + body


def pack_verdicts(verdicts: Verdicts) -> bytes:
    """Encode an answer in as many frames as it needs."""
    *others, last = _split_verdicts(verdicts)
    return b"".join([*(HEAD.pack(len(body) | MORE) + body for body in others), HEAD.pack(len(last)) + last])


def _split_verdicts(verdicts: Verdicts) -> Iterator[bytes]:
    """Yield an answer in parts that fit a frame; what was said about a single event is never parted."""
    body, said = encode(verdicts), verdicts.said
    if len(body) <= ANSWER_LIMIT or len(said) == 1:
        yield body
        return
    half = len(said) // 2
    yield from _split_verdicts(Verdicts(said[:half]))
    yield from _split_verdicts(Verdicts(said[half:], verdicts.calls))
