"""Records: fields that the API leaves out or sends as null read as empty."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError
from msgspec.json import decode, encode
from msgspec.structs import fields

from tests.cells import each
from worker import Message, Report, sample
from worker.language.base import Noun, domain_of
from worker.language.models import FACTS, TRIGGERS

IDENTITY: dict[str, dict[str, object]] = {
    "Message": {"id": "x"},
    "Report": {"id": 1},
    "Submission": {"submission_id": "x"},
}
NOUNS = TRIGGERS | FACTS


def wire(noun: type[Noun], value: object) -> dict[str, object]:
    """Return a record in which every field but the identity has this value."""
    identity = IDENTITY.get(noun.__name__, {})
    return {one.encode_name: value for one in fields(noun) if one.encode_name not in identity} | identity


@each("noun", [noun for name, noun in NOUNS.items() if name in TRIGGERS or name == "Detection"])
def test_null_and_nothing_read_alike(noun: type[Noun]) -> None:
    nothing = decode(encode(IDENTITY.get(noun.__name__, {})), type=noun)
    null = decode(encode(wire(noun, None)), type=noun)
    assert null == nothing


def test_unknown_fields_and_unknown_values_are_taken_in() -> None:
    message = decode(b'{"id":"x","final_disposition":"BRAND NEW","future":{"a":[1]}}', type=Message)
    assert message.final_disposition == "BRAND NEW"


def test_a_message_reads_as_the_api_tells_it() -> None:
    told = (
        b'{"id":"p-a-m","from":"Ada@Corp.Example","scanned_at":"2026-01-05T12:00:00Z","to":["b@corp.example"],'
        b'"is_quarantined":true,"validation":{"spf":"pass","dkim":null,"dmarc":"fail"},"properties":null}'
    )
    message = decode(told, type=Message)
    assert (message.sender, message.domain, message.to) == ("Ada@Corp.Example", "corp.example", ("b@corp.example",))
    assert message.scanned_at == datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert (message.spf, message.dkim, message.dmarc) == ("pass", "", "fail")
    assert message.is_quarantined
    assert message.properties.blocklisted_message is False


def test_a_record_without_its_identity_is_not_taken_in() -> None:
    for noun in (Message, Report):
        with pytest.raises(ValidationError, match="missing required field `id`"):
            decode(b"{}", type=noun)


def test_nouns_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        sample.message().subject = "other"  # type: ignore[misc]


@given(
    st.from_regex(r"[a-z.+=_-]{1,20}", fullmatch=True),
    st.from_regex(r"[a-zA-Z]{1,9}(\.[a-z]{2,5}){1,3}", fullmatch=True),
)
def test_a_domain_is_what_follows_the_at_of_an_address(local: str, domain: str) -> None:
    assert domain_of(f"{local}@{domain}") == domain.lower()
    assert domain_of(domain) == ""


@given(st.text(), st.text())
def test_only_one_plain_address_has_a_domain(one: str, other: str) -> None:
    assert domain_of(f"{one}, {other}@b.example") == ""
    assert domain_of(f"{one}@{other}@b.example") == ""
    assert domain_of(f"{one} <{other}@b.example>") == ""


@each(
    "odd", ["a@b..example", "a@.b.example", "a@b.example.", "@b.example", "a@", "a@b\u200b.example", "a@\uff42.example"]
)
def test_what_may_mean_another_domain_has_none(odd: str) -> None:
    assert domain_of(odd) == ""
