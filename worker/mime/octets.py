"""Octets: the bytes of a mail that came as text."""

import re
from typing import NamedTuple

CHARSET = re.compile(r"""charset\s{0,9}=\s{0,9}"?([\w.:+-]{1,40})|(binary)""", re.IGNORECASE)
DAMAGED = "\ufffd"
"""What stands for bytes that were no text."""
UNICODE = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


class Octets(NamedTuple):
    """Bytes; ``is_guess`` if a file that is sent as it is may have had others, ``is_cut`` if more of them follow."""

    data: bytes
    is_guess: bool = False
    is_cut: bool = False


def restore_bytes(mail: str) -> Octets:
    """Return the bytes of a mail that was decoded either as UTF-8 or, each byte for itself, as Latin-1.

    Letters beyond Latin-1 come from UTF-8 alone. Others that would be UTF-8 as bytes are bytes. The rest may be either,
    and what the mail says of its charsets decides.
    """
    try:
        data = mail.encode("latin-1")
    except UnicodeEncodeError:
        return Octets(mail.encode("utf-8", "replace"), is_guess=DAMAGED in mail)
    if _is_utf8(data):
        return Octets(data)
    named = {(found[1] or found[2]).lower() for found in CHARSET.finditer(mail)}
    return Octets(data if named - UNICODE else mail.encode("utf-8"), is_guess=True)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
