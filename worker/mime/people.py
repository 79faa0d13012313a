"""People: the names and addresses in a header."""

import re
from itertools import islice

from msgspec import Struct

from worker.mime.values import LONGEST, decode_words

MOST = 100
"""People of a header at most."""
# Not possessive as a whole: Python before 3.11.5 matches too little then. It never goes back, as the rest always fits.
ONE = re.compile(r"""((?:"(?:[^"\\]|\\.)*+"|\([^()]*+\)|[^",<(])*)(?:<([^<>]*+)>)?([^,]*+),?""", re.DOTALL)
"""A name, an address in angle brackets, and whatever is before the next comma."""
GROUP = re.compile(r"^[^:@<\"]*:|;\s*$")
COMMENT = re.compile(r"\(([^()]*)\)")
QUOTED = re.compile(r"\\(.)")


class Mailbox(Struct, frozen=True):
    """A name, which may be empty, and an address."""

    name: str
    address: str


def read_people(written: str) -> tuple[Mailbox, ...]:
    """Return whom a header names; the address is what stands in angle brackets, as mail programs take it."""
    found = (_read_one(one[1], one[2]) for one in ONE.finditer(written[:LONGEST]) if one[0].strip(", \t"))
    return tuple(islice((one for one in found if "@" in one.address), MOST))


def _read_one(before: str, bracketed: str | None) -> Mailbox:
    before = GROUP.sub("", before).strip()
    comment = COMMENT.search(before)
    bare = COMMENT.sub("", before).strip()
    if bracketed is None:
        return Mailbox(_decode(comment[1] if comment else ""), _decode(bare))
    return Mailbox(_decode(bare), _decode(bracketed.strip()))


def _decode(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = QUOTED.sub(r"\1", text[1:-1])
    return decode_words(text.encode("latin-1", "replace"))
