"""Long mail: an answer with a raw mail that was cut off is made one with as much of the mail as came."""

import re

LONGEST = 48 << 20
"""Bytes of an answer with a raw mail that are read: 40 MB of mail, and what JSON adds to them."""
BEGIN = re.compile(rb'"raw"\s{0,99}:\s{0,99}"')
SEARCHED = 4096
"""Bytes at the beginning of an answer in which the mail must begin."""
WHOLE = re.compile(rb'(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*+')
"""A text of JSON up to its end, or to an escape that was cut off."""


def close_mail(body: bytes) -> bytes:
    """Return an answer with the mail as far as it came; what holds no such mail is left as it is."""
    begin = BEGIN.search(body, 0, SEARCHED)
    if begin is None:
        return body
    text = WHOLE.match(body, begin.end())
    end = text.end() if text else len(body)
    return b'{"success":true,"result":{"is_cut":true,"raw":"' + body[begin.end() : end] + b'"}}'
