"""What the API says when it refuses something, and what to do next. Pure; ``errors`` may be any JSON."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Raw, Struct

from worker.api.transport import Response
from worker.escaping import escape

T = TypeVar("T")
NULL = Raw(b"null")
UNREADABLE = (ValueError, OverflowError, RecursionError)
"""Errors of decoding hostile JSON; all of msgspec's errors are ValueErrors."""
MOST, DEEPEST = 8, 3
"""How many errors are read beside each other, and below each other."""
LONGEST_MESSAGE, LONGEST_MARK, LONGEST_WORDS = 160, 80, 300
LARGEST_CODE = 999_999_999
FAILURES, FORBIDDEN = 400, 403
UNENTITLED = ("subscription", "not available", "entitle", "upgrade")
"""Words by which the 403 of a missing subscription differs from that of a missing permission; the codes are equal."""
REFUSED_CREDENTIAL, CREDENTIAL_STATUSES = 10000, frozenset({400, 401, 403})
"""A code that means a refused credential only with these statuses; a spent quota has it, too."""
CREDENTIAL_CODES = frozenset({6003, 6102, 6103, 6111, 9103, 9106, 9107, 9109, 10405, 10502})
"""Codes that refuse the credential or its headers with any of these statuses; 10000 is seen with 401 and 403 alone."""

FORM_OF_KEY = (
    "Copy CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY again: they have quotes, are cut, "
    "or the key is a token, which belongs in CLOUDFLARE_API_TOKEN"
)
CREDENTIAL = (
    "Check CLOUDFLARE_API_TOKEN: the credential may have expired, be for another account than CLOUDFLARE_ACCOUNT_ID "
    'or for other addresses, or lack the permission "{permission}"'
)
HEADERS = (
    "Check CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY, "
    "and that no proxy removes the headers that carry them"
)
ROUTE = "Check CLOUDFLARE_ACCOUNT_ID, and CLOUDFLARE_BASE_URL, which ends with /client/v4 at Cloudflare"
ADVICE: Mapping[int, str] = {
    6003: "Copy CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY, again: one has quotes or is cut",
    6102: FORM_OF_KEY,
    6103: FORM_OF_KEY,
    6111: "Copy CLOUDFLARE_API_TOKEN again: it has blanks or quotes, is cut, or is a key instead of a token",
    7000: ROUTE,
    7001: ROUTE,
    7003: ROUTE,
    9103: "Check CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY: no user has both",
    9106: HEADERS,
    9107: HEADERS,
    9109: CREDENTIAL,
    REFUSED_CREDENTIAL: CREDENTIAL,
    10013: "The API failed by itself, which is mostly over soon; if it stays, check CLOUDFLARE_ACCOUNT_ID",
    10405: 'Set CLOUDFLARE_API_TOKEN to a token with the permission "{permission}"; this credential is of another kind',
    10502: "Check CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY: they were refused too often",
}
"""What to do next, by the codes of Cloudflare's API as a whole; those of Email Security are not documented."""
FAILS = "If it goes on, look at Cloudflare's status page"
ADVICE_BY_STATUS: Mapping[int, str] = {
    401: "Check CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL and CLOUDFLARE_API_KEY; it may have expired",
    FORBIDDEN: 'The credential needs the permission "{permission}" for this account',
    429: "The request quota is spent; waiting for as long as the API says",
    **dict.fromkeys(range(500, 600), FAILS),
}
"""The same where no code is known."""
UNSUBSCRIBED = "The account's subscription does not include this"
BLOCKED = "Cloudflare's edge blocks this network address or proxy; ask from another one, or check CLOUDFLARE_BASE_URL"
EDGE_ADVICE: Mapping[int, str] = {
    1015: "Cloudflare's edge limits this network address: lower WORKER_BUDGET, or find what else sends from it",
    **dict.fromkeys((1005, 1006, 1007, 1008, 1009, 1010, 1012, 1020, 1106), BLOCKED),
}
"""The same for the codes of Cloudflare's edge, which mean other things when the API itself says them."""
EDGE_ERROR = re.compile(rb"(?i)\berror(?:[ _]code)?\W{0,4}(?:<[^<>]{0,80}>\s{0,20}){0,4}\b(1[0-2]\d\d)\b")
EDGE_SEARCHED = 10_000
"""Bytes of a page that are searched for the edge's error, which stands near its top."""


class WireSource(Struct):
    """Where an error is, as it came."""

    pointer: Raw = NULL


class WireError(Struct):
    """An error or a message, as it came."""

    code: Raw = NULL
    message: Raw = NULL
    error_chain: Raw = NULL
    source: Raw = NULL
    documentation_url: Raw = NULL


class Complaint(NamedTuple):
    """An error or a message: its words, its code (0 without one), where it points, and the errors below it."""

    message: str
    code: int = 0
    marks: tuple[str, ...] = ()
    below: tuple["Complaint", ...] = ()

    def __str__(self) -> str:
        """Describe it on one line, with its code and what is below."""
        marks = (*([str(self.code)] if self.code else []), *(escape(mark, LONGEST_MARK) for mark in self.marks))
        words = escape(self.message, LONGEST_MESSAGE) or "no reason given"
        own = f"{words} ({', '.join(marks)})" if marks else words
        return f"{own}: {', '.join(map(str, self.below))}" if self.below else own

    def walk(self) -> Iterator["Complaint"]:
        """Yield what is below first, because it says more, and then the complaint itself."""
        yield from chain.from_iterable(one.walk() for one in self.below)
        yield self


class Refusal(NamedTuple):
    """What an answer says for its failure."""

    errors: tuple[Complaint, ...] = ()
    messages: tuple[Complaint, ...] = ()
    edge: int = 0
    """The code on a page of Cloudflare's edge, which has nothing else to read."""

    @property
    def words(self) -> str:
        """The API's own words for a person, escaped and limited in length."""
        if self.edge:
            return f"error {self.edge} of Cloudflare's edge"
        said = "; ".join(map(str, self.errors)) or "no reason given"
        added = "; ".join(map(str, self.messages))
        return escape(f"{said}; it adds: {added}" if added else said, LONGEST_WORDS)

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes of its errors."""
        return tuple(one.code for one in self._walk() if one.code)

    @property
    def is_unentitled(self) -> bool:
        """Whether the errors speak of a missing subscription."""
        said = " ".join(one.message.lower() for one in self._walk())
        return any(word in said for word in UNENTITLED)

    def is_of_credential(self, status: int) -> bool:
        """Tell whether the credential is refused, whatever was asked for."""
        return status in CREDENTIAL_STATUSES and not CREDENTIAL_CODES.isdisjoint(self.codes)

    def advise(self, status: int, permission: str) -> str:
        """Say what to do next, by the first code that is known or else by the status; nothing when neither is."""
        if self.edge:
            return EDGE_ADVICE.get(self.edge, "")
        if status == FORBIDDEN and self.is_unentitled:
            return UNSUBSCRIBED
        codes = [one.code for one in self._walk() if one.code in ADVICE]
        known = [code for code in codes if code != REFUSED_CREDENTIAL or status in CREDENTIAL_STATUSES]
        advice = ADVICE[known[0]] if known else ADVICE_BY_STATUS.get(status, "")
        return advice.format(permission=permission)

    def _walk(self) -> Iterator[Complaint]:
        return chain.from_iterable(one.walk() for one in self.errors)


def read_refusal(errors: Raw, messages: Raw) -> Refusal:
    """Read the errors and messages of an answer, whatever JSON they are."""
    return Refusal(_read_complaints(errors, DEEPEST), _read_complaints(messages, 1))


def read_page(response: Response) -> Refusal:
    """Read the code of the error that a page of Cloudflare's edge names, be it in HTML, text or JSON.

    Only a failure is such a page: what comes with a success may be mail, which anybody can write.
    """
    found = EDGE_ERROR.search(response.body[:EDGE_SEARCHED]) if response.status >= FAILURES else None
    return Refusal(edge=int(found[1]) if found else 0)


def _read_complaints(said: Raw, depth: int) -> tuple[Complaint, ...]:
    """Read a list of errors, or one without its list; what says nothing is left out."""
    entries = (_take(said, list[Raw]) or [said]) if depth else []
    read = (_read_complaint(entry, depth) for entry in entries[:MOST])
    return tuple(one for one in read if one != Complaint(""))


def _read_complaint(entry: Raw, depth: int) -> Complaint:
    """Read an object, or only its text."""
    wire = _take(entry, WireError)
    if wire is None:
        return Complaint(_take(entry, str) or "")
    pointer = _take(wire.source, WireSource)
    marks = {"at": _read_text(pointer.pointer if pointer else NULL), "see": _read_text(wire.documentation_url)}
    return Complaint(
        _read_text(wire.message),
        _read_code(wire.code),
        tuple(f"{word} {mark}" for word, mark in marks.items() if mark),
        _read_complaints(wire.error_chain, depth - 1),
    )


def _read_text(raw: Raw) -> str:
    """Return a text without the stop at its end, and anything else as the JSON that it came as."""
    text = _take(raw, str)
    shown = bytes(raw).decode(errors="replace") if text is None and raw != NULL else text or ""
    return shown.strip().rstrip(".")


def _read_code(raw: Raw) -> int:
    """Return a code, which may come as digits in a text; 0 for anything else."""
    code = _take(raw, int, strict=False) or 0
    return code if 0 < code <= LARGEST_CODE else 0


def _take(raw: Raw, kind: type[T], *, strict: bool = True) -> T | None:
    """Decode JSON that may be of another kind, or none at all."""
    try:
        return msgspec.json.decode(raw, type=kind, strict=strict)
    except UNREADABLE:
        return None
