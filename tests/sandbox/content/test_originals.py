"""Real messages: read out of .eml files that anybody may have written, and shown like all others."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cells import each
from tests.sandbox.sandbox import START, Sandbox
from worker.sandbox.account.mail import TEN
from worker.sandbox.content.eml_folder import LARGEST, seed_folder, take_in
from worker.sandbox.content.originals import LONGEST_TEXT, UnreadableMessage, read_original

DATE = b"Date: Mon, 21 Sep 2026 13:00:00 +0000\r\n"  # shortly before START
WHOLE = (
    b"Return-Path: <bounce@x.example>\r\nReceived: from a ([192.0.2.1]) by b\r\n"
    b"Received: from c ([IPv6:2001:db8::1])\r\n"
    b"X-Originating-IP: 192.0.2.9\r\nAuthentication-Results: b; spf=softfail; dkim=permerror; dmarc=pass\r\n"
    b"From: =?utf-8?b?w4lsaWY=?= <elif@x.example>\r\nTo: Ada <ada@corp.example>\r\nCc: ben@corp.example\r\n"
    b"Reply-To: <r@y.example>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMessage-ID: <1@x.example>\r\n"
    + DATE
    + b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nsee https://plain.example/a.\r\n"
    b'--b\r\nContent-Type: text/html\r\n\r\n<script>"<a href=https://no.example/>"</script><!-- <a href="https://no.example/">-->'
    b'<p>go <A HREF="https://html.example/?a=1&amp;b=2">to <b>the</b> shop</a> <a href=mailto:x@y>mail</a>\r\n'
    b"--b\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBBQAAQAIAA==\r\n"
    b"--b--\r\n"
)


def ask(sandbox: Sandbox, ident: str, path: str = "") -> Any:  # noqa: ANN401 (whatever the operation answers)
    """Ask about one message."""
    return sandbox.ask("GET", f"investigate/{ident}{path}").result


def test_a_real_message_is_shown_in_all_its_parts() -> None:
    sandbox = Sandbox()
    mail = take_in(sandbox.world, "a.eml", WHOLE.replace(b"MIME", b"X-Sandbox-Disposition: Malicious-BEC\r\nMIME"))
    record, found = ask(sandbox, mail.id), ask(sandbox, mail.id, "/detections")
    assert (record["subject"], record["from_name"], record["from"]) == ("café", "Élif", "elif@x.example")
    assert record["client_recipients"] == ["ada@corp.example", "ben@corp.example"]
    assert (record["replyto"], record["envelope_from"], record["message_id"]) == (
        "r@y.example",
        "bounce@x.example",
        "<1@x.example>",
    )
    assert (record["smtp_helo_server_ip"], record["smtp_previous_hop_ip"]) == ("192.0.2.1", "2001:db8::1")
    assert record["x_originating_ip"] == "192.0.2.9"
    assert record["validation"] == {"comment": None, "dkim": "error", "dmarc": "pass", "spf": "fail"}
    assert (record["scanned_at"], record["final_disposition"]) == ("2026-09-21T13:00:00Z", "MALICIOUS-BEC")
    assert found["links"] == [
        {"href": "https://html.example/?a=1&b=2", "text": "to the shop"},
        {"href": "https://plain.example/a", "text": None},
    ]
    [file] = found["attachments"]
    assert (file["filename"], file["size"], file["encrypted"]) == ("a.zip", 10, True)
    assert file["sha256"] == sha256(b"PK\x03\x04\x14\x00\x01\x00\x08\x00").hexdigest()
    assert {"name": "Subject", "value": "café"} in found["headers"]
    assert ask(sandbox, mail.id, "/raw")["raw"].encode() == mail.original
    assert ask(sandbox, mail.id, "/preview")["screenshot"]
    assert "message-id=<1@x.example>" in ask(sandbox, mail.id, "/trace")["inbound"]["lines"][1]["message"]
    assert sandbox.ask("GET", "investigate", domain="html.example").ids == [mail.id]


@each(
    ("lines", "verdict"),
    [
        (b"X-Sandbox-Disposition: encrypted", "ENCRYPTED"),
        (b"X-Sandbox-Disposition: DREADFUL", "NONE"),
        (b"X-Sandbox-Disposition: NONE\r\nX-Spam-Flag: YES", "NONE"),
        (b"Content-Disposition: attachment; filename=a.HTML\r\nX-Spam-Flag: YES", "MALICIOUS"),
        (b"Authentication-Results: x; dmarc=fail\r\nX-Spam-Flag: YES", "SPOOF"),
        (b"X-Spam-Flag: yes\r\nList-Id: <x>", "SPAM"),
        (b"List-Unsubscribe: <https://x.example/u>", "BULK"),
        (b"Subject: hello", "NONE"),
    ],
)
def test_a_header_or_the_first_rule_that_holds_judges(lines: bytes, verdict: str) -> None:
    assert take_in(Sandbox().world, "a.eml", lines + b"\r\n\r\nhello").now.disposition == verdict


@each(
    ("link", "verdict"),
    [
        ("http://192.0.2.1:80/x", "SUSPICIOUS"),
        ("http://u@[2001:db8::1]/", "SUSPICIOUS"),
        ("https://www.xn--pple-43d.example/", "SUSPICIOUS"),
        ("https://x.example/192.0.2.1", "NONE"),
        ("http:///192.0.2.1", "SUSPICIOUS"),
    ],
)
def test_a_link_to_an_odd_host_is_suspicious(link: str, verdict: str) -> None:
    page = f"Content-Type: text/html\r\n\r\n<a href='{link}'>x</a>".encode()
    assert take_in(Sandbox().world, "a.eml", page).now.disposition == verdict


@pytest.mark.parametrize("date", [b"Tue, 1 Jan 2019 00:00:00 +0000", b"Tue, 1 Jan 2030 00:00:00 +0000", b"soon", b""])
def test_what_is_not_of_the_last_month_is_scanned_now(date: bytes) -> None:
    sandbox = Sandbox()
    mail = take_in(sandbox.world, "a.eml", b"Subject: x\r\nDate: " + date + b"\r\n\r\n")
    assert (mail.scanned, ask(sandbox, mail.id)["subject"]) == (START, "x")


def test_bytes_that_are_no_text_are_kept_in_the_text() -> None:
    sandbox = Sandbox()
    mail = take_in(sandbox.world, "a.eml", b"Subject: caf\xe9\r\nX-Sandbox-Disposition: SPAM\r\n\r\n\xff")
    assert ask(sandbox, mail.id)["subject"] == "café"
    assert ask(sandbox, mail.id, "/raw")["raw"].encode("latin-1") == mail.original


def test_what_is_no_address_and_no_encryption_is_not_taken_for_one() -> None:
    sandbox = Sandbox()
    lines = b"X-Originating-IP: 999.1.1.1\r\nAuthentication-Results: b; spf=pass; spf=fail\r\nX-Spam-Flag: YES\r\n"
    archive = b"Content-Type: application/zip\r\n\r\nPK\x03\x04\x14\x00\x00\x00"
    mail = take_in(sandbox.world, "a.eml", lines + archive)
    record, found = ask(sandbox, mail.id), ask(sandbox, mail.id, "/detections")
    assert (record["x_originating_ip"], record["validation"]["spf"]) == (None, "pass")
    assert found["attachments"][0]["encrypted"] is False


def test_a_link_that_is_there_twice_keeps_what_it_first_looked_like() -> None:
    page = b"Content-Type: text/html\r\n\r\n<a href=https://x.example/>one</a><a href=https://x.example/>two</a>"
    assert [link.text for link in read_original(page).content.links] == ["one"]


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    content = read_original(b"Subject: x\r\n\r\n" + b"a" * 300_000).content
    assert len(content.text) == LONGEST_TEXT


HOSTILE = [
    b"Subject: " + b"x" * 5_000_000 + b"\r\n\r\nhi",
    b"Subject: " + b"=?utf-8?q?a?= " * 400_000 + b"\r\n\r\nhi",
    b"Subject: =?unicode-escape?q?=5Cud800?=\r\n\r\nhi",
    b"Content-Type: text/html; " + b"a=b; " * 1_000_000 + b"\r\n\r\nhi",
    b"Content-Type: text/html\r\n\r\n" + b"<!--" * 1_000_000,
    b"Content-Type: text/html\r\n\r\n" + b"<a " * 1_000_000,
    b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"abc-" * 1_000_000,
    b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
    b"Content-Disposition: attachment; filename*=a\0b''x\r\n\r\nhi",
    b"Content-Type: text/plain; charset=nonesuch\r\n\r\nhi",
    b"Content-Type: text/plain; charset=base64\r\n\r\nhi",
    b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n\xff=A",
    b"To: " + b"a." * 4000 + b"@x\r\nFrom: " + b"(" * 8000 + b"\r\n\r\nhi",
    b"From: \0@\0\r\nDate: Mon, 1 Jan 0001 00:00:00 +1400\r\nMessage-ID: <\r\n\r\n\0",
    b"From: a@b.example\r\nReceived: from x ([999.1.1.1]) by y\r\nX-Originating-IP: ]evil[\r\n\r\nhi",
    b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(250)),
]


@pytest.mark.slow
@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_message_is_a_message_all_the_same(data: bytes) -> None:
    sandbox = Sandbox()
    mail = take_in(sandbox.world, "a.eml", b"X-Sandbox-Disposition: SPAM\r\n" + data)
    for path in ("", "/detections", "/raw", "/trace", "/preview"):
        assert sandbox.ask("GET", f"investigate/{mail.id}{path}").status == 200


@each("data", [b"", b"\r\n\r\nhello"])
def test_what_has_no_headers_is_no_message(data: bytes) -> None:
    with pytest.raises(UnreadableMessage, match="no headers"):
        read_original(data)


@each(
    ("header", "name", "address"),
    [
        ("alice@corp.example <mallory@evil.example>", "alice@corp.example", "mallory@evil.example"),
        ('"Cole, Ada" <ada@corp.example>, ben@corp.example', "Cole, Ada", "ada@corp.example"),
        ('"\\"Ada\\"" <ada@corp.example>', '"Ada"', "ada@corp.example"),
        ("ada@corp.example (Ada)", "Ada", "ada@corp.example"),
        ("Team: ada@corp.example;", "", "ada@corp.example"),
        ("=?utf-8?q?Ad=C3=A1?= =?utf-8?q?_Cole?=<ada@corp.example>", "Adá Cole", "ada@corp.example"),
        ("Adá <ada@corp.example>", "Adá", "ada@corp.example"),
        ('nobody, ((((<,"a, <ada@corp.example>', "", "ada@corp.example"),
    ],
)
def test_the_sender_is_whom_a_mail_program_shows(header: str, name: str, address: str) -> None:
    sender = read_original(f"From: {header}\r\n\r\n".encode()).sender
    assert (sender.name, sender.address) == (name, address) if sender else False


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, len(WHOLE)), noise=st.binary(max_size=40), length=st.integers(0, 60))
def test_a_message_damaged_anywhere_is_broken_or_shown(cut: int, noise: bytes, length: int) -> None:
    sandbox = Sandbox()
    try:
        mail = take_in(sandbox.world, "a.eml", WHOLE[:cut] + noise + WHOLE[cut + length :])
    except UnreadableMessage:
        assert sandbox.world.mails == []
    else:
        assert sandbox.ask("GET", "investigate", detections_only="false").ids == [mail.id]
        sandbox.world.change_verdict(mail.id, "SPAM")
        for path in ("/detections", "/raw", "/trace", "/preview"):
            assert sandbox.ask("GET", f"investigate/{mail.id}{path}").status == 200
        assert mail.now.disposition in TEN


def test_a_folder_is_taken_in_by_name_and_what_is_not_is_named(tmp_path: Path) -> None:
    for name, data in (("b.eml", DATE), ("a.EML", DATE + b"Subject: a\r\n"), ("c.txt", DATE), ("empty.eml", b"")):
        (tmp_path / name).write_bytes(data + b"\r\n")
    (tmp_path / "folder.eml").mkdir()
    os.mkfifo(tmp_path / "pipe.eml")
    (tmp_path / "secret.eml").symlink_to(tmp_path / "none")
    with (tmp_path / "vast.eml").open("wb") as file:
        file.truncate(LARGEST + 1)
    sandbox = Sandbox()
    seeded = seed_folder(sandbox.world, tmp_path)
    assert (seeded.taken, [mail.read_fixed().subject for mail in sandbox.world.mails]) == (2, ["a", None])
    assert dict(seeded.skipped) == {
        "empty.eml": "it has no headers",
        "folder.eml": "it is not a file",
        "pipe.eml": "it is not a file",
        "secret.eml": "it is not a file",
        "vast.eml": "it is larger than 64 MB",
    }
    again = Sandbox()
    seed_folder(again.world, tmp_path)
    assert [mail.id for mail in again.world.mails] == [mail.id for mail in sandbox.world.mails]


def test_a_folder_has_bounds(tmp_path: Path) -> None:
    for n in range(4):
        (tmp_path / f"{n}.eml").write_bytes(b"Subject: x\r\n\r\n")
    seeded = seed_folder(Sandbox().world, tmp_path, files=3, together=30)
    assert seeded.taken == 2
    assert dict(seeded.skipped) == {
        "2.eml": "with it the files would be too much to keep in memory",
        "3.eml": "only the first 3 files are read",
    }
