"""What was judged while a field was missing is judged again, once, and nothing of it is asked or done twice."""

import msgspec
from msgspec.structs import replace

from tests.cells import each
from tests.ledger.desk import JUNK, ME, T0, TRASH, Desk, reading
from worker.language.actions import AnyAction, Notify
from worker.ledger.entries import Draft
from worker.ledger.values import Absence, Page, Sight, write_key

HOUR = 3600.0
FROM = Absence(kind="Message", field="from_name", start=T0 + 60, end=T0 + 120)


async def see(desk: Desk, at: float, *messages: str) -> list[str]:
    """Read messages at a time; return what is new or judged again."""
    desk.now = at
    return await desk.read(*(reading(one, at=at) for one in messages))


async def bring_back(desk: Desk, *ended: Absence) -> None:
    """Let fields be back that were missing."""
    desk.now = T0 + 130
    await desk.ledger.end_absences(ME, "messages", HOUR, ended or [FROM], desk.now)


async def test_what_was_seen_while_a_field_was_missing_is_judged_again_and_only_once() -> None:
    desk = Desk()
    for at, message in ((T0, "before"), (T0 + 90, "meanwhile"), (T0 + 121, "after")):
        await see(desk, at, message)
    await bring_back(desk)
    assert await see(desk, T0 + 200, "before", "meanwhile", "after") == ["meanwhile/2"]
    assert await see(desk, T0 + 300, "before", "meanwhile", "after") == []
    desk.successor()
    await bring_back(desk)
    assert await see(desk, T0 + 400, "before", "meanwhile", "after") == []


async def test_a_field_that_is_missing_again_is_another_time() -> None:
    desk = Desk()
    await see(desk, T0 + 90, "m1")
    await bring_back(desk)
    await see(desk, T0 + 200, "m1")
    await desk.ledger.end_absences(ME, "messages", HOUR, [replace(FROM, end=T0 + 250)], T0 + 260)
    assert await see(desk, T0 + 300, "m1") == ["m1/3"]
    assert await see(desk, T0 + 400, "m1") == []


async def test_a_field_that_is_back_later_elsewhere_but_went_before_is_judged_again_from_then_on() -> None:
    desk = Desk()
    for at, message in ((T0 + 30, "early"), (T0 + 90, "meanwhile"), (T0 + 150, "late")):
        await see(desk, at, message)
    await bring_back(desk)
    await desk.ledger.end_absences(ME, "messages", HOUR, [replace(FROM, start=T0 + 20, end=T0 + 160)], T0 + 170)
    assert await see(desk, T0 + 200, "early", "meanwhile", "late") == ["early/2", "meanwhile/2", "late/2"]
    assert await see(desk, T0 + 300, "early", "meanwhile", "late") == []


async def test_each_stretch_that_holds_such_mail_is_open_until_it_is_read() -> None:
    desk = Desk()
    old, desk.now = T0 - 50 * HOUR, T0 + 90
    await desk.read(reading("m1"), reading("m2", time=T0 + 1), reading("m3", time=old))
    await bring_back(desk, FROM, replace(FROM, field="subject"))
    stretches = (await desk.ledger.coverage(ME, "messages")).open
    assert [(one.kind, one.start, one.end) for one in stretches] == [
        ("again", old, old + 1),
        ("again", T0, T0 + 2),
    ]
    assert {one.why for one in stretches} == {"judged while from_name, subject was missing"}
    await desk.ledger.enter(Page(account=ME, now=desk.now, source="messages", slice=stretches[0], closes=True))
    assert [one.start for one in (await desk.ledger.coverage(ME, "messages")).open] == [T0]
    assert (await desk.ledger.coverage(ME, "messages")).closed == ()
    assert (await desk.verbs())[-3:] == ["field back", "field back", "gap closed"]


async def judge_again(desk: Desk, *actions: AnyAction, **change: object) -> list[str]:
    """Bring the field back, and let a message be judged again; return what is on record of that."""
    await bring_back(desk)
    before, sight = len(await desk.verbs()), Sight(reading("m1"), 2)
    news = await desk.ledger.news(ME, [reading("m1")], desk.now, 120.0)
    assert [one.key for one in news.sights] == [sight.key]
    change |= {"cause": sight.key, "item": f"{sight.key}#r", "again": True}
    drafts = tuple(desk.draft(action, "m1", **change) for action in actions)
    await desk.ledger.enter(Page(account=ME, now=desk.now, source="messages", news=news, drafts=drafts))
    return (await desk.verbs())[before:]


async def want(desk: Desk, *drafts: Draft) -> None:
    """Let a message be seen, and this be wanted of it, while a field is missing."""
    await see(desk, T0 + 90, "m1")
    await desk.enter(*drafts)


@each("state", ["waiting", "ready", "sent", "done", "refused", "lapsed", "failed", "observed"])
async def test_what_is_wanted_again_is_not_entered_again_whatever_has_become_of_it(state: str) -> None:
    desk = Desk()
    asks = "waiting" if state in {"refused", "lapsed"} else "ready" if state in {"sent", "done", "failed"} else state
    await want(desk, desk.draft(state=asks))
    (entry,) = await desk.ledger.entries(ME)
    if state in {"sent", "done", "failed"}:
        await desk.claim(entry)
        await desk.answer(entry, "failed" if state == "failed" else "sent")
        await (desk.settle(entry) if state == "done" else desk.state(entry))
    elif state == "refused":
        await desk.ledger.order(ME, "refuse", entry.id, "ada", "no", desk.now)
        await desk.ledger.take_orders(ME, desk.now)
    elif state == "lapsed":
        await desk.ledger.lapse(ME, desk.now + 1, 0.0)
    assert await judge_again(desk, JUNK, state=asks) == ["joined"]
    (left,) = await desk.ledger.entries(ME)
    assert left.state == state


async def test_a_notice_is_not_sent_again() -> None:
    desk = Desk()
    await want(desk, desk.draft(Notify("soc")))
    (notice,) = await desk.ledger.entries(ME)
    await desk.carry_out(notice)
    assert await judge_again(desk, Notify("soc"), Notify("desk")) == ["joined", "entered"]


async def test_what_is_not_wanted_any_more_falls_and_says_why() -> None:
    desk = Desk()
    await want(desk, desk.draft(state="waiting"))
    (entry,) = await desk.ledger.entries(ME)
    assert await judge_again(desk, TRASH) == ["retired", "entered"]
    left = await desk.now_of(entry)
    key = write_key(reading("m1").thing, 2)
    assert (left.state, left.said) == ("moot", f"judged again, as from_name was missing, see {key}")


async def test_what_two_rules_disagreed_about_is_decided_anew() -> None:
    desk = Desk()
    event = write_key(reading("m1").thing, 1)
    await want(desk, desk.side(JUNK, event, "r"), desk.side(TRASH, event, "other", rules=("other",)))
    assert await judge_again(desk, JUNK) == ["retired", "retired", "entered"]
    assert [entry.state for entry in await desk.ledger.entries(ME)] == ["ready", "moot", "moot"]


async def test_a_field_that_is_back_is_on_record_and_forgotten_with_its_mail() -> None:
    desk = Desk()
    await bring_back(desk)
    (line,) = await desk.ledger.records(ME)
    told = msgspec.json.decode(line)
    assert (told["verb"], told["field"], told["source"]) == ("field back", "from_name", "messages")
    await see(desk, T0 + 90, "m1")
    await desk.ledger.prune(ME, T0, {"Message": T0 + 500}, 0.0)
    await see(desk, T0 + 90, "m1")
    assert await see(desk, T0 + 200, "m1") == []
