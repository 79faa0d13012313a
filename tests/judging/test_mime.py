"""Parsing mail: honest mail is read completely, and hostile mail costs bounded time."""

import time
from email.message import EmailMessage
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker.judging.mime import LONGEST, MOST_LINKS, MOST_PARTS, parse_mail
from worker.language.base import CUT

PLAIN = "Content-Type: text/plain\n\n"
MIXED = "Content-Type: multipart/mixed; boundary=x\n\n"


def written(text: str = "Hello https://plain.example/a, and goodbye.") -> EmailMessage:
    """Write a mail as a mail program does: two texts, a file, and another mail inside."""
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "Adá Cole <ada@corp.example>", "Grüße"
    mail.set_content(text)
    mail.add_alternative('<a HREF = "https://html.example/?a=1&amp;b=2">pay</a>', subtype="html")
    mail.add_attachment(b"MZ", maintype="application", subtype="octet-stream", filename="Rechnung für Ada.exe")
    inner = EmailMessage()
    inner.set_content("https://inner.example")
    mail.add_attachment(inner)
    return mail


def test_a_mail_is_headers_texts_links_and_files() -> None:
    raw = parse_mail(written().as_string())
    assert raw.header("subject") == "Grüße"
    assert raw.header("From") == "Adá Cole <ada@corp.example>"
    assert raw.header("X-Nothing") == ""
    assert raw.text.startswith("Hello https://plain.example")
    assert raw.links == ("https://html.example/?a=1&b=2", "https://plain.example/a")
    assert [(one.filename, one.content_type) for one in raw.attachments] == [
        ("Rechnung für Ada.exe", "application/octet-stream"),
        ("", "message/rfc822"),
    ]
    assert (raw.attachments[0].size, raw.attachments[0].sha256) == (2, sha256(b"MZ").hexdigest())
    assert raw.problems == ()


def test_a_boundary_may_begin_with_another_one() -> None:
    inner = f"Content-Type: multipart/alternative; boundary=xy\n\n--xy\n{PLAIN}one\n--xy--\n"
    raw = parse_mail(f"{MIXED}before\n--x\n{inner}\n--x\n{PLAIN}two\n--x--\n--x\n{PLAIN}after\n")
    assert raw.text.split() == ["one", "two"]


def test_a_mail_that_was_broken_off_is_read_as_far_as_it_goes() -> None:
    assert parse_mail(f"{MIXED}--x\n{PLAIN}one").text == "one"
    assert parse_mail(f"{MIXED}--x").problems == ()
    assert parse_mail("Subject: a").header("Subject") == "a"
    assert parse_mail("").headers == ()


@each("charset", ["hex", "punycode", "undefined", "no-such", "a\0b", ""])
def test_a_strange_encoding_reads_as_utf_8(charset: str) -> None:
    assert parse_mail(f"Content-Type: text/plain; charset={charset}\n\nhäi").text == "häi"


@each(
    "subject", ["=?utf-8?b?a?=", "=?hex?q?a?=", "=?utf-8?q?" + "=" * 90, "=?a?b?" * 2000, "a =?utf-8?x?b?=", "\udc80"]
)
def test_a_header_that_is_wrongly_encoded_costs_nothing(subject: str) -> None:
    raw = parse_mail(f"Subject: {subject}\n\nhi")
    assert raw.text == "hi"
    assert raw.header("Subject")


def test_browsers_pass_over_line_breaks_in_a_link_and_so_do_we() -> None:
    html = "Content-Type: text/html\n\n<a href='https://ev\nil.exa\tmple'><a href=/x><a href=\"\">"
    assert parse_mail(html).links == ("https://evil.example", "/x")


def test_more_links_than_anybody_reads_are_counted_and_left() -> None:
    raw = parse_mail(PLAIN + " ".join(f"https://a.example/{n} https://a.example/{n}" for n in range(150)))
    assert len(raw.links) == MOST_LINKS
    assert raw.problems == ("only the first 100 of 150 links were kept",)


def test_a_file_whose_end_was_not_read_has_no_size_and_no_hash() -> None:
    raw = parse_mail(f"{MIXED}--x\nContent-Type: image/png; name=a.png\n\n{'a' * LONGEST}\n--x--\n")
    assert [(one.filename, one.size, one.sha256) for one in raw.attachments] == [("a.png", 0, "")]
    assert raw.problems == ("only the first 2,000,000 bytes were read",)


def test_a_text_whose_end_was_not_read_is_cut_like_all_long_texts() -> None:
    raw = parse_mail(f"{MIXED}--x\nContent-Type: image/png; name=a.png\n\na\n--x\n{PLAIN}{'b' * LONGEST}")
    assert raw.attachments[0].size == 1
    assert raw.text.endswith(CUT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "eml",
    [
        'Content-Type: multipart/mixed; a="' + ";" * LONGEST,
        MIXED + ('--x\nContent-Type: multipart/mixed; a="' + ";" * 60_000 + "\n\nhi\n") * 33,
        MIXED + "--x\n" * 500_000,
        MIXED + "--xy\n" * 400_000,
        "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(40_000)),
        "Content-Type: message/rfc822\n\n" * 70_000,
        "Content-Type: text/html\n\n" + 'href="' * 330_000,
        "Content-Type: text/html\n\n" + ("href" + " " * 500) * 4000,
        "\n" + "https://" * 250_000,
        "Subject: " + "=?a?q?x " * 250_000 + "\n\nhi",
        "Content-Type: text/plain; charset=punycode\n\n" + "ba" * 600_000,
        "".join(f"X{n}: a\n" for n in range(300_000)),
        "\r\n" * 1_000_000,
    ],
    ids=[
        *("parameters", "parts with parameters", "boundaries", "almost boundaries", "parts in parts", "mails in mails"),
        *("open quotes", "spaces", "addresses", "encoded words", "slow encoding", "headers", "empty lines"),
    ],
)
def test_hostile_mail_costs_little(eml: str) -> None:
    assert len(parse_mail(eml).attachments) <= MOST_PARTS
    # What is quadratic takes thousands of times as long as harmless mail of the same size.
    assert spent(eml) < 300 * spent("Subject: hi\n\n" + "word " * 400_000)


def spent(eml: str) -> float:
    """Return the seconds of CPU time that parsing a mail takes."""
    begun = time.process_time()
    parse_mail(eml)
    return time.process_time() - begun


def test_parts_beyond_the_hundredth_are_told() -> None:
    raw = parse_mail(MIXED + f"--x\n{PLAIN}one\n" * 120)
    assert len(raw.text.split()) == MOST_PARTS - 1
    assert raw.problems == ("only the first 100 parts were read",)


@pytest.mark.parametrize(
    "header", ["Content-Disposition: attachment; filename", "Content-Type: multipart/mixed; boundary"]
)
def test_a_part_that_breaks_the_library_costs_only_itself(header: str) -> None:
    raw = parse_mail(f"{MIXED}--x\n{header}*=undefined''a\n\none\n--x\n{PLAIN}two\n--x--\n")
    assert raw.text.strip() == "two"
    assert raw.problems == ("a part could not be read: UnicodeError",)


@given(st.text(max_size=400))
def test_whatever_is_written_is_read_without_an_error(text: str) -> None:
    assert len(parse_mail(text).headers) <= text.count(":")
    assert parse_mail(f"{MIXED}--x\n{PLAIN}{text}\n--x--").links in {(), parse_mail(f"{PLAIN}{text}").links}
