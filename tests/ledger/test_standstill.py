"""What stands still in the ledger, and what keeps it back."""

from datetime import timedelta

from msgspec.structs import replace

from tests.cells import each
from tests.desk import RULE, Desk
from tests.ledger.desk import ME, T0, reading
from tests.ledger.desk import Desk as LedgerDesk
from worker.language.actions import BlockSender, Move
from worker.ledger.values import Held, Page, Sight
from worker.sandbox import ACCOUNT

JUNK = Move(destination="JunkEmail")


@each(
    ("subject", "told"),
    [
        ("", ("everything", "")),
        ("lane:placement", ("lane", "placement")),
        (f"rule:{RULE.name}", ("rule", RULE.name)),
        ("lane:block", ()),
        ("rule:another", ()),
    ],
)
async def test_a_brake_that_keeps_back_what_is_ready_is_named_with_how_much(
    subject: str, told: tuple[str, ...]
) -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(3))
    await desk.ledger.order(ACCOUNT, "brake", subject, "ada", "", desk.clock.now())
    await desk.ledger.take_orders(ACCOUNT, desk.clock.now())
    found = await desk.ledger.find_standstill(ACCOUNT, desk.clock.now())
    assert found.kept_back == (((*told, 3),) if told else ())


async def test_a_rule_that_only_observes_until_it_is_fixed_keeps_back_its_own() -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(2))
    found = await desk.ledger.find_standstill(ACCOUNT, desk.clock.now(), [RULE.name])
    assert found.kept_back == (("lowered", RULE.name, 2),)
    assert (await desk.ledger.find_standstill(ACCOUNT, desk.clock.now(), ["another"])).kept_back == ()


async def test_what_waits_because_its_rule_was_lowered_is_kept_back_until_that_is_fixed() -> None:
    desk = Desk()
    await desk.enter(JUNK, desk.old(2))
    desk.lowered = frozenset({RULE.name})
    await desk.executor.step()
    assert {(entry.state, entry.why) for entry in await desk.entries()} == {("waiting", "rule_lowered")}
    found = await desk.ledger.find_standstill(ACCOUNT, desk.clock.now(), [RULE.name])
    assert found.kept_back == (("lowered", RULE.name, 2),)
    assert (await desk.ledger.find_standstill(ACCOUNT, desk.clock.now())).kept_back == ()


@each(("late", "behind", "told"), [(3601.0, 3602.0, 1), (3601.0, 0.0, 0), (3599.0, 3602.0, 0)])
async def test_an_end_is_overdue_when_a_clock_keeps_it_back_for_an_hour(late: float, behind: float, told: int) -> None:
    desk = LedgerDesk()
    await desk.carry_out(await desk.wish(BlockSender("evil@example.net", for_=timedelta(hours=1))))
    due = T0 + 3600
    found = await desk.ledger.find_standstill(ME, due + late, past=due + late - behind)
    assert (found.overdue, found.overdue_since) == (told, due * told)


async def test_nothing_stands_still_in_an_empty_ledger() -> None:
    desk = Desk()
    found = await desk.ledger.find_standstill(ACCOUNT, desk.clock.now())
    assert (found.held, found.since, found.causes, found.kept_back) == (0, 0.0, (), ())


async def test_causes_are_the_one_of_the_oldest_event_and_then_what_holds_most() -> None:
    desk, now = Desk(), 1000.0
    held = [("a", 1, 5.0), ("b", 0, 3.0), ("c", 1, 4.0), ("c", 2, 6.0), ("c", 0, 7.0)]
    items = [
        Held(sight=Sight(reading(f"m{place}"), 1), why=why, since=since, tries=0, next_at=now)
        for place, (why, _, since) in enumerate(held)
    ]
    await desk.ledger.enter(Page(account=ACCOUNT, now=now, source="messages", held=tuple(items)))
    tried = tuple(replace(item, tries=tries) for item, (_, tries, _) in zip(items, held, strict=True) if tries)
    await desk.ledger.enter(Page(account=ACCOUNT, now=now, source="messages", held=tried))
    found = await desk.ledger.find_standstill(ACCOUNT, now)
    told = [(one.why, one.events, one.since, one.is_new) for one in found.causes]
    assert told == [("b", 1, 3.0, True), ("c", 2, 4.0, False), ("a", 1, 5.0, False), ("c", 1, 7.0, True)]
    assert (found.held, found.since) == (5, 3.0)
