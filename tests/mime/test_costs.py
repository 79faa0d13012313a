"""Hostile mail costs bounded time: 1 s of CPU for a megabyte, 10 s for forty, and what is left out is named."""

import time

import pytest

from worker.mime.letter import Letter
from worker.mime.octets import Octets, restore_bytes
from worker.mime.parts import MOST_PARTS
from worker.mime.reader import LATE, LONGEST, read_letter

MEGABYTE = 1_000_000
MIXED = b"Content-Type: multipart/mixed; boundary=x\n\n"
PAGE = b"Content-Type: text/html\n\n"


def fill(head: bytes, piece: bytes, size: int = MEGABYTE) -> bytes:
    """Repeat a piece behind a head, up to a size."""
    return head + piece * ((size - len(head)) // len(piece))


PIECES = {
    "parameters": (b'Content-Type: multipart/mixed; a="', b";"),
    "names of parameters": (b"Content-Type: multipart/mixed", b"; a*0*=''%41"),
    "parts with parameters": (MIXED, b'--x\nContent-Type: multipart/mixed; a="' + b";" * 60_000 + b"\n\nhi\n"),
    "boundaries": (MIXED, b"--x\n"),
    "almost boundaries": (MIXED, b"--xy\n"),
    "likely boundaries": (MIXED, b"--" + b" " * 99 + b"\n"),
    "parts in parts": (b"", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"),
    "mails in mails": (b"", b"Content-Type: message/rfc822\n\n"),
    "encoded mails": (b"", b"Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n"),
    "headers": (b"", b"X: a\n"),
    "folds": (b"X: a\n", b" a\n"),
    "lines that are no headers": (b"", b"no header\n"),
    "empty lines": (b"", b"\r\n"),
    "carriage returns": (b"", b"\r"),
    "encoded words": (b"Subject: ", b"=?a?q?x "),
    "paddings": (b"Content-Transfer-Encoding: base64\n\n", b"QQ=="),
    "meta": (PAGE, b"<meta "),
    "tags": (PAGE, b"<div>"),
    "ends of tags": (PAGE, b"<div>" * 450 + b"</b>" * 10_000 + b"</div>" * 450),
    "formats": (PAGE, b"<b><p>"),
    "quotes": (PAGE, b'href="'),
    "comments": (PAGE, b"<!--"),
    "comments for Outlook": (PAGE, b"<!--[if mso]><a href=x>a</a><![endif]-->"),
    "links": (PAGE, b"<a href=https://evil.example/>a"),
    "attributes": (PAGE + b"<a ", b"a=b "),
    "entities": (PAGE, b"&amp"),
    "NULs": (PAGE, b"\0"),
    "addresses": (b"\n", b"https://"),
    "words with dots": (b"\n", b"a.b "),
    "one long word": (b"\n", b"a."),
    "at signs": (b"\n", b"a@b.c "),
    "slow charset": (b"Content-Type: text/plain; charset=punycode\n\n", b"ba"),
    "wide charset": (b"Content-Type: text/plain; charset=iso-2022-jp\n\n", b"\x1b$B\x1b(B"),
}


def spend(data: bytes) -> tuple[Letter, float]:
    """Take a mail apart, and return it with the seconds of CPU time that this took."""
    begun = time.process_time()
    return read_letter(Octets(data)), time.process_time() - begun


@pytest.mark.slow
@pytest.mark.parametrize("name", PIECES)
def test_a_megabyte_costs_a_second_at_most(name: str) -> None:
    data = fill(*PIECES[name])
    tries = (spend(data) for _ in range(3))  # on a machine with other work, all takes longer at times
    read = next((mail for mail, seconds in tries if seconds < 1), None)
    assert read
    assert len(read.files) <= MOST_PARTS


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "name", ["encoded mails", "mails in mails", "almost boundaries", "likely boundaries", "formats"]
)
def test_forty_megabytes_cost_ten_seconds_at_most(name: str) -> None:
    assert spend(fill(*PIECES[name], size=LONGEST))[1] < 10


@pytest.mark.slow
def test_the_bytes_of_a_long_text_are_restored_in_little_time() -> None:
    mail, begun = "charset=" * 4_000_000 + "\u00fc", time.process_time()
    assert restore_bytes(mail).is_guess
    assert time.process_time() - begun < 10


def test_when_the_time_is_over_what_is_there_is_given_and_told() -> None:
    parts = b"--x\n\nsee https://evil.example/%d\n"
    ticks = iter(range(1_000))
    mail = read_letter(Octets(MIXED + b"".join(parts % n for n in range(50))), lambda: float(next(ticks)))
    assert 0 < mail.text.count("see") < 50
    assert mail.links == ()
    assert LATE in mail.problems


def test_a_page_that_takes_too_long_is_read_as_far_as_it_went() -> None:
    ticks = iter([0.0, *[1.0] * 3, *[20.0] * 99])
    page = b"<a href=https://evil.example/x>a</a>" + b"<p>words</p>" * 9_000 + b"<a href=https://end.example/>b</a>"
    mail = read_letter(Octets(PAGE + page), lambda: next(ticks))
    assert [link.href for link in mail.links] in ([], ["https://evil.example/x"])
    assert "a page was not read to its end, which would take too long" in mail.problems
