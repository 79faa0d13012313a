"""People are called: whatever begins to wait for a person is announced, and once more before it lapses."""

import asyncio
import itertools
from io import StringIO
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.ledger.desk import ME, T0, Desk, info, standing
from tests.ledger.plans import listened
from tests.support import TestClock
from worker import OBSERVE, BlockSender, Move, Notify, Release
from worker.audit.announcements import Terms, announce, group
from worker.audit.announcer import AGAIN, EVERY, Announcer
from worker.audit.deliveries import LONGEST_PAUSE, Deliveries
from worker.errors import Temporary
from worker.language.actions import AnyAction
from worker.ledger.entries import Claim, Draft, Look
from worker.ledger.waiting import Waiting
from worker.telemetry import open_log

LAPSE = 3 * 86400.0
GATHER = 60.0
ASKS = {"state": "waiting", "why_waiting": "the rule's mode is APPROVE", "subject": "Invoice"}


class Crash(BaseException):
    """The end of a process, right after a channel has taken a text."""


class Office:
    """Where people are called: a ledger, and channels that take everything unless they are broken."""

    def __init__(self, *names: str, notifies: tuple[str, ...] = ()) -> None:
        """Open these channels; the rule ``r`` may notify some of them."""
        self.desk, self.clock, self.log = Desk(), TestClock(T0), StringIO()
        self.names, self.broken, self.hanging = frozenset(names), set[str](), set[str]()
        self.rules = {"r": replace(info(), channels=notifies)}
        self.heard: list[tuple[str, str]] = []
        self.crash_after, self.tries = 0, list[float]()
        self.restart()

    def restart(self) -> None:
        """Let another process take over, which knows only what the ledger knows."""
        self.announcer = Announcer(
            self.desk.ledger,
            Deliveries(self, self.clock, open_log(self.log)),
            find_rules=lambda: self.rules,
            clock=self.clock,
            terms=Terms(ME, LAPSE),
            gather=GATHER,
        )

    async def notify(self, channel: str, text: str) -> None:
        """Take a text, or fail, or never answer."""
        if channel in self.hanging:
            await asyncio.Event().wait()
        if channel in self.broken:
            self.tries.append(self.clock.now() - T0)
            raise Temporary(f"channel {channel!r} did not take the notice")
        self.heard.append((channel, text))
        if len(self.heard) == self.crash_after:
            raise Crash

    async def wait_for(self, *messages: str, action: AnyAction | None = None, **more: Any) -> None:  # noqa: ANN401
        """Let an action about each message begin to wait for a person."""
        drafts = [self.draft(message, action, **more) for message in messages]
        self.desk.now = self.clock.now()
        await self.desk.enter(*drafts)

    def draft(self, message: str, action: AnyAction | None = None, **more: Any) -> Draft:  # noqa: ANN401
        """Return an effect that waits for a person."""
        return self.desk.draft(action or Move("JunkEmail"), message, **{**ASKS, **more})

    async def live(self, seconds: float = 0.0) -> list[tuple[str, str]]:
        """Let so much time pass; return what was heard in it."""
        before, end = len(self.heard), self.clock.now() + seconds
        while True:
            pause = await self.announcer.step()
            if self.clock.now() >= end:
                return self.heard[before:]
            self.clock.advance(min(max(pause, seconds / 100), end - self.clock.now()))

    def told(self) -> list[str]:
        """Return what was logged."""
        return [msgspec.json.decode(line)["event"] for line in self.log.getvalue().splitlines()]


async def test_what_begins_to_wait_is_announced_once_with_all_that_a_person_needs() -> None:
    office = Office("approvals")
    await office.wait_for("m1", recipients=("ada@corp.example", "b@corp.example", "c@corp.example"))
    ((channel, text),) = await office.live(2 * GATHER)
    (entry,) = await office.desk.ledger.entries(ME)
    assert channel == "approvals"
    assert text.splitlines() == [
        "r: 1 decision waits for a person",
        f"account {ME} · wanted: Move JunkEmail · why: the rule's mode is APPROVE",
        f"- {entry.id} 'Invoice' from evil@example.net to ada@corp.example, b@corp.example and 1 more · it is bad",
        f"decide: worker approve {entry.id}, or worker refuse {entry.id}",
        "lapses if nobody decides by 2023-11-17 22:13 UTC",
    ]


async def test_what_is_alike_is_announced_together_and_most_of_it_is_counted() -> None:
    office = Office("approvals")
    await office.wait_for(*(f"m{number}" for number in range(300)))
    await office.wait_for("other", action=Release())
    move, release = [text.splitlines() for _, text in await office.live()]
    assert (move[0], move[7]) == (
        "r: 300 decisions wait for a person",
        "and 295 more decisions, which worker waiting lists",
    )
    assert move[8].endswith("everything of this rule that waits: worker approve --rule r")
    assert (len(move), len(release)) == (10, 5)


async def test_a_decision_about_much_is_one_and_names_how_much_and_whom_it_lists() -> None:
    office = Office("approvals")
    for number in range(7):
        block = BlockSender(f"a{number}@b.example")
        await office.wait_for(f"m{number}", action=block, item="limit/r/1", item_kind="limit", item_of="r")
    ((_, text),) = await office.live()
    assert "r: 1 decision waits" in text
    assert "wanted: BlockSender EMAIL ·" in text
    assert "a0@b.example; a1@b.example; a2@b.example; and 4 others · 7 messages in all" in text


@pytest.mark.parametrize(
    ("names", "notifies", "told"),
    [
        (("approvals", "soc"), ("soc",), {"approvals"}),
        (("soc", "helpdesk"), ("soc",), {"soc"}),
        (("soc", "helpdesk"), (), {"soc", "helpdesk"}),
        (("soc", "helpdesk"), ("gone",), {"soc", "helpdesk"}),
    ],
    ids=["the channel for approvals", "the rule's own", "all", "the rule's own has no address"],
)
async def test_people_are_told_on_the_channel_for_approvals_else_on_the_rule_s_else_on_all(
    names: tuple[str, ...], notifies: tuple[str, ...], told: set[str]
) -> None:
    office = Office(*names, notifies=notifies)
    await office.wait_for("m1")
    assert {channel for channel, _ in await office.live(EVERY)} == told


async def test_without_a_channel_it_is_a_warning_how_many_wait() -> None:
    office = Office()
    assert (await office.live(), office.announcer.explain_unheard()) == ([], "")
    await office.wait_for("m1", "m2")
    await office.live()
    assert office.announcer.explain_unheard() == (
        f"account {ME}: 2 decisions wait for a person, and nobody is told: "
        "set WORKER_NOTIFY_APPROVALS to the address of a channel"
    )


async def test_people_are_told_once_more_before_it_lapses() -> None:
    office = Office("approvals")
    await office.wait_for("m1")
    await office.live()
    assert await office.live(AGAIN * LAPSE - 60) == []
    ((_, text),) = await office.live(120)
    assert text.startswith("r: 1 decision still waits for a person and will lapse\n")
    assert await office.live(0.2 * LAPSE) == []


async def test_what_a_person_has_decided_is_not_announced() -> None:
    office = Office("approvals")
    await office.wait_for("m1", "m2")
    for message, verb in (("m1", "approve"), ("m2", "refuse")):
        (entry,) = [one for one in await office.desk.ledger.entries(ME) if one.target == message]
        await office.desk.ledger.order(ME, verb, entry.id, "ada", "", office.clock.now())
    await office.desk.ledger.take_orders(ME, office.clock.now())
    assert await office.live(LAPSE) == []


async def test_what_waits_with_a_new_question_is_announced_again() -> None:
    office = Office("approvals")
    await office.wait_for("m1")
    await office.live()
    (entry,) = await office.desk.ledger.entries(ME)
    await office.desk.ledger.order(ME, "approve", entry.id, "ada", "", office.clock.now())
    office.clock.advance(GATHER)
    await office.desk.ledger.take_orders(ME, office.clock.now())
    assert await office.live() == []
    now = office.clock.now()
    await office.desk.ledger.claim(ME, [Claim(entry.id, Look(at=now))], standing(ceiling=OBSERVE), now, now)
    ((_, text),) = await office.live()
    assert "WORKER_CEILING is observe now" in text


async def test_what_waits_with_a_new_question_by_now_is_not_marked_with_the_old_one() -> None:
    office = Office("approvals")
    await office.wait_for("m1")
    ledger, now = office.desk.ledger, office.clock.now() + GATHER
    (told,) = await ledger.list_unannounced(ME, now, LAPSE)
    await ledger.order(ME, "approve", told.id, "ada", "", now)
    await ledger.take_orders(ME, now)
    await ledger.claim(ME, [Claim(told.id, Look(at=now))], standing(ceiling=OBSERVE), now, now)
    await ledger.mark_announced([told], now)
    (again,) = await ledger.list_unannounced(ME, now, LAPSE)
    assert (again.id, again.is_told_again, again.said) == (told.id, False, "WORKER_CEILING is observe now")


async def test_what_comes_after_its_like_is_gathered_and_what_is_different_is_not() -> None:
    office = Office("approvals")
    await office.wait_for("m1")
    await office.live()
    await office.wait_for("m2", "m3")
    await office.wait_for("m4", action=Release())
    assert [text.splitlines()[0] for _, text in await office.live(GATHER / 2)] == ["r: 1 decision waits for a person"]
    assert [text.splitlines()[0] for _, text in await office.live(GATHER)] == ["r: 2 decisions wait for a person"]


async def test_a_restart_announces_nothing_again() -> None:
    office = Office("approvals")
    await office.wait_for("m1")
    await office.live()
    office.restart()
    assert await office.live(GATHER) == []


async def test_a_crash_between_a_channel_and_the_ledger_repeats_one_announcement_and_loses_none() -> None:
    office = Office("approvals")
    for message, action in (("m1", Move("JunkEmail")), ("m2", Release()), ("m3", Move("DeletedItems"))):
        await office.wait_for(message, action=action)
    office.crash_after = 2
    with pytest.raises(Crash):
        await office.live()
    office.restart()
    await office.live(GATHER)
    wanted = [text.partition("wanted: ")[2].partition(" · ")[0] for _, text in office.heard]
    assert wanted == ["Move JunkEmail", "Release", "Release", "Move DeletedItems"]


async def test_a_channel_that_fails_is_tried_again_after_growing_pauses_and_told_once_in_the_log() -> None:
    office = Office("soc")
    office.broken = {"soc"}
    await office.wait_for("m1", "m2")
    assert await office.live(3600) == []
    assert office.told() == ["a channel did not take an announcement; tries again"]
    pauses = [later - earlier for earlier, later in itertools.pairwise(office.tries)]
    assert pauses == sorted(pauses)
    assert (pauses[-1] >= LONGEST_PAUSE, 5 <= len(office.tries) <= 9) == (True, True)
    assert "2 decisions wait for a person, and nobody is told: channel 'soc'" in office.announcer.explain_unheard()
    office.broken.clear()
    assert len(await office.live(LONGEST_PAUSE)) == 1
    assert (office.told()[1:], office.announcer.explain_unheard()) == (["a channel takes announcements again"], "")


async def test_a_channel_that_works_hears_nothing_twice_while_another_one_fails() -> None:
    office = Office("soc", "helpdesk")
    office.broken = {"soc"}
    await office.wait_for("m1")
    assert [channel for channel, _ in await office.live(3600)] == ["helpdesk"]
    office.broken.clear()
    assert [channel for channel, _ in await office.live(LONGEST_PAUSE)] == ["soc"]


async def test_a_channel_that_hangs_delays_no_other() -> None:
    office = Office("soc", "helpdesk")
    office.hanging = {"soc"}
    await office.wait_for("m1")
    hanging = asyncio.create_task(office.announcer.take_turn("soc"))
    await office.announcer.take_turn("helpdesk")
    await office.wait_for("m2", action=Release())
    await office.announcer.take_turn("helpdesk")
    assert [channel for channel, _ in office.heard] == ["helpdesk"] * 2
    hanging.cancel()


async def test_while_every_channel_is_left_alone_what_waits_is_only_counted() -> None:
    office = Office("soc", "helpdesk")
    office.broken = {"soc", "helpdesk"}
    await office.wait_for("m1", "m2")
    await office.live()
    await office.wait_for("m3")
    with listened(office.desk) as heard:
        await office.announcer.step()
    assert [said.startswith("SELECT count") for said, _ in heard] == [True, True]
    assert "3 decisions wait for a person" in office.announcer.explain_unheard()


nasty = st.text(st.sampled_from("a'\"\n\r\x1b\u202e\u200b|`·-*<>@"), max_size=2000)


ACTIONS: tuple[AnyAction, ...] = (Move("JunkEmail"), BlockSender("x" * 900), Notify("soc"), Release())


@st.composite
def waiting(draw: st.DrawFn) -> Waiting:
    """Return something that waits, of which strangers wrote all that they can."""
    return Waiting(
        id=f"{draw(st.integers(0, 40)):026}",
        item=draw(st.sampled_from("abcdefghij")),
        action=draw(st.sampled_from(ACTIONS)),
        rules=tuple(draw(st.lists(st.sampled_from(["r", "s", "t", "u", "v" * 500]), max_size=5))),
        because=draw(nasty),
        said=draw(nasty),
        cause=draw(st.sampled_from(["2026-01-05T12:00:00Z/Message/a/1", "end/e"])),
        sender=draw(nasty),
        recipients=tuple(draw(st.lists(nasty, max_size=4))),
        subject=draw(nasty),
        created_at=T0,
        waits_since=draw(st.floats(T0, T0 + 100)),
        announced_at=draw(st.sampled_from([0.0, T0 + 200])),
    )


@pytest.mark.slow
@given(st.lists(waiting(), min_size=1, max_size=30))
def test_every_announcement_is_bounded_and_harmless_and_each_entry_is_in_one(entries: list[Waiting]) -> None:
    groups = group(entries)
    texts = [announce(one, Terms(ME, LAPSE)) for one in groups]
    assert sum(len(one.entries) for one in groups) == len(entries)
    assert all(len(text) <= 5000 and len(text.splitlines()) <= 10 for text in texts)
    assert all(line.isprintable() for text in texts for line in text.split("\n"))
    assert all(
        line.split()[1].replace("@", "").isdecimal()
        for text in texts
        for line in text.split("\n")
        if line.startswith("- ")
    )
