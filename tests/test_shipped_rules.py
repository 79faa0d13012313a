"""The shipped rules: that they load, that they never disagree about one mail, and the reasons they give."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.json import encode

from rules.executive_lookalike import alike, executive_lookalike, forged
from rules.malicious_mail import malicious_mail, malicious_sender
from rules.partner_release import partner_release
from rules.phishguard_reports import phishguard_report
from rules.user_submissions import user_was_right
from tests.cells import each
from worker import ENFORCE, Message, sample
from worker.judging.decide import decide
from worker.language.models import DISPOSITIONS
from worker.rulehost.evaluation import Bundle, Event, judge
from worker.rulehost.loader import load

FACTS = {
    "Detection": b'{"links":[{"href":"https://pay.example"}]}',
    "History": b"{}",
    "Policies": b'{"domains":["corp.example"]}',
    "Raw": b'{"attachments":[{"filename":"invoice.html"}]}',
    "Registry": b'{"people":{"ada cole":["ada@corp.example"],"ben osei":["ben@corp.example"]}}',
}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load(Path(__file__).parents[1] / "rules", frozenset({"soc"}))


def test_seven_files_are_shipped_and_all_of_them_enforce(bundle: Bundle) -> None:
    assert len({rule.info.file for rule in bundle.rules}) == 7
    assert {rule.info.mode for rule in bundle.rules} == {ENFORCE}


@each("disposition", DISPOSITIONS)
@each("sender", ["ada@c0rp.example", "carol@partner.example", "no-reply@alerts.partner.example"])
@each("is_quarantined", [False, True])
def test_equal_rules_never_want_two_places_for_one_mail(
    bundle: Bundle, disposition: str, sender: str, *, is_quarantined: bool
) -> None:
    told = (
        f'{{"id":"1","from":"{sender}","from_name":"Ada Cole","subject":"Invoice","final_disposition":"{disposition}",'
    )
    told += f'"is_quarantined":{str(is_quarantined).lower()},"validation":{{"dmarc":"pass"}}}}'
    (said,) = judge(bundle, [Event(key="1", kind="Message", raw=told.encode(), facts=FACTS)])
    assert said.failed == ()
    assert [one for one in decide(said.proposals) if one.disputed] == []


def test_reasons_name_what_was_seen() -> None:
    said = executive_lookalike(forged, sample.registry(), sample.detection())
    assert said is not None
    assert said[0].because == "'Ada Cole' wrote from ada@stranger.example, dmarc fail"
    imitated = executive_lookalike(alike, sample.registry(), sample.detection())
    assert imitated is not None
    assert imitated[0].because == "'Payroll' wrote from pay@c0rp.example, dmarc pass, which looks like corp.example"
    moved = malicious_mail(sample.message(final_disposition="MALICIOUS-BEC"))
    assert moved is not None
    assert moved.because == "judged MALICIOUS-BEC and delivered"
    sent_in = user_was_right(sample.submission(outcome_disposition="MALICIOUS", subject="Hi"))
    assert isinstance(sent_in, tuple)
    assert sent_in[1].because == "you@corp.example was right about 'Hi': thanks are due"
    reported = phishguard_report(sample.report(id=7))
    assert isinstance(reported, tuple)
    assert reported[0].because == "PhishGuard report 7 finds it malicious"


def test_our_own_people_and_allowed_senders_are_never_blocked() -> None:
    def blocked(message: Message, **lists: list[str]) -> bool:
        return malicious_sender(message, sample.policies(**lists)) is not None

    stranger = sample.message(sender="x@evil.example", dmarc="none")
    assert blocked(stranger)
    assert not blocked(stranger, allowed=["x@evil.example"])
    assert not blocked(stranger, trusted=["evil.example"])
    assert not blocked(sample.message(sender="ada@corp.example"))
    assert not blocked(sample.message(sender=""))


def test_a_partner_that_is_released_is_allowed_for_a_month_and_only_where_its_mail_is_verified() -> None:
    said = partner_release(sample.message(sender="Carol@partner.example", is_quarantined=True, dmarc="pass"))
    assert said is not None
    allow = said[2]
    assert (allow.on, allow.kind, allow.verify) == ("EMAIL:carol@partner.example", "acceptable", True)
    assert allow.for_ == timedelta(days=30)


@pytest.mark.parametrize("sender", ["carol@partner.example.evil.example", "carol@xpartner.example", "partner.example"])
def test_only_the_partner_itself_is_released(sender: str) -> None:
    assert partner_release(sample.message(sender=sender, is_quarantined=True)) is None


def asked(bundle: Bundle, dmarc: str = "pass", **fields: str) -> tuple[str, ...]:
    """Tell what is asked for about a delivered message while only the registry is known."""
    told = {"id": "1", "from": "x@y.example", "subject": "Lunch", "final_disposition": "SPAM"} | fields
    checks = {"validation": {"dmarc": dmarc}}
    facts = {"Registry": FACTS["Registry"]}
    return judge(bundle, [Event(key="1", kind="Message", raw=encode(told | checks), facts=facts)])[0].asked


def test_facts_that_cost_a_call_are_asked_for_only_when_the_message_gives_a_reason(bundle: Bundle) -> None:
    assert asked(bundle, from_name="Some One") == ()
    assert asked(bundle, from_name="ben  OSEI") == ("Detection",)
    assert asked(bundle, final_disposition="SUSPICIOUS") == ()
    assert asked(bundle, final_disposition="SUSPICIOUS", subject="Your INVOICE") == ("History",)
    assert asked(bundle, "fail", final_disposition="SUSPICIOUS", subject="Your INVOICE") == ("Raw",)
