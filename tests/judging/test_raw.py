"""The fact Raw: what rules see of a mail, whatever the process says that took it apart."""

from hashlib import md5, sha1, sha256

import msgspec
import pytest

from tests.mime.mutations import CHANGES
from tests.mime.test_mutations import SHAPES, change
from worker.judging.raw import MOST, make_raw
from worker.language.base import CUT
from worker.language.models import Raw, RawLink
from worker.mime.letter import Enclosure, Letter, MailHeader, MailLink, enclose
from worker.mime.octets import Octets
from worker.mime.reader import read_letter

EVIL = MailLink(
    href="https://xn--pple-43d.example/", shown="https://\u0430pple.example/", host="xn--pple-43d.example", text="a"
)


def test_the_links_of_a_mail_are_addresses_with_names_in_punycode_and_in_letters() -> None:
    raw = make_raw(Letter(links=(EVIL, MailLink("https://a.example/", "b", "https://a.example/", "a.example"), EVIL)))
    assert raw.links == (EVIL.href, EVIL.shown, "https://a.example/")
    assert raw.hyperlinks[0] == RawLink(href=EVIL.href, shown=EVIL.shown, host=EVIL.host, text="a", text_host="")


def test_a_file_comes_with_its_hashes_and_whether_it_is_encrypted() -> None:
    data = b"PK\x03\x04\x14\x00\x01\x00"
    [file] = make_raw(Letter(files=(enclose("a.zip", "application/zip", data),))).attachments
    assert (file.filename, file.content_type, file.size, file.encrypted) == ("a.zip", "application/zip", 8, True)
    assert (file.md5, file.sha1, file.sha256) == tuple(make(data).hexdigest() for make in (md5, sha1, sha256))


def test_whatever_a_mail_is_said_to_be_rules_see_a_bounded_part_of_it() -> None:
    long = "a" * 5_000
    many = Letter(
        fields=(MailHeader(long, long),) * 999,
        text=long,
        links=tuple(MailLink(f"{long}{n}") for n in range(999)),
        files=(Enclosure(long, long),) * 999,
        problems=(long,) * 999,
    )
    raw = make_raw(many)
    for things in (raw.headers, raw.links, raw.hyperlinks, raw.attachments, raw.problems):
        assert len(things) == MOST
    assert raw.text == raw.attachments[0].filename == raw.headers[0].value == "a" * 4_096 + CUT
    assert {"text", "links", "headers.value"} <= set(raw.mended)


@pytest.mark.slow
def test_of_a_thousand_odd_mails_each_is_a_fact_that_rules_can_read() -> None:
    mails = [change(name, shape, 7) for name in CHANGES for shape in SHAPES]
    assert len(mails) > 1_000
    for mail in mails:
        raw = make_raw(read_letter(Octets(mail)))
        assert msgspec.json.decode(msgspec.json.encode(raw), type=Raw).links == raw.links
