"""Sights: what is new, what may be a stale read, what is our own act coming back."""

import pytest

from tests.ledger.desk import ME, T0, Desk, reading
from worker.language.actions import Escalate, Release
from worker.ledger.entries import Look
from worker.ledger.values import Reading, Thing

BAD, GOOD, SHUT = "MALICIOUS|-", "NONE|-", "MALICIOUS|quarantined"


async def test_the_first_reading_of_a_thing_is_news_and_the_second_is_not() -> None:
    desk = Desk()
    assert await desk.read(reading("m1"), reading("m2")) == ["m1/1", "m2/1"]
    assert await desk.read(reading("m2"), reading("m3")) == ["m3/1"]


async def test_of_two_readings_of_one_thing_in_a_page_the_last_counts() -> None:
    desk = Desk()
    assert await desk.read(reading("m1", BAD), reading("m1", GOOD)) == ["m1/1"]
    assert await desk.read(reading("m1", GOOD)) == []


async def test_a_changed_verdict_is_a_new_sight() -> None:
    desk = Desk()
    await desk.read(reading("m1", BAD))
    assert await desk.read(reading("m1", GOOD)) == ["m1/2"]


async def test_things_of_one_time_and_things_far_apart_are_told_apart() -> None:
    desk = Desk()
    many = [reading(f"m{n}", time=T0 + n // 2) for n in range(1201)]
    assert len(await desk.read(*many)) == 1201
    assert await desk.read(*reversed(many)) == []


async def test_a_state_that_was_seen_before_counts_only_when_it_is_still_there_later() -> None:
    desk = Desk()
    await desk.read(reading("m1", BAD))
    await desk.read(reading("m1", GOOD))
    assert await desk.read(reading("m1", BAD, at=T0)) == []
    assert await desk.read(reading("m1", BAD, at=T0 + 119)) == []
    assert await desk.read(reading("m1", BAD, at=T0 + 120)) == ["m1/3"]


async def test_a_reading_as_last_seen_clears_the_doubt() -> None:
    desk = Desk()
    await desk.read(reading("m1", BAD))
    await desk.read(reading("m1", GOOD))
    await desk.read(reading("m1", BAD, at=T0))
    assert await desk.read(reading("m1", GOOD, at=T0 + 60)) == []
    assert await desk.read(reading("m1", BAD, at=T0 + 120)) == []


async def test_another_doubt_begins_to_count_anew() -> None:
    desk = Desk()
    for state in (BAD, GOOD, "SPAM|-"):
        await desk.read(reading("m1", state))
    await desk.read(reading("m1", BAD, at=T0))
    desk.now = T0 + 100
    await desk.read(reading("m1", GOOD, at=T0 + 100))
    assert await desk.read(reading("m1", GOOD, at=T0 + 130)) == []
    assert await desk.read(reading("m1", GOOD, at=T0 + 220)) == ["m1/4"]


async def test_our_own_release_coming_back_is_kept_but_not_judged() -> None:
    desk = Desk()
    await desk.read(reading("m1", SHUT), reading("m2", SHUT))
    release = await desk.wish(Release(), "m1")
    await desk.claim(release)
    news = await desk.ledger.news(ME, [reading("m1", BAD), reading("m2", BAD)], T0, 120)
    assert [sight.reading.thing.id for sight in news.echoes] == ["m1"]
    assert [sight.reading.thing.id for sight in news.sights] == ["m2"]
    assert await desk.read(reading("m1", BAD)) == []
    assert await desk.read(reading("m1", BAD)) == []
    assert await desk.state(release) == "claimed"


async def test_a_release_by_others_and_a_changed_verdict_are_news() -> None:
    desk = Desk()
    await desk.read(reading("m1", SHUT), reading("m2", SHUT))
    await desk.claim(await desk.wish(Release(), "m2"))
    assert await desk.read(reading("m1", BAD)) == ["m1/2"]
    assert await desk.read(reading("m2", GOOD)) == ["m2/2"]


def triage(state: str, at: float = T0) -> Reading:
    return Reading(thing=Thing("Submission", T0, "s1"), state=state, raw=b"{}", look=Look(at=at))


@pytest.mark.parametrize("old", ["|", "pending|", "completed|SPAM"])
async def test_a_state_that_an_earlier_version_kept_is_kept_whole_and_is_no_news(old: str) -> None:
    desk = Desk()
    assert await desk.read(triage(old)) == ["s1/1"]
    assert await desk.read(triage(f"{old}|reviewed")) == []
    assert await desk.read(triage(f"{old}|reviewed")) == []
    assert await desk.read(triage(f"{old}|escalated")) == ["s1/3"]


async def test_what_changed_since_an_earlier_version_kept_it_is_news() -> None:
    desk = Desk()
    await desk.read(triage("pending|"))
    assert await desk.read(triage("completed|SPAM|unreviewed")) == ["s1/2"]


async def test_a_return_to_a_state_that_an_earlier_version_kept_may_be_a_stale_read() -> None:
    desk = Desk()
    await desk.read(triage("pending|"))
    await desk.read(triage("completed|SPAM"))
    assert await desk.read(triage("pending||unreviewed", at=T0)) == []
    assert await desk.read(triage("pending||unreviewed", at=T0 + 120)) == ["s1/3"]


async def test_verdicts_of_messages_have_nothing_to_do_with_that() -> None:
    desk = Desk()
    await desk.read(reading("m1", "MALICIOUS"))
    assert await desk.read(reading("m1", BAD)) == ["m1/2"]


@pytest.mark.parametrize(("ours", "after"), [(True, []), (False, ["s1/2"])])
async def test_our_own_escalation_is_no_news(after: list[str], *, ours: bool) -> None:
    desk = Desk()
    await desk.read(triage("||unreviewed"))
    entry = await desk.wish(Escalate("SPAM", submission_id="s1" if ours else "s2"))
    await desk.claim(entry)
    assert await desk.read(triage("||escalated")) == after
    assert await desk.read(triage("||reviewed")) == ["s1/3"]


async def test_what_else_happens_to_a_submission_that_we_escalated_is_news() -> None:
    desk = Desk()
    await desk.read(triage("||unreviewed"))
    await desk.claim(await desk.wish(Escalate("SPAM", submission_id="s1")))
    assert await desk.read(triage("done|SPAM|escalated")) == ["s1/2"]


async def test_an_escalation_that_was_only_wanted_is_somebody_elses() -> None:
    desk = Desk()
    await desk.read(triage("||unreviewed"))
    await desk.wish(Escalate("SPAM", submission_id="s1"))
    assert await desk.read(triage("||escalated")) == ["s1/2"]
