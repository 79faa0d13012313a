"""Proof: holds signed heads against the records of an account, both in order and one after the other."""

from collections.abc import Iterable, Iterator, Sequence

from worker.audit.heads import SIGNED, BrokenHeadError, SignedHead, hash_head, open_head
from worker.audit.keys import PublicKey
from worker.audit.lines import RecordLine
from worker.audit.signers import COMMAND

BEGINNING = b'{"account":'
"""How every head begins; a syslog server writes more before it."""


def find_heads(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the heads among some lines: records and the beginnings of heads that were cut are passed over."""
    for line in lines:
        start, found = line.find(BEGINNING), line.rstrip(b"\r\n")
        if start >= 0 and SIGNED.search(found):
            yield found[start:]


def verify_heads(lines: Iterable[bytes], account: str, keys: Sequence[PublicKey]) -> Iterator[SignedHead]:
    """Yield the heads of an account as long as each is signed by a trusted key and follows the one before.

    Raises BrokenHeadError, with a sentence that names the first one that is not or does not.
    """
    trusted = {key.id: key for key in keys}
    last: SignedHead | None = None
    told = ""
    for line in find_heads(lines):
        head, body, signature = _open(line)
        if head.account != account or hash_head(line) == told:  # a head may arrive more than once
            continue
        _take_succession(head, trusted)
        problem = _find_forgery(head, body, signature, trusted) or _find_break(head, last, told)
        if problem:
            raise BrokenHeadError(f"head {head.head} {problem}")
        last, told = head, hash_head(line)
        yield head


def list_signed(lines: Iterable[bytes]) -> set[str]:
    """Return the accounts that some heads are about, whether they can be trusted or not."""
    return {_open(line)[0].account for line in find_heads(lines)}


def _open(line: bytes) -> tuple[SignedHead, bytes, bytes]:
    try:
        return open_head(line)
    except BrokenHeadError as error:
        raise BrokenHeadError(f"a line among the heads was changed: {error}") from None


def _take_succession(head: SignedHead, trusted: dict[str, PublicKey]) -> None:
    """Trust the key that a trusted one vouches for."""
    given = head.succession
    older = trusted.get(given.after) if given else None
    if given and older and given.was_given_by(older):
        trusted[given.key.id] = given.key


def _find_forgery(head: SignedHead, body: bytes, signature: bytes, trusted: dict[str, PublicKey]) -> str:
    """Say why nobody who is trusted has signed a head; empty when somebody has."""
    candidates = list(trusted.values()) if head.key == COMMAND else [trusted[head.key]] if head.key in trusted else []
    if not candidates:
        return f"is signed by key {head.key}, which nobody vouches for: name its public half with --key if it is yours"
    if any(key.has_signed(body, signature) for key in candidates):
        return ""
    return "does not match its signature: it was changed, or signed with another key"


def _find_break(head: SignedHead, last: SignedHead | None, told: str) -> str:
    """Say why a head does not follow the last one; empty when it does."""
    if last and head.head != last.head + 1:
        return f"does not follow head {last.head}: some are missing, repeated or out of order"
    return f"names another head than {last.head} as its previous one" if last and head.previous != told else ""


class Proof:
    """The heads of an account, to be held against its records as these are taken in order."""

    def __init__(self, heads: Iterator[SignedHead]) -> None:
        """Take heads that are verified one after the other, when they are needed."""
        self._heads = heads
        self.problem = ""
        """Why the rest of the heads proves nothing."""
        self.signed: SignedHead | None = None
        """The last head whose record was there."""
        self.cut: SignedHead | None = None
        """The last head about a record before the first one here."""
        self.next = self._advance()
        """The head whose record is still to come."""

    def find_problem(self, record: RecordLine) -> str:
        """Return why a record, or one before it, is not what was signed; empty when there is no sign of that."""
        while self.next and self.next.number < record.number:
            if self.next.number == record.number - 1 and self.next.hash != record.previous:
                return f"names another record before it than head {self.next.head} signed on {self.next.at}"
            self.cut, self.next = self.next, self._advance()
        if not self.next or self.next.number > record.number:
            return ""
        head, self.next = self.next, self._advance()
        if head.hash != record.hash:
            since = self.signed.number + 1 if self.signed else 1
            return (
                f"is not what head {head.head} signed on {head.at}: it was changed, or one from record {since} on was"
            )
        self.signed = head
        return ""

    def _advance(self) -> SignedHead | None:
        try:
            return next(self._heads, None)
        except BrokenHeadError as error:
            self.problem = str(error)
            return None
