"""Samples: plausible nouns that travel as the API would tell them."""

from collections.abc import Callable

import pytest
from msgspec.json import decode, encode

from worker import sample
from worker.models import FACTS, TRIGGERS
from worker.nouns import Noun

MAKERS: dict[str, Callable[[], Noun]] = {
    "Message": sample.message,
    "Report": sample.report,
    "Submission": sample.submission,
    "BlockedSender": sample.blocked_sender,
    "Detection": lambda: sample.detection(links=("https://pay.example",)),
    "ActionLog": lambda: sample.action_log(sample.log_entry(folder="Inbox")),
    "Policies": sample.policies,
    "Now": sample.now,
}


@pytest.mark.parametrize("name", TRIGGERS | FACTS)
def test_every_noun_has_a_sample_that_travels_whole(name: str) -> None:
    made, kind = MAKERS[name](), (TRIGGERS | FACTS)[name]
    assert type(made) is kind
    assert decode(encode(made), type=kind) == made


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
