"""Mail with a verdict that nobody knows stays where a person looks, until one has looked."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.reading import SETTLE, Room, malicious_is_moved
from tests.support import Meddle, untouched
from worker.api import Request, Response
from worker.sandbox import ACCOUNT


def renaming(verdict: str) -> Meddle:
    """Let all spam have another verdict."""
    return lambda _, answer: renamed(answer, verdict)


def renamed(answer: Response, verdict: str) -> Response:
    return replace(answer, body=answer.body.replace(b'"SPAM"', b'"%s"' % verdict.encode()))


def growing(verdict: str) -> Meddle:
    """Let it have other bytes each time it is read."""
    times = iter(range(10**6))

    def meddle(_: Request, answer: Response) -> Response:
        body = renamed(answer, verdict).body.replace(b'"subject":"', b'"subject":"%d ' % next(times))
        return replace(answer, body=body)

    return meddle


@pytest.mark.parametrize("verdict", ["GRAYMAIL", "spam", "SPAM ", "x" * 200])
@pytest.mark.parametrize("meddling", [renaming, growing])
async def test_each_is_told_once_and_is_no_unreadable_record(verdict: str, meddling: Callable[[str], Meddle]) -> None:
    room = Room(malicious_is_moved)
    mails = [room.world.add_message(disposition="SPAM").id for _ in range(2)]
    room.world.arrive(30, "outbreak")
    room.meddle = meddling(verdict)
    await room.read(200)
    records = await room.ledger.list_open_records(ACCOUNT)
    assert sorted(one.id for one in records) == sorted(mails)
    assert {(one.is_half_heard, one.why.startswith("unknown final_disposition")) for one in records} == {(True, True)}
    found = await room.ledger.find_standstill(ACCOUNT, room.clock.now())
    assert (found.half_heard, found.unreadable, await room.ledger.count_unreadable(ACCOUNT)) == (2, 0, 0)


async def test_what_a_person_has_closed_is_told_no_more() -> None:
    room = Room(malicious_is_moved)
    room.world.add_message(disposition="SPAM")
    room.meddle = growing("GRAYMAIL")
    await room.read()
    (record,) = await room.ledger.list_open_records(ACCOUNT)
    await room.ledger.order(ACCOUNT, "close gap", record.gap, "ada", "looked at it", room.clock.now())
    assert await room.ledger.take_orders(ACCOUNT, room.clock.now())
    await room.read(120)
    room.meddle = untouched
    await room.read(120)
    assert await room.ledger.list_open_records(ACCOUNT) == ()


async def test_another_unknown_verdict_of_the_same_mail_makes_no_second_row() -> None:
    room = Room(malicious_is_moved)
    mail = room.world.add_message(disposition="SPAM").id
    for verdict in ("GRAYMAIL", "BLACKMAIL", "GRAYMAIL"):
        room.meddle = renaming(verdict)
        await room.read(120)
    assert [one.id for one in await room.ledger.list_open_records(ACCOUNT)] == [mail]


async def test_mail_that_comes_with_a_known_verdict_again_is_told_no_more() -> None:
    room = Room(malicious_is_moved)
    mails = room.world.arrive(12, "outbreak")
    room.meddle = lambda _, answer: replace(answer, body=answer.body.replace(b'"MALICIOUS"', b'"PHISHY"'))
    await room.read(120)
    assert (len(await room.ledger.list_open_records(ACCOUNT)), room.messages.legibility.unreadable) == (12, 12)
    room.meddle = untouched
    await room.read(SETTLE + 60)
    assert (await room.ledger.list_open_records(ACCOUNT), room.messages.legibility.explain()) == ((), "")
    assert await room.targets() == sorted(mail.id for mail in mails)


async def test_mail_counts_until_it_is_closed() -> None:
    room = Room(malicious_is_moved)
    room.world.add_message(disposition="SPAM")
    room.meddle = renaming("GRAYMAIL")
    await room.read()
    (record,) = await room.ledger.list_open_records(ACCOUNT)
    asked = room.messages.legibility.digests
    assert await room.ledger.find_settled_records(ACCOUNT, asked) == frozenset()
    await room.ledger.order(ACCOUNT, "close gap", record.gap, "ada", "looked at it", room.clock.now())
    assert await room.ledger.take_orders(ACCOUNT, room.clock.now())
    assert await room.ledger.find_settled_records(ACCOUNT, asked) == {*asked} == {record.digest}


async def test_a_verdict_that_another_version_knows_was_still_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(malicious_is_moved)
    mail = room.world.add_message(disposition="SPAM").id
    room.meddle = renaming("GRAYMAIL")
    await room.read()
    monkeypatch.setattr("worker.intake.reader.DISPOSITIONS", ("GRAYMAIL",))
    await room.read(SETTLE + 60)
    assert [one.id for one in await room.ledger.list_open_records(ACCOUNT)] == [mail]
