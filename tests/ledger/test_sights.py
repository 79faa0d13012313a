"""Sights: what is new, what may be a stale read, what is our own act coming back."""

from tests.ledger.desk import ME, T0, Desk, reading
from worker.language.actions import Release

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
