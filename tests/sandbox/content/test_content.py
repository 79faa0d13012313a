"""What one message says is the same in its record, its detections, its text, its trace and its picture."""

from email import message_from_string, policy
from email.message import EmailMessage
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.sandbox.picture import bars
from tests.sandbox.sandbox import Sandbox
from worker.sandbox.account.mail import Mail
from worker.sandbox.account.traffic import KINDS
from worker.sandbox.content import mime_writer
from worker.sandbox.content.preview import LETTER, LONGEST_WORD, SUBJECT
from worker.sandbox.content.writing import write_content

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
DETECTED = sorted(name for name, kind in KINDS.items() if kind.disposition != "NONE")


def parsed(raw: str) -> EmailMessage:
    """Read a text as any client would."""
    read = message_from_string(raw, policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


def told(sandbox: Sandbox, mail: Mail) -> tuple[dict[str, Any], dict[str, Any], EmailMessage]:
    """Return the record, the detections and the text of a message."""
    record = sandbox.ask("GET", f"investigate/{mail.id}").result
    found = sandbox.ask("GET", f"investigate/{mail.id}/detections").result
    return record, found, parsed(sandbox.ask("GET", f"investigate/{mail.id}/raw").result["raw"])


def headers(found: dict[str, Any]) -> dict[str, str]:
    """Return the headers of a detection."""
    return {one["name"]: one["value"] for one in found["headers"]}


def page(text: EmailMessage) -> str:
    """Return the HTML of a text."""
    part = text.get_body(("html",))
    assert isinstance(part, EmailMessage)
    content: str = part.get_content()
    return content


def files(text: EmailMessage) -> list[tuple[str | None, int]]:
    """Return the names and sizes of the attachments of a text."""
    return [(part.get_filename(), len(part.get_payload(decode=True))) for part in text.iter_attachments()]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(DETECTED))
def test_whatever_is_generated_agrees_with_itself(seed: int, kind: str) -> None:
    sandbox = Sandbox(seed=seed)
    [mail] = sandbox.world.arrive(1, kind)
    record, found, text = told(sandbox, mail)
    assert headers(found)["Subject"] == str(text["Subject"]) == record["subject"]
    [sender] = text["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (record["from_name"], record["from"])
    assert record["from"] in headers(found)["From"]
    assert [one.addr_spec for one in text["To"].addresses] == record["to"] == record["client_recipients"]
    assert all(one in headers(found)["To"] for one in record["to"])
    assert text["Message-ID"] == headers(found)["Message-ID"] == record["message_id"]
    assert all(f'href="{link["href"]}">{link["text"]}<' in page(text) for link in found["links"])
    assert tuple(link["href"] for link in found["links"]) == mail.links
    assert [(one["filename"], one["size"]) for one in found["attachments"]] == files(text)
    way = sandbox.ask("GET", f"investigate/{mail.id}/trace").result["inbound"]["lines"]
    lines = " ".join(line["message"] for line in way)
    assert all(f"<{one}>" in lines for one in (*record["client_recipients"], record["envelope_from"]))
    assert record["message_id"] in lines
    shown = bars(sandbox.ask("GET", f"investigate/{mail.id}/preview").result["screenshot"])
    words = [width for colour, line in shown if colour == SUBJECT for width in line]
    assert words == [LETTER * min(len(word), LONGEST_WORD) for word in record["subject"].split()]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(subject=TEXT, name=TEXT, sender=TEXT, href=TEXT)
@example(subject="=?utf-8?q?a?=", name="a\r\nBcc: x", sender="a>\r\nX-Evil: y", href='"><a href="https://z.example/')
def test_nothing_in_a_message_breaks_out_of_its_place(subject: str, name: str, sender: str, href: str) -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(subject=subject, from_name=name, sender=f"{sender}@x.example", links=(href,))
    record, found, text = told(sandbox, mail)
    assert str(text["Subject"]) == record["subject"] == headers(found)["Subject"] == subject
    assert set(text.keys()) == {"Return-Path", "From", "To", "Date", "Subject", "MIME-Version", "Content-Type"}
    assert found["links"] == [{"href": href, "text": "Open the page"}]
    assert page(text).count("<a href=") == 1
    assert bars(sandbox.ask("GET", f"investigate/{mail.id}/preview").result["screenshot"])


def test_a_message_is_written_the_same_way_every_time() -> None:
    first, second = (Sandbox(seed=7, messages=50) for _ in range(2))
    for mail in (one for one in first.world.mails if one.now.disposition != "NONE"):
        for path in ("raw", "preview", "trace", "detections"):
            one, other = (
                sandbox.ask("GET", f"investigate/{mail.id}/{path}").response.body for sandbox in (first, second)
            )
            assert one == other


@pytest.mark.slow
def test_a_subject_of_five_megabytes_is_told_whole() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(subject="€x" * 1_300_000)
    raw = sandbox.ask("GET", f"investigate/{mail.id}/raw").result["raw"]
    assert max(map(len, raw.split("\r\n"))) < 998
    assert raw.count("=?utf-8?b?") == -(-1_300_000 * 4 // 44)
    assert sandbox.ask("GET", f"investigate/{mail.id}/preview").status == 200


def test_a_long_plain_subject_does_not_make_a_line_too_long() -> None:
    mail = Sandbox().world.add_message(subject="a" * 2000)
    text = mime_writer.write_eml(write_content(mail))
    assert str(parsed(text)["Subject"]) == "a" * 2000


def test_findings_say_where_a_reason_was_found() -> None:
    sandbox = Sandbox()
    [mail] = sandbox.world.arrive(1, "phish_held")
    found = sandbox.ask("GET", f"investigate/{mail.id}/detections").result
    [file] = found["attachments"]
    at = {finding["reason"]: finding for finding in found["findings"]}["Malicious attachment"]
    assert (at["attachment"], at["field"], at["value"]) == ("refund.html", "sha256", file["sha256"])
    assert (file["name"], file["filename"], file["detection"], file["encrypted"]) == (
        "refund.html",
        "refund.html",
        "MALICIOUS",
        False,
    )
    assert found["sender_info"]["pld"] in {"secure-login.test", "tax-refund.test"}
    odd = sandbox.world.add_message(
        detection_reasons=["A bad link", "Young domain", "Odd words"], links=("https://b.example/",)
    )
    places = [one["portion"] for one in sandbox.ask("GET", f"investigate/{odd.id}/detections").result["findings"]]
    assert places == ["BODY", "HEADER", "BODY"]


def test_threat_categories_are_those_of_the_record() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(threat_categories=["DomainAge", "Unheard"])
    found = sandbox.ask("GET", f"investigate/{mail.id}/detections").result["threat_categories"]
    assert [(one["id"], one["name"]) for one in found] == [(2, "DomainAge"), (None, "Unheard")]


def test_a_record_that_says_nothing_still_has_a_text() -> None:
    sandbox = Sandbox()
    mail = sandbox.world.add_message(sent_at="yesterday", x_originating_ip="192.0.2.7", to_name=["A", "B"])
    text = told(sandbox, mail)[2]
    assert text["X-Originating-IP"] == "[192.0.2.7]"
    assert (text["From"], text["Subject"]) == (None, None)
    assert [one.display_name for one in text["To"].addresses] == ["A"]
    assert msgspec.json.decode(mail.head + b"}")["sent_at"] == "yesterday"
