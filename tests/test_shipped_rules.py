"""The shipped rules: that they load, that they never disagree about one mail, and the reasons they give."""

from pathlib import Path

import pytest

from rules.executive_lookalike import executive_lookalike, forged
from rules.malicious_mail import malicious_mail, malicious_sender
from rules.partner_release import partner_release
from rules.phishguard_reports import phishguard_report
from worker import ENFORCE, Message, sample
from worker.judge import Bundle, Event, judge
from worker.loader import load
from worker.models import DISPOSITIONS

FACTS = {"Detection": b'{"links":[{"href":"https://pay.example"}]}', "Policies": b'{"domains":["corp.example"]}'}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load(Path(__file__).parents[1] / "rules", frozenset({"soc"}))


def test_four_files_are_shipped_and_all_of_them_enforce(bundle: Bundle) -> None:
    assert len({rule.info.file for rule in bundle.rules}) == 4
    assert {rule.info.mode for rule in bundle.rules} == {ENFORCE}


@pytest.mark.parametrize("disposition", DISPOSITIONS)
@pytest.mark.parametrize("sender", ["ada@c0rp.example", "carol@partner.example", "no-reply@alerts.partner.example"])
@pytest.mark.parametrize("is_quarantined", [False, True])
def test_equal_rules_never_want_two_places_for_one_mail(
    bundle: Bundle, disposition: str, sender: str, *, is_quarantined: bool
) -> None:
    told = f'{{"id":"1","from":"{sender}","from_name":"Ada Cole","final_disposition":"{disposition}",'
    told += f'"is_quarantined":{str(is_quarantined).lower()},"validation":{{"dmarc":"pass"}}}}'
    (said,) = judge(bundle, [Event(key="1", kind="Message", raw=told.encode(), facts=FACTS)])
    places = {one for said_one in said.proposals for one in said_one.actions if one.lane == "placement"}
    assert said.failed == ()
    assert len(places) <= 1


def test_reasons_name_what_was_seen() -> None:
    said = executive_lookalike(forged, sample.detection())
    assert said is not None
    assert said[0].because == "'Ada Cole' wrote from ada@c0rp.example, dmarc fail"
    moved = malicious_mail(sample.message(final_disposition="MALICIOUS-BEC"))
    assert moved is not None
    assert moved.because == "judged MALICIOUS-BEC and delivered"
    reported = phishguard_report(sample.report(id=7))
    assert isinstance(reported, tuple)
    assert reported[0].because == "PhishGuard report 7 finds it malicious"


def test_our_own_people_and_allowed_senders_are_never_blocked() -> None:
    def blocked(message: Message, **lists: list[str]) -> bool:
        return malicious_sender(message, sample.policies(**lists)) is not None

    stranger = sample.message(sender="x@evil.example", dmarc="fail")
    assert blocked(stranger)
    assert not blocked(stranger, allowed=["x@evil.example"])
    assert not blocked(stranger, trusted=["evil.example"])
    assert not blocked(sample.message(sender="ada@corp.example", dmarc="fail"))
    assert not blocked(sample.message(sender="", dmarc="fail"))


@pytest.mark.parametrize("sender", ["carol@partner.example.evil.example", "carol@xpartner.example", "partner.example"])
def test_only_the_partner_itself_is_released(sender: str) -> None:
    assert partner_release(sample.message(sender=sender, is_quarantined=True)) is None


def test_a_detection_is_asked_for_only_when_a_name_is_borrowed(bundle: Bundle) -> None:
    told = b'{"id":"1","from":"x@y.example","from_name":"%s","final_disposition":"SPAM"}'
    strangers, lookalike = judge(
        bundle,
        [Event(key=name, kind="Message", raw=told % name.encode()) for name in ("Some One", "Ben Osei")],
    )
    assert strangers.asked == ()
    assert lookalike.asked == ("Detection",)
