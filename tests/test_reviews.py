"""A request for another verdict, from the message that leads to it to the decision of the sandbox's reviews."""

from collections import Counter

import pytest

from tests.desk import RULE, Desk
from tests.reading import DAY, Room, says
from tests.test_other_events import calls, read
from worker import Escalate, Notify, Reclassify
from worker.intake.requests import follow_requests
from worker.intake.sources import Submissions
from worker.ledger.values import Page, Slice
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT

MONTH = 30 * DAY


def reclassifies(event: Event) -> Said:
    """The rule of these tests: a message is to be clean, and submissions are nobody's business."""
    return says(event, Reclassify("NONE"), rule=RULE.name) if event.kind == "Message" else Said(key=event.key)


async def ask(room: Room, count: int) -> None:
    """Let so many messages arrive, and their requests be accepted."""
    for _ in range(count):
        room.world.add_message(disposition="SPAM")
    await room.read()
    for _ in range(count + 20):
        if not await room.executor.step():
            room.clock.advance(1)
    assert {entry.review for entry in await room.entries()} == {"accepted"}


async def reviews(room: Room) -> Counter[str]:
    return Counter(entry.review for entry in await room.entries())


async def test_requests_are_followed_to_their_ends_by_the_submissions_that_are_read_anyway() -> None:
    room = Room(reclassifies)
    await ask(room, 30)
    room.clock.advance(1000)
    before = calls(room, "GET submissions")
    assert await room.executor.step() == 0
    assert calls(room, "GET submissions") == before
    await read(room, room.submissions)
    granted = sum(mail.now.disposition == "NONE" for mail in room.world.mails)
    assert 0 < granted < 30
    assert await reviews(room) == {"granted": granted, "rejected": 30 - granted}
    assert Counter(entry.state for entry in await room.entries()) == {"done": granted, "failed": 30 - granted}


@pytest.mark.slow
async def test_a_decision_of_weeks_later_is_read_by_the_sweep() -> None:
    room = Room(reclassifies, review_delay=20 * DAY)
    await ask(room, 3)
    await read(room, room.submissions)
    room.clock.advance(20 * DAY)
    await read(room, room.submissions, seconds=4000)
    assert set(await reviews(room)) <= {"granted", "rejected"}


async def test_what_nobody_decides_is_never_decided_after_thirty_days_of_the_clock_handed_in() -> None:
    room = Room(reclassifies, review_delay=2 * MONTH)
    await ask(room, 3)
    claimed = min(entry.claimed_at for entry in await room.entries())
    room.clock.advance(claimed + MONTH - room.clock.now() - 1)
    await room.executor.step()
    assert set(await reviews(room)) == {"accepted"}
    room.clock.advance(60)
    await room.executor.step()
    assert set(await reviews(room)) == {"never_decided"}


async def test_a_restart_goes_on_following() -> None:
    room = Room(reclassifies)
    await ask(room, 5)
    assert await room.ledger.is_asking(ACCOUNT)
    room.restart()
    room.clock.advance(1000)
    await read(room, room.submissions)
    assert "accepted" not in await reviews(room)
    assert not await room.ledger.is_asking(ACCOUNT)


async def test_a_page_of_submissions_accepts_what_the_executor_has_not_looked_for_yet() -> None:
    room = Room(reclassifies)
    room.world.add_message(disposition="SPAM")
    await room.read()
    await room.executor.step()
    room.clock.advance(1)
    await read(room, room.submissions)
    assert await reviews(room) == {"accepted": 1}


async def decide(desk: Desk) -> None:
    """Let a quarter of an hour pass, and read what was decided meanwhile."""
    desk.clock.advance(1000)
    now = desk.clock.now()
    window = Slice(source="submissions", kind="sweep", start=now - DAY, end=now)
    fetched = await Submissions(desk.client).fetch(window)
    outcomes = await follow_requests(desk.ledger, ACCOUNT, fetched.readings, now)
    await desk.ledger.enter(Page(account=ACCOUNT, now=now, source="submissions", outcomes=outcomes))


@pytest.mark.slow
async def test_notices_say_asked_and_later_ones_what_was_not_granted() -> None:
    desk = Desk()
    for mail in desk.old(20, disposition="SPAM"):
        await desk.enter(Reclassify("NONE"), [mail], item=mail.id, sight=1)
        await desk.enter(Notify("soc"), [mail], item=mail.id, sight=2, target="soc")
    await desk.run(120)
    (first,) = desk.heard
    assert (first[1].count("asked, not decided yet"), "and 10 more" in first[1]) == (10, True)
    await decide(desk)
    rejected = [entry for entry in await desk.entries() if entry.review == "rejected"]
    assert 0 < len(rejected) < 20
    await desk.run(120)
    _, later = desk.heard
    assert later[1].count("Reclassify rejected") == len(rejected)
    assert later[1].startswith(f"lookalike: {len(rejected)} notices")


def escalates(event: Event) -> Said:
    """Another rule: whatever is submitted is escalated."""
    return says(event, Escalate("MALICIOUS"), rule=RULE.name) if event.kind == "Submission" else Said(key=event.key)


async def test_what_a_user_sent_in_is_escalated_and_followed_to_its_end() -> None:
    room = Room(escalates, phishguard=False, user_submissions_reviewed=0.0)
    mails = [room.world.add_message(disposition="NONE", subject=f"hello {n}") for n in range(12)]
    users = {room.world.submit_by_user(mail): mail.id for mail in mails}
    await read(room, room.submissions)
    for _ in range(60):
        room.clock.advance(0 if await room.executor.step() else 1)
    assert {effect.detail["escalates"]: effect.target for effect in room.world.effects} == users
    for _ in range(2):
        await read(room, room.submissions)
        room.clock.advance(1000)
    granted = sum(mail.now.disposition == "MALICIOUS" for mail in mails)
    ends = await reviews(room)
    assert (ends["granted"], ends["rejected"]) == (granted, 12 - granted)
    of_users = {event.key for event in room.rules.heard if event.key.split("/")[2] in users}
    assert {key.rpartition("/")[2] for key in of_users} == {"1"}  # our own escalation is no news
