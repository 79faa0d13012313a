"""Events that are no mail: what people send in, and what somebody writes on a list."""

from collections.abc import Callable
from math import inf

import msgspec
import pytest
from msgspec.structs import replace

from tests.cells import each
from tests.reading import DAY, Room, says
from tests.support import Meddle, untouched
from worker import AllowPolicy, BlockSender, Move, Notify, Release
from worker.api import Request, Response
from worker.api.bodies import AllowChange, BlockChange
from worker.intake.reader import Intake
from worker.judging.facts import SENT_IN
from worker.language.actions import AnyAction
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT


def about(kind: str, *actions: AnyAction) -> Callable[[Event], Said]:
    """Return a rule that wants something of each event of a kind."""
    return lambda event: says(event, *actions) if event.kind == kind else Said(key=event.key)


def calls(room: Room, operation: str) -> int:
    return sum(room.world.requests.get(operation, {}).values())


async def read(room: Room, intake: Intake, seconds: float = 0.0) -> None:
    """Read a source and what lies behind its head, for some seconds, then judge what was held."""
    end = room.clock.now() + seconds
    while True:
        pause = await intake.read_head()
        while not (behind := await intake.read_behind()):
            pass
        if room.clock.now() + min(pause, behind) > end:
            break
        room.clock.advance(min(pause, behind))
    await room.held.step()


async def heard(room: Room) -> list[str]:
    """The events that entries came from."""
    return [entry.cause for entry in await room.entries()]


@each("how", ["null", "absent", "empty"])
async def test_a_list_entry_without_its_pattern_is_a_gap_and_is_judged_when_it_is_whole(how: str) -> None:
    room, lost = Room(about("AllowPolicy", Notify("soc"))), {"null": None, "absent": ..., "empty": ""}[how]
    room.world.add_entry("allow_policies", pattern="a.example", pattern_type="DOMAIN", is_acceptable_sender=True)
    await read(room, room.allowed)
    room.clock.advance(60)
    bare = room.world.add_entry("allow_policies", pattern="b.example", pattern_type="DOMAIN", is_trusted_sender=True)
    room.meddle = without_pattern(bare, lost)
    await read(room, room.allowed)
    (record,) = await room.ledger.list_unreadable(ACCOUNT, inf, 9)
    assert (record.id, record.why) == (bare, "the entry has no pattern, or none that can be read")
    assert bare not in "".join(await heard(room))
    room.meddle = untouched
    room.clock.advance(121)
    await room.allowed.read_head()
    await read(room, room.allowed, 3600)
    assert (len(await heard(room)), await room.ledger.count_unreadable(ACCOUNT)) == (2, 0)


def without_pattern(bare: str, lost: object) -> Meddle:
    """Let one entry of a list have another pattern, or none at all."""

    def meddle(_: Request, answer: Response) -> Response:
        body = msgspec.json.decode(answer.body)
        for entry in (one for one in body["result"] if one.get("id") == bare):
            entry["pattern"] = lost
            if lost is ...:
                del entry["pattern"]
        return replace(answer, body=msgspec.json.encode(body))

    return meddle


async def test_a_submission_is_judged_when_it_is_sent_in_and_when_something_came_of_it() -> None:
    room = Room(about("Submission", Notify("soc")))
    ident = room.world.add_submission()
    await read(room, room.submissions)
    room.world.change_submission(ident, status="completed", outcome_disposition="MALICIOUS")
    room.world.change_submission(ident, customer_status="reviewed")
    await read(room, room.submissions)
    assert [cause.split("/")[1:] for cause in await heard(room)] == [
        ["Submission", ident, "1"],
        ["Submission", ident, "2"],
    ]


@pytest.mark.parametrize("triage", ["escalated", "reviewed"])
async def test_a_submission_is_judged_when_a_person_escalates_or_reviews_it(triage: str) -> None:
    room = Room(about("Submission", Notify("soc")))
    ident = room.world.add_submission()
    await read(room, room.submissions)
    room.world.change_submission(ident, customer_status=triage)
    await read(room, room.submissions)
    triages = [msgspec.json.decode(event.raw)["customer_status"] for event in room.rules.heard]
    assert triages == ["unreviewed", triage]


async def test_a_submission_is_about_the_message_it_names_though_that_came_days_before() -> None:
    room = Room(about("Submission", Move("DeletedItems")))
    mail = room.world.add_message(disposition="NONE", subject="Your invoice", scanned=room.clock.now() - 3 * DAY)
    room.world.add_message(disposition="NONE", subject="Your invoice")
    room.world.add_submission(original_postfix_id=mail.postfix, subject="Your invoice")
    await read(room, room.submissions)
    (entry,) = await room.entries()
    assert (entry.target, entry.state, entry.verdict) == (mail.id, "ready", "NONE|delivered")
    assert calls(room, "GET investigate") == len(SENT_IN)


async def test_mail_that_was_sent_in_at_once_is_found_by_one_call() -> None:
    room = Room(about("Submission", Release()))
    mail = room.world.add_message(disposition="NONE", subject="Your invoice", scanned=room.clock.now() - 600)
    room.world.add_submission(original_postfix_id=mail.postfix, subject="Your invoice")
    await read(room, room.submissions)
    assert await room.targets() == [mail.id]
    assert calls(room, "GET investigate") == 1


async def test_a_subject_that_thousands_have_is_not_looked_through_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.judging.facts.MOST_PAGES", 2)
    room = Room(about("Submission", Release()))
    for _ in range(2100):
        room.world.add_message(disposition="NONE", subject="Your invoice", scanned=room.clock.now() - 600)
    room.world.add_submission(original_postfix_id="4Nowhere", subject="Your invoice")
    await read(room, room.submissions)
    room.clock.advance(61)
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    assert "was among the first 2 pages of mail scanned between" in held.why
    assert calls(room, "GET investigate") == 2


async def test_a_submission_without_a_subject_is_looked_for_around_its_own_time_only() -> None:
    room = Room(about("Submission", Release()))
    near, far = (room.world.add_message(disposition="NONE", scanned=room.clock.now() - ago) for ago in (600, 2 * DAY))
    for mail in (near, far):
        room.world.add_submission(original_postfix_id=mail.postfix)
    await read(room, room.submissions)
    assert await room.targets() == [near.id]
    room.clock.advance(61)
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    assert held.why.startswith(f"no message {far.postfix} was scanned between ")


async def test_a_submission_that_names_no_message_says_so() -> None:
    room = Room(about("Submission", Move("JunkEmail")))
    ident = room.world.add_submission(subject="Your invoice")
    await read(room, room.submissions)
    room.clock.advance(61)
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    assert held.why == f"submission {ident} names no message"


async def test_a_subject_with_controls_in_it_is_shown_as_harmless() -> None:
    room = Room(about("Submission", Move("JunkEmail")))
    room.world.add_submission(original_postfix_id="4Nowhere", subject="a\x1b[2J" + "b" * 900)
    await read(room, room.submissions)
    room.clock.advance(61)
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    assert "with subject a\\u001B[2Jbbb" in held.why
    assert len(held.why) < 300


async def test_a_submission_that_only_leads_to_a_notice_costs_no_search() -> None:
    room = Room(about("Submission", Notify("soc")))
    room.world.add_submission(original_postfix_id="4Nowhere")
    await read(room, room.submissions)
    assert calls(room, "GET investigate") == 0
    assert calls(room, "GET submissions") > 0


def named(room: Room, kind: str) -> tuple[Intake, str]:
    return (room.blocked, "block_senders") if kind == "BlockedSender" else (room.allowed, "allow_policies")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["BlockedSender", "AllowPolicy"])
async def test_an_entry_is_news_when_it_is_made_and_when_it_is_changed_and_never_before(kind: str) -> None:
    room = Room(about(kind, Notify("soc")))
    intake, name = named(room, kind)
    old = room.world.add_entry(name, room.clock.now() - 40 * DAY, pattern="old.example", pattern_type="DOMAIN")
    room.world.add_entry(name, room.clock.now() - 2 * DAY, pattern="older-than-reading.example")
    await read(room, intake)
    assert await heard(room) == []
    new = room.world.add_entry(name, pattern="new.example")
    await read(room, intake, 600)
    settings = room.client.settings
    if kind == "BlockedSender":
        await settings.block_senders.edit(old, BlockChange(comments="seen"))
    else:
        await settings.allow_policies.edit(old, AllowChange(comments="seen"))
    await read(room, intake, 600)
    assert [cause.split("/")[1:] for cause in await heard(room)] == [[kind, new, "1"], [kind, old, "1"]]
    assert {entry.state for entry in await room.entries()} == {"ready"}


async def test_a_list_is_read_whole_however_many_pages_it_has() -> None:
    room = Room(about("BlockedSender", Notify("soc")))
    for number in range(1001):
        room.world.add_entry("block_senders", room.clock.now() - 40 * DAY, pattern=f"{number}.example")
    last = room.world.add_entry("block_senders", pattern="last.example")
    await room.blocked.read_head()
    assert [cause.split("/")[2] for cause in await heard(room)] == [last]
    assert calls(room, "GET settings/block_senders") == 2


async def test_a_month_in_which_nobody_read_a_list_is_read_at_once() -> None:
    room = Room(about("AllowPolicy", Notify("soc")))
    await read(room, room.allowed)
    room.clock.advance(DAY)
    room.world.add_entry("allow_policies", pattern="meanwhile.example")
    room.clock.advance(9 * DAY)
    before = calls(room, "GET settings/allow_policies")
    await read(room, room.allowed)
    assert [entry.state for entry in await room.entries()] == ["waiting"]
    assert await room.allowed.find_gaps() == ()
    assert calls(room, "GET settings/allow_policies") - before <= 4


async def test_a_rule_about_a_list_can_change_lists() -> None:
    def answer(event: Event) -> Said:
        policy = msgspec.json.decode(event.raw, type=AllowPolicy)
        return says(event, BlockSender(policy.pattern, "DOMAIN"))

    room = Room(answer)
    room.world.add_entry("allow_policies", pattern="bad.example", pattern_type="DOMAIN")
    await read(room, room.allowed)
    (entry,) = await room.entries()
    assert (entry.target, entry.state, entry.why) == ("DOMAIN:bad.example", "waiting", "unproved")
