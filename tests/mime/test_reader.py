"""Reading mail: honest mail is read completely, odd mail as mail programs show it, and what is lost is named."""

from base64 import encodebytes
from email.message import EmailMessage
from hashlib import sha256

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cells import each
from worker.mime.letter import Letter
from worker.mime.octets import Octets, restore_bytes
from worker.mime.parts import DEEPEST, MOST_PARTS
from worker.mime.reader import LONGEST, read_letter

PLAIN = "Content-Type: text/plain\n\n"
MIXED = "Content-Type: multipart/mixed; boundary=x\n\n"
PAGE = '<p>Please <a href="https://evil.example/login">sign in</a></p>'


def read(mail: str | bytes) -> Letter:
    """Take a mail apart."""
    return read_letter(restore_bytes(mail) if isinstance(mail, str) else Octets(mail))


def hrefs(letter: Letter) -> list[str]:
    return [link.href for link in letter.links]


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
    mail = read(written().as_bytes())
    assert mail.header("subject") == "Grüße"
    assert mail.header("From") == "Adá Cole <ada@corp.example>"
    assert mail.header("X-Nothing") == ""
    assert mail.text.startswith("Hello https://plain.example")
    assert hrefs(mail) == ["https://html.example/?a=1&b=2", "https://plain.example/a", "https://inner.example/"]
    assert [(one.name, one.kind) for one in mail.files] == [
        ("Rechnung für Ada.exe", "application/octet-stream"),
        ("", "message/rfc822"),
    ]
    assert (mail.files[0].size, mail.files[0].sha256) == (2, sha256(b"MZ").hexdigest())
    assert mail.problems == ()


def test_a_boundary_may_begin_with_another_one() -> None:
    inner = f"Content-Type: multipart/alternative; boundary=xy\n\n--xy\n{PLAIN}one\n--xy--\n"
    mail = read(f"{MIXED}before\n--x\n{inner}\n--x\n{PLAIN}two\n--x--\n--x\n{PLAIN}after\n")
    assert mail.text.split() == ["one", "two"]


def test_what_follows_a_boundary_that_is_none_belongs_to_the_part() -> None:
    mail = read(f"{MIXED}--x\nContent-Type: text/html\n\na\n--x--More\n{PAGE}\n--x--\n")
    assert (hrefs(mail), mail.problems) == (["https://evil.example/login"], ())


def test_a_mail_that_was_broken_off_is_read_as_far_as_it_goes() -> None:
    broken = read(f"{MIXED}--x\n{PLAIN}one")
    assert (broken.text, broken.problems) == ("one", ("the mail ends before its last part does",))
    assert read("Subject: a").header("Subject") == "a"
    assert read("") == Letter()


@each(
    ("head", "problem"),
    [
        ("X-Odd : yes\n", ""),
        ("no header\n", "a line among the headers is none"),
        ("From ada Mon Nov 23 10:00:00 2026\n", "a line among the headers is none"),
        ("\ufeff", ""),
        ("\n\r\n", ""),
        ("X-Nul: a\0b\n", "the headers have NUL characters"),
        ("Content-Type: text/html\n", "a part has two headers content-type"),
        ("X: " + "a" * 70_000 + "\n", "only the first 65,536 bytes and 2,000 lines of the headers of a part were read"),
    ],
)
def test_odd_headers_cost_nothing_else(head: str, problem: str) -> None:
    whole = f"{head}Subject: a\nContent-Type: text/html; charset=utf-8\n\n{PAGE}"
    mail = read(whole.encode())
    assert mail.html == PAGE or problem.startswith("only")
    assert mail.problems == ((problem,) if problem else ())


@each("mail", [f"{MIXED}--x\n{PAGE}\n--x--", f"Subject: a\nContent-Type: text/html\n{PAGE}\n\nmore"])
def test_a_body_begins_where_headers_cannot_go_on(mail: str) -> None:
    found = read(mail)
    assert PAGE in found.text + found.html
    assert "https://evil.example/login" in hrefs(found)
    assert found.problems == ("no empty line is between headers and body",)


@each(
    "mail",
    [
        f"Content-Type: multipart/mixed; boundary=other\n\n--x\nContent-Type: text/html\n\n{PAGE}\n--x--\n",
        f"Content-Type: multipart/mixed\n\n--x\nContent-Type: text/html\n\n{PAGE}\n--x--\n",
    ],
)
def test_parts_are_told_apart_by_a_boundary_that_no_header_names(mail: str) -> None:
    found = read(mail)
    assert hrefs(found) == ["https://evil.example/login"]
    assert found.problems == ("the parts are not divided by the boundary that the headers name",)


def test_a_mail_without_a_type_may_have_parts() -> None:
    assert read(f"Subject: a\n\n--x\nContent-Type: text/html\n\n{PAGE}\n--x--\n").html == PAGE


def test_a_mail_that_promises_parts_and_has_none_is_a_text() -> None:
    found = read(f"{MIXED}{PAGE}")
    assert (found.html, found.problems) == (PAGE, ("the headers promise parts, and there are none",))


def test_parts_that_are_encoded_as_a_whole_are_read() -> None:
    inner = b"--x\nContent-Type: text/html\n\n" + PAGE.encode() + b"\n--x--\n"
    coded = encodebytes(inner).decode()
    found = read(f"Content-Transfer-Encoding: base64\n{MIXED}{coded}")
    assert (found.html, found.problems) == (PAGE, ("a part that contains others is encoded as a whole",))


def test_a_text_with_the_name_of_a_file_is_shown_and_can_be_saved() -> None:
    inline = 'Content-Type: text/html; name="body.htm"\nContent-Disposition: inline\n\n'
    found = read(f"{MIXED}--x\n{inline}{PAGE}\n--x--\n")
    assert (found.html, [one.name for one in found.files]) == (PAGE, ["body.htm"])
    attached = read(f"{MIXED}--x\n{inline.replace('inline', 'attachment')}{PAGE}\n--x--\n")
    assert (attached.html, [one.name for one in attached.files]) == ("", ["body.htm"])


def test_the_bytes_of_a_file_are_those_before_the_line_break_of_the_boundary() -> None:
    file = b"a,b\r\n1,\xff2"
    head = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/csv; name=a.csv\r\n\r\n"
    found = read(head + file + b"\r\n--x--\r\n").files[0]
    assert (found.size, found.sha256, found.data) == (9, sha256(file).hexdigest(), file)


@pytest.mark.slow
def test_a_file_whose_end_was_not_read_has_no_size_and_no_hash() -> None:
    found = read(f"{MIXED}--x\nContent-Type: image/png; name=a.png\n\n{'a' * LONGEST}\n--x--\n".encode())
    assert [(one.name, one.size, one.sha256) for one in found.files] == [("a.png", 0, "")]
    assert found.problems[0] == "only the first 41,943,040 bytes were read"


def test_parts_beyond_the_last_that_is_read_are_told() -> None:
    found = read(MIXED + f"--x\n{PLAIN}one\n" * 2 * MOST_PARTS)
    assert len(found.text.split()) == MOST_PARTS - 1
    assert found.problems == (f"only the first {MOST_PARTS} parts were read",)


def test_parts_too_deep_in_other_parts_are_told() -> None:
    found = read("".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(DEEPEST + 9)))
    assert f"parts in more than {DEEPEST} other parts were not read" in found.problems


@each(
    ("type", "shown"),
    [
        ("text/plain; format=flowed", "a b\n-- \nhttps://evil.example/ x"),
        ("text/plain; Format=Flowed; DelSp=yes", "ab\n-- \nhttps://evil.example/x"),
        ("text/plain", "a \nb\n-- \nhttps://evil.example/ \nx"),
    ],
)
def test_lines_that_flow_are_put_together(type: str, shown: str) -> None:  # noqa: A002
    found = read(f"Content-Type: {type}\n\na \nb\n-- \nhttps://evil.example/ \nx")
    assert found.text == shown


@each("kind", ["application/pkcs7-mime", "application/ms-tnef"])
def test_what_may_hide_a_whole_mail_is_told(kind: str) -> None:
    assert read(f"Content-Type: {kind}; name=a\n\nx").problems == (f"a part was not opened: {kind}",)


@each(
    ("mail", "data", "is_guess"),
    [
        ("a", b"a", False),
        ("\u0105", "\u0105".encode(), False),
        ("Ã¼", "ü".encode(), False),
        ("ü", "ü".encode(), True),
        ("charset=iso-8859-1\n\nü", b"charset=iso-8859-1\n\n\xfc", True),
        ("charset=UTF-8\n\nü", "charset=UTF-8\n\nü".encode(), True),
        ("\ud800", b"?", False),
        ("a\ufffd", "a\ufffd".encode(), True),
    ],
)
def test_the_bytes_of_a_mail_that_came_as_text_are_restored(mail: str, data: bytes, is_guess: bool) -> None:  # noqa: FBT001
    assert restore_bytes(mail) == Octets(data, is_guess)


def test_a_file_of_which_the_bytes_are_a_guess_is_told() -> None:
    found = read("Content-Type: application/x; name=a\n\nü")
    assert found.problems == (
        "it is unknown which bytes a file had that came as text: its size and hashes are a guess",
    )


HEADS = st.sampled_from(["", PLAIN, MIXED, f"{MIXED}--x\n", "Content-Type: text/html; charset=", "Subject: =?"])


@given(HEADS, st.binary(max_size=400))
@example("Content-Type: text/html; charset=", b"utf-7\n\n+2AA-")
@example("Subject: =?", b"utf-7?q?+2AA-?=\n\n")
def test_whatever_is_written_can_be_read_and_written_as_json(head: str, data: bytes) -> None:
    found = read(head.encode() + data)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Letter) == found
    assert read(data.decode("latin-1")).problems is not None
