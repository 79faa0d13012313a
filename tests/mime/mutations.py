"""Well-formed mail, and what happens to mail on its way or in the hands of an attacker."""

import re
from base64 import encodebytes
from collections.abc import Callable, Iterator
from quopri import encodestring
from random import Random
from typing import NamedTuple

WORDS = "Please confirm your account"
LINK = "https://evil.example/login?id=12&copy=2"
THANKS = "<p>Thank you, déjà vu.</p>" * 9
PAGE = f'<html><body><p>{WORDS} <a href="{LINK.replace("&", "&amp;")}">here</a></p>{THANKS}</body></html>'
TEXT = f"{WORDS} at {LINK} today.\r\n{'Thank you, déjà vu. ' * 9}\r\n"
FILE = bytes(range(256)) * 3
Change = Callable[[bytes, Random], bytes]


class Encoding(NamedTuple):
    """A transfer encoding: its name, and how it is written."""

    name: str
    write: Callable[[bytes], bytes]


def _to_lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


BASE64 = Encoding("base64", lambda data: _to_lines(encodebytes(data)))
QUOTED = Encoding("quoted-printable", lambda data: _to_lines(encodestring(data)))
PLAIN = Encoding("8bit", lambda data: data)


def _part(kind: str, body: str | bytes, encoding: Encoding, more: str = "") -> bytes:
    data = body.encode() if isinstance(body, str) else body
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding.name}\r\n{more}\r\n"
    return head.encode() + encoding.write(data)


def _several(kind: str, boundary: str, *parts: bytes) -> bytes:
    mark = f"--{boundary}".encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\nThis is a mail with several parts.\r\n'
    return head.encode() + b"".join(mark + b"\r\n" + one + b"\r\n" for one in parts) + mark + b"--\r\n"


HEAD = (
    b"Received: from mx.evil.example ([192.0.2.1]) by mx.corp.example; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b'From: "Billing" <billing@evil.example>\r\nTo: ben@corp.example\r\nMessage-ID: <1@evil.example>\r\n'
    b"Subject: =?utf-8?b?RMOpasOgIHZ1?=\r\nMIME-Version: 1.0\r\n"
)


def write_mails(random: Random) -> Iterator[bytes]:
    """Write mail of each shape, in each encoding; words and link stand in each of its texts."""
    for encoding in (BASE64, QUOTED, PLAIN):
        page = _part('text/html; charset="utf-8"', PAGE, encoding)
        text = _part("text/plain; charset=utf-8", TEXT, encoding)
        file = _part(
            'application/zip; name="a.zip"', FILE, BASE64, 'Content-Disposition: attachment; filename="a.zip"\r\n'
        )
        outer, inner = (f"=_Part_{random.randrange(10**9)}" for _ in range(2))
        yield HEAD + page
        yield HEAD + text
        yield HEAD + _several("alternative", outer, text, page)
        yield HEAD + _several("mixed", outer, page, file)
        yield HEAD + _several("mixed", outer, _several("alternative", inner, text, page), file)
        yield HEAD + _several("mixed", outer, b"Content-Type: message/rfc822\r\n\r\n" + HEAD + page, file)


# -- what happens to mail ---------------------------------------------------------------------------------------------


def _replace(pattern: bytes, new: bytes | Callable[[re.Match[bytes]], bytes], count: int = 0) -> Change:
    return lambda mail, _: re.sub(pattern, new, mail, count=count, flags=re.MULTILINE)


def _structure(mail: bytes) -> list[int]:
    """Return the numbers of lines that are headers or boundaries, or empty between them."""
    lines = mail.split(b"\n")
    return [n for n, line in enumerate(lines) if re.match(rb"[\w-]+:|--=_|[ \t]|\r?$", line)]


def _at_line(change: Callable[[bytes, Random], list[bytes]]) -> Change:
    """Change one line of the structure."""

    def apply(mail: bytes, random: Random) -> bytes:
        lines = mail.split(b"\n")
        number = random.choice(_structure(mail)[3:])
        return b"\n".join([*lines[:number], *change(lines[number], random), *lines[number + 1 :]])

    return apply


def _at_byte(change: Callable[[bytes, int, Random], bytes]) -> Change:
    return _at_line(lambda line, random: [change(line, random.randrange(len(line) + 1), random)])


def _insert(piece: bytes) -> Change:
    return _at_byte(lambda line, at, _: line[:at] + piece + line[at:])


def _in_head(line: bytes) -> Change:
    """Put a line among the headers."""

    def apply(mail: bytes, random: Random) -> bytes:
        lines = mail.split(b"\r\n")
        at = random.randrange(lines.index(b"") + 1)
        return b"\r\n".join([*lines[:at], line, *lines[at:]])

    return apply


def _in_body(piece: bytes) -> Change:
    """Put something behind the beginning of a text in base64."""
    return _replace(rb"^((?:PGh0|UGxl)[\w+/]{10,30})", lambda found: found[1] + piece)


def _cut(mail: bytes, random: Random) -> bytes:
    begin = mail.find(b"\r\n--") + 1
    return mail[: random.randrange(begin or 60, len(mail))] if begin else mail[: random.randrange(60, len(HEAD))]


def _wrap(mail: bytes, random: Random) -> bytes:
    """Encode all parts once more, as a whole."""
    head, _, body = mail.partition(b"\r\n\r\n")
    if b"multipart" not in head:
        return mail.replace(b"\r\n", b"\n") if random.random() < 0.5 else mail
    return head + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encodebytes(body)


def _mix_ends(mail: bytes, random: Random) -> bytes:
    return re.sub(rb"\r\n", lambda _: random.choice([b"\n", b"\r\n", b"\r\r\n"]), mail)


def _flip(line: bytes, at: int, random: Random) -> bytes:
    return line[:at] + bytes([random.randrange(1, 256)]) + line[at + 1 :]


CHANGES: dict[str, Change] = {
    "LF": _replace(rb"\r\n", b"\n"),
    "CR": _replace(rb"\r\n", b"\r"),
    "mixed line ends": _mix_ends,
    "other boundary named": _replace(rb'boundary="', b'boundary="x', 1),
    "no boundary named": _replace(rb'; boundary="[^"]*"', b"", 1),
    "two boundaries named": _replace(rb"; boundary=", b"; boundary=nothing; boundary=", 1),
    "boundary without quotes": _replace(rb'boundary="([^"]*)"', rb"boundary=\1"),
    "boundary in pieces": _replace(rb'boundary="(.)([^"]*)"', rb'boundary*0="\1"; boundary*1="\2"'),
    "boundary encoded": _replace(rb'boundary="=_([^"]*)"', rb"boundary*=us-ascii''%3D_\1"),
    "long boundary": _replace(rb"=_Part_", b"=_" + b"a" * 150),
    "boundary that is not ASCII": _replace(rb"=_Part_", b"=_\xe4\xc3\xa4"),
    "boundary with a blank": _replace(rb"^(--=_Part_\d+(?:--)?)\r", rb"\1 \t\r"),
    "boundary right after the headers": _replace(rb"\r\n\r\nThis is a mail with several parts.", b""),
    "no closing boundary": _replace(rb"^--=_Part_\d+--\r\n", b""),
    "first boundary missing": _replace(rb"^--=_Part_\d+\r\n", b"", 1),
    "longer boundary in a text": _replace(rb"^(--=_Part_\d+)\r\n", rb"\1-more\r\n\1\r\n"),
    "blank before colons": _replace(rb"^(Subject|Content-Type|Content-Transfer-Encoding):", rb"\1 \t:"),
    "no blank after colons": _replace(rb"^([\w-]+): ", rb"\1:"),
    "folded with tabs": _replace(rb"; ", b";\r\n\t"),
    "folded with an empty line": _replace(rb"; ", b";\r\n \r\n "),
    "upper case": _replace(rb"^(content-[\w-]+: [\w/-]+)", lambda found: found[1].upper()),
    "lower case": _replace(rb"^(Content-[\w-]+: [\w/-]+)", lambda found: found[1].lower()),
    "no semicolons": _replace(rb"; (boundary|charset)", rb" \1"),
    "comment in a type": _replace(rb"^(Content-Type: [\w/-]+)", rb"\1 (a comment)"),
    "byte-order mark": lambda mail, _: b"\xef\xbb\xbf" + mail,
    "mbox line": lambda mail, _: b"From billing Mon Nov 23 10:00:00 2026\r\n" + mail,
    "empty lines first": lambda mail, _: b"\r\n\n" + mail,
    "exporter's line": lambda mail, _: b"Message 1 of 12\r\n" + mail,
    "line that is no header": _in_head(b"no header at all"),
    "long header": _in_head(b"X-Long: " + b"a" * 70_000),
    "many headers": _in_head(b"\r\n".join(b"X-%d: a" % n for n in range(2_500))),
    "long parameter": _replace(rb"(charset=)", b"x=" + b"a" * 20_000 + rb"; \1"),
    "NUL in a header": _in_head(b"X-Nul: a\0b"),
    "another type before": _in_head(b"Content-Type: text/plain"),
    "another encoding before": _in_head(b"Content-Transfer-Encoding: 7bit"),
    "another subject": _in_head(b"Subject: =?utf-8?q?caf=C3?= =?utf-8?q?=A9?="),
    "encoded words of all kinds": _in_head(b"X-A: =?utf-8*en?Q?a?= =?utf-7?q?+2AA-?= =?x?b?a?= =?utf-8?b?w6?="),
    "blank after an encoding": _replace(rb"^(Content-Transfer-Encoding: [\w-]+)", rb"\1 "),
    "comment after an encoding": _replace(rb"^(Content-Transfer-Encoding: [\w-]+)", rb"\1 (why)"),
    "quotes around an encoding": _replace(rb"^(Content-Transfer-Encoding: )([\w-]+)", rb'\1"\2"'),
    "encoding that is unknown": _replace(rb"^(Content-Transfer-Encoding: )[\w-]+", rb"\1x-unknown"),
    "no encoding named": _replace(rb"^Content-Transfer-Encoding: [\w-]+\r\n", b""),
    "blanks in base64": _in_body(b" \t"),
    "foreign characters in base64": _in_body(b"!"),
    "NUL in base64": _in_body(b"\0"),
    "padding inside base64": _in_body(b"=\r\n"),
    "a letter too many": _replace(rb"(=|[\w+/])\r\n(\r\n--|\Z)", rb"\1A\r\n\2"),
    "wrong charset": _replace(rb'charset="?utf-8"?', b"charset=koi8-r"),
    "UTF-7": _replace(rb'charset="?utf-8"?', b"charset=utf-7"),
    "UTF-16": _replace(rb'charset="?utf-8"?', b"charset=utf-16"),
    "unknown charset": _replace(rb'charset="?utf-8"?', b"charset=x-no-such"),
    "no charset": _replace(rb'; charset="?utf-8"?', b""),
    "bodies with names": _replace(rb"^(Content-Type: text/\w+)", rb'\1; name="a.txt"'),
    "names in pieces": _replace(rb"^(Content-Type: text/\w+)", rb"\1; name*0*=utf-8''a%C3%; name*1*=A9.txt"),
    "names in encoded words": _replace(rb"^(Content-Type: text/\w+)", rb'\1; name="=?utf-8?q?=C3=A9?= =?x?b?a?="'),
    "bare names": _replace(rb"^(Content-Type: text/\w+)", b"\\1; name=\xe4\xf6 (1).txt"),
    "no type": _replace(rb"^Content-Type: [^\r]*\r\n", b"", 1),
    "type that is none": _replace(rb"^(Content-Type: )\w+/\w+", rb"\1nonsense"),
    "no empty line after the headers": _replace(rb"\r\n\r\n", b"\r\n", 1),
    "no empty lines after headers": _replace(rb"^(Content-Transfer-Encoding: [\w-]+\r\n)\r\n", rb"\1"),
    "all encoded once more": _wrap,
    "cut off": _cut,
    "NUL": _insert(b"\0"),
    "letter": _insert(b"x"),
    "blank": _insert(b" "),
    "byte": _at_byte(_flip),
    "byte missing": _at_byte(lambda line, at, _: line[:at] + line[at + 1 :]),
    "line missing": _at_line(lambda _line, _random: []),
    "line twice": _at_line(lambda line, _: [line, line]),
    "line split": _at_line(lambda line, random: [line[: (at := random.randrange(len(line) + 1))], line[at:]]),
    "empty line": _at_line(lambda line, _: [b"\r", line]),
    "no mutation": lambda mail, _: mail,
}
