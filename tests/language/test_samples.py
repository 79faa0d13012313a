"""Samples: plausible records that encode and decode as the API's do."""

from collections.abc import Callable
from inspect import isfunction

from msgspec.json import decode, encode

from tests.cells import each
from worker import History, sample
from worker.language.base import Noun
from worker.language.models import FACTS, TRIGGERS

MAKERS: dict[str, Callable[[], Noun]] = {
    "Message": sample.message,
    "Report": sample.report,
    "Submission": sample.submission,
    "BlockedSender": sample.blocked_sender,
    "AllowPolicy": sample.allow_policy,
    "Detection": lambda: sample.detection(links=("https://pay.example",)),
    "ActionLog": lambda: sample.action_log(sample.log_entry(folder="Inbox")),
    "Policies": sample.policies,
    "Now": sample.now,
    "Raw": lambda: sample.raw(headers={"X-Mailer": "a"}, links=("https://pay.example",), attachments=("a.html",)),
    "Trace": lambda: sample.trace(inbound=("connect",), pending=True),
    "Registry": sample.registry,
    "History": lambda: sample.history("SPAM", "NONE", "SPAM", more=True),
}


@each("name", TRIGGERS | FACTS)
def test_every_noun_has_a_sample_that_travels_whole(name: str) -> None:
    made, kind = MAKERS[name](), (TRIGGERS | FACTS)[name]
    assert type(made) is kind
    assert decode(encode(made), type=kind) == made


def test_what_is_offered_is_every_sample_and_what_some_of_them_take() -> None:
    assert [name for name in sample.__all__ if name[0].islower()] == sorted(
        name for name, one in vars(sample).items() if isfunction(one)
    )
    assert {"Attachment", "Properties", "SenderInfo"} < set(sample.__all__)


def test_a_quarantined_message_was_not_delivered() -> None:
    assert sample.message().delivery_status == ("delivered",)
    assert sample.message(is_quarantined=True).delivery_status == ("quarantined",)


def test_the_ids_of_a_message_belong_together() -> None:
    message = sample.message()
    assert message.id.startswith(message.postfix_id + "-")
    assert message.id.startswith(message.alert_id + "-")
    assert sample.message(id="p-2026-m").postfix_id == "p"


def test_a_report_is_about_the_sampled_message() -> None:
    assert sample.report().fields.postfix_id == sample.message().postfix_id
    assert sample.submission().original_postfix_id == sample.message().postfix_id


def test_a_history_counts_what_it_is_given_and_a_stranger_has_none() -> None:
    known = sample.history("SPAM", "NONE", "SPAM")
    assert (known.messages, known.dispositions, known.more) == (3, {"SPAM": 2, "NONE": 1}, False)
    assert known.first_at is not None
    assert known.last_at is not None
    assert known.first_at < known.last_at < sample.NOON
    assert sample.history() == History()


def test_a_registered_name_without_an_address_is_known_all_the_same() -> None:
    registry = sample.registry({"Ada  COLE": ("Ada@Corp.example",), "Ben Osei": ()})
    assert registry.addresses("ada cole") == ("ada@corp.example",)
    assert registry.knows(" BEN osei ")
    assert registry.addresses("Ben Osei") == ()
    assert not registry.knows("Adam Cole")
