"""Events that were held for a fact or a field: what is judged beside the sources counts like what is read."""

import asyncio
from collections import Counter

import pytest
from msgspec.structs import replace

from tests.cells import each
from tests.reading import Room, fails, says
from tests.support import TestClock, untouched
from worker import BlockSender, Move, Notify
from worker.api import Request, Response
from worker.intake.unreadable import SHARE
from worker.language.models import TRIGGERS
from worker.language.reading import read
from worker.language.rules import ENFORCE, Ask
from worker.ledger.lives import MailSearch
from worker.ledger.values import Held
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT


def fails_with_a_detection(event: Event) -> Said:
    """Ask for the detection, and fail on it."""
    return fails(event) if event.facts else Said(key=event.key, asks=(Ask(rule="bad", facts=("Detection",)),))


async def test_a_rule_that_fails_on_a_held_event_is_counted() -> None:
    room = Room(fails_with_a_detection)
    room.world.add_message()
    await room.read()
    assert b'worker_rule_failures_total{rule="bad"}' not in room.metrics.render()
    await room.held.step()
    assert b'worker_rule_failures_total{rule="bad"} 1.0' in room.metrics.render()


async def test_what_is_decided_about_held_events_is_counted() -> None:
    def moves_with_a_detection(event: Event) -> Said:
        wanted = says(event, Move("DeletedItems"), BlockSender("eve@bad.example"))
        return wanted if event.facts else Said(key=event.key, asks=(Ask(rule="r", facts=("Detection",)),))

    room = Room(moves_with_a_detection)
    for _ in range(3):
        room.world.add_message()
    await room.read()
    assert (room.messages.totals["decisions"], room.held.totals["decisions"]) == (0, 0)
    await room.held.step()
    assert room.held.totals["decisions"] == 3


class HangingClock(TestClock):
    """A clock by which no pause ends, as between the attempts of a request."""

    async def sleep(self, _: float) -> None:
        """Sleep for ever."""
        await asyncio.Event().wait()


def hang_with_one_detection() -> tuple[Room, str]:
    """Return a room where two of three mails wait for nothing, and the id of the one whose detection never comes."""

    def moves_with_a_detection(event: Event) -> Said:
        ask = Ask(rule="asks", actions=("Move",), mode=ENFORCE, facts=("Detection",))
        return replace(says(event, Move("DeletedItems")), asks=() if event.facts else (ask,))

    room = Room(moves_with_a_detection, clock=HangingClock())
    hung, *_ = [room.world.add_message().id for _ in range(3)]
    name = hung.partition("-")[0]
    room.meddle = lambda asked, answer: replace(answer, status=500) if name in asked.path else answer
    return room, hung


async def test_a_fact_that_does_not_come_delays_no_other_event_and_is_asked_for_once() -> None:
    room, hung = hang_with_one_detection()
    await room.read()
    for _ in range(3):
        await room.held.step()
    moved = await room.targets()
    assert (len(moved), hung in moved) == (2, False)
    assert [item.sight.reading.thing.id for item in await room.ledger.list_held(ACCOUNT)] == [hung]
    assert room.world.requests["GET investigate/{id}/detections"].total() == 3
    room.held.drop()


async def test_what_is_wanted_of_malicious_mail_waits_five_minutes_for_a_fact_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.judging.judge.ATTEMPT", 0.1)
    room, hung = hang_with_one_detection()
    await room.read()
    room.clock.advance(300)
    await room.held.step()
    (item,) = await room.ledger.list_held(ACCOUNT)
    assert (item.sight.reading.thing.id, item.why, item.tries) == (hung, "needs Detection", 1)
    assert len(await room.targets()) == 3


async def test_a_held_event_that_cannot_be_read_for_once_stays_held_with_what_rules_wanted() -> None:
    lost: list[str] = []

    def wants_in_spite_of_another(event: Event) -> Said:
        if lost:
            return Said(key=event.key, unreadable=lost[0])
        wanted = says(event, Move("DeletedItems")).proposals
        other = Ask(rule="other", actions=("Move",), mode=ENFORCE, facts=("Detection",))
        return Said(key=event.key, proposals=wanted, asks=() if event.facts else (other,))

    room = Room(wants_in_spite_of_another)
    mail = room.world.add_message(disposition="SPAM")
    await room.read()
    lost.append("the rule process cannot read it")
    await room.held.step()
    (item,) = await room.ledger.list_held(ACCOUNT)
    assert (item.why, await room.targets(), await room.ledger.count_unreadable(ACCOUNT)) == (lost[0], [], 0)
    lost.clear()
    room.clock.advance(61)
    await room.held.step()
    assert (await room.targets(), await room.ledger.list_held(ACCOUNT)) == ([mail.id], ())


def looks_at_the_subject(event: Event) -> Said:
    """Move what has a subject that can be read, and wait for one that cannot."""
    noun = read(TRIGGERS[event.kind], event.raw)
    if "subject" in noun.unread:
        return Said(key=event.key, asks=(Ask(rule="careful", actions=("Move",), mode=ENFORCE, unread=("subject",)),))
    return says(event, Move("DeletedItems"), rule="careful")


async def hold_mail(mails: int = 1) -> tuple[Room, list[str]]:
    """Return a room in which so many mails are held, because their subject could not be read, and their ids."""
    room = Room(looks_at_the_subject)
    ids = [room.world.add_message(subject="Pay now").id for _ in range(mails)]
    room.meddle = spoil
    await room.read()
    await settle(room)
    return room, sorted(ids)


def spoil(_: Request, answer: Response) -> Response:
    """Let no subject be a text."""
    return replace(answer, body=answer.body.replace(b'"subject":"Pay now"', b'"subject":[{}]'))


async def settle(room: Room) -> None:
    """Judge held events until none is due."""
    while await room.held.step() == 0.0:
        pass


async def list_held(room: Room) -> tuple[Held, ...]:
    return await room.ledger.list_held(ACCOUNT)


def count_reads(room: Room) -> int:
    """Return how often mail was searched for or read by its id."""
    return sum(room.world.requests.get(name, Counter()).total() for name in ("GET investigate", "GET investigate/{id}"))


async def test_mail_held_for_a_field_is_read_again_by_its_id_and_judged_once_the_field_is_whole() -> None:
    room, ids = await hold_mail()
    (item,) = await list_held(room)
    assert item.why.startswith("rule careful uses subject, which cannot be read: that is read again by itself")
    room.meddle = untouched
    before = count_reads(room)
    room.clock.advance(301)
    await settle(room)
    assert (await room.targets(), await list_held(room), count_reads(room) - before) == (ids, (), 1)


@pytest.mark.slow
@pytest.mark.parametrize("mails", [1, 40])
async def test_what_stays_unread_is_read_again_after_5_and_30_minutes_and_hourly(mails: int) -> None:
    room, _ = await hold_mail(mails)
    read = list[int]()
    for _ in range(22 * 12):
        before = count_reads(room)
        room.clock.advance(301)
        await settle(room)
        read += [count_reads(room) - before]
    assert (len(await list_held(room)), max(read), sum(read[:7]), 20 <= sum(read) <= 24) == (mails, 1, 2, True)


async def want(room: Room) -> str:
    """Want all that is held to be tried again; return what is said to that."""
    covers = [item.sight.key for item in await list_held(room)]
    await room.ledger.order(ACCOUNT, "retry held", "", "ada", "", room.clock.now(), covers=covers)
    (order,) = await room.ledger.take_orders(ACCOUNT, room.clock.now())
    await settle(room)
    return order.answer


async def test_what_a_person_wants_is_read_again_at_once() -> None:
    room, ids = await hold_mail(3)
    room.meddle = untouched
    assert (await want(room), await room.targets(), await list_held(room)) == ("3 to be tried again", ids, ())
    assert (await want(room)).startswith("nothing of this is held any more")


async def test_mail_is_found_by_what_could_not_be_read_at_first() -> None:
    room, ids = await hold_mail()
    (before,) = await room.ledger.find_mails(ACCOUNT, MailSearch(id=ids[0]))
    room.meddle = untouched
    await want(room)
    (after,) = await room.ledger.find_mails(ACCOUNT, MailSearch(id=ids[0]))
    assert (before.subject, after.subject) == ("", "Pay now")


async def test_all_that_is_read_again_takes_a_hundredth_of_the_share_at_most() -> None:
    room, _ = await hold_mail()
    for pause, reads in ((0.0, 1), (0.0, 0), (0.9, 0), (0.2, 1)):
        before = count_reads(room)
        room.clock.advance(pause * room.budget.space_out(SHARE))
        await want(room)
        assert count_reads(room) - before == reads
        (item,) = await list_held(room)
        assert (item.next_at > room.clock.now()) == (reads == 1)  # what could not be read yet is still wanted


@pytest.mark.parametrize("few", [200, 1])
async def test_whatever_shows_a_held_mail_whole_lets_the_rules_judge_it(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.ledger.renewing.FEW", few)
    room, ids = await hold_mail(3)
    room.meddle = untouched
    await room.read(61)  # the overlap
    await room.held.step()
    assert await room.targets() == ids


async def test_a_record_with_another_state_is_news_and_judged_once() -> None:
    room, ids = await hold_mail()
    room.meddle = untouched
    room.world.change_verdict(ids[0], "SPAM")
    room.clock.advance(301)
    await settle(room)
    assert (await room.targets(), await list_held(room)) == (ids, ())


def uses_all(event: Event) -> Said:
    """Tell of what can be read whole, and wait for anything that cannot."""
    unread = read(TRIGGERS[event.kind], event.raw).unread
    ask = Ask(rule="uses", actions=("Notify",), mode=ENFORCE, unread=unread)
    return Said(key=event.key, asks=(ask,)) if unread else says(event, Notify("soc"), rule="uses")


@each("kind", ["reports", "submissions", "allowed"])
async def test_what_has_no_address_of_its_own_is_read_again_by_its_moment(kind: str) -> None:
    room = Room(uses_all)
    mail = room.world.add_message(disposition="NONE")
    room.world.add_report(mail, title="Pay now")
    room.world.add_submission(subject="Pay now")
    room.world.add_entry("allow_policies", pattern="a@b.example", pattern_type="EMAIL", comments="Pay now")
    room.meddle = lambda _, answer: replace(answer, body=answer.body.replace(b':"Pay now"', b":[{}]"))
    await getattr(room, kind).read_head()
    await settle(room)
    assert len(await list_held(room)) == 1
    room.meddle = untouched
    room.clock.advance(301)
    await settle(room)
    assert (await room.targets(), await list_held(room)) == (["soc"], ())
