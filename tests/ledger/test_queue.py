"""What waits for a person: alike decisions are one group, and what is decided is what was shown."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.ledger.desk import JUNK, ME, TRASH, Desk
from worker.language.actions import BlockSender
from worker.ledger.entries import Draft, Entry
from worker.ledger.matching import MailFilter
from worker.ledger.queue import WaitingQuery, WaitingSummary


def asks(desk: Desk, number: int, **more: object) -> Draft:
    """Return a move that waits, of a mail of its own."""
    told: dict[str, object] = {"state": "waiting", "why_waiting": "the ceiling", "sender": f"u{number}@evil.example"}
    return replace(desk.draft(JUNK, f"m{number}"), **told | more)


async def groups(desk: Desk, wanted: MailFilter | None = None, since: float = 0.0, limit: int = 10) -> WaitingSummary:
    """Return the groups of what waits."""
    return await desk.ledger.find_waiting(WaitingQuery(ME, wanted or MailFilter(), since), limit)


def targets(entries: Sequence[Entry]) -> list[str]:
    """Return what entries are about."""
    return [entry.target for entry in entries]


async def test_one_outbreak_is_one_group_with_its_commonest_domains_and_its_newest_mails() -> None:
    desk = Desk()
    for number in range(50):
        desk.now += 1
        others = {"sender": "b@rare.example"} if number == 7 else {}
        await desk.enter(asks(desk, number, subject=f"Pay {number}", **others))
    found = await groups(desk)
    (group,) = found.newest_groups
    assert (found.decisions, found.groups, found.oldest, group.decisions, group.senders) == (
        50,
        1,
        desk.now - 49,
        50,
        50,
    )
    assert group.domains == (("evil.example", 49), ("rare.example", 1))
    assert targets(group.examples) == ["m49", "m48", "m47"]
    assert group.newest == group.examples[0].id


@pytest.mark.parametrize(
    "more", [{"rules": ("r", "s"), "fingerprints": ("f", "g")}, {"why_waiting": "the limit"}, {"action": TRASH}]
)
async def test_what_other_rules_want_or_waits_for_another_reason_is_another_group(more: dict[str, object]) -> None:
    desk = Desk()
    await desk.enter(asks(desk, 1))
    desk.now += 1
    await desk.enter(asks(desk, 2, **more))
    assert [targets(group.examples) for group in (await groups(desk)).newest_groups] == [["m2"], ["m1"]]
    assert [group.decisions for group in (await groups(desk, limit=1)).newest_groups] == [1]
    assert (await groups(desk, limit=1)).groups == 2


async def test_what_waits_for_one_reason_is_one_group_although_its_sentences_differ() -> None:
    desk = Desk()
    await desk.enter(*(asks(desk, number, why="stale", why_waiting=f"known since {number}") for number in range(3)))
    (group,) = (await groups(desk)).newest_groups
    assert (group.decisions, {entry.why for entry in group.examples}) == (3, {"stale"})


async def test_the_actions_of_one_rule_about_one_mail_are_one_decision() -> None:
    desk = Desk()
    blocks = [
        desk.draft(BlockSender(f"{n}@evil.example"), f"m{n}", state="waiting", why_waiting="the ceiling")
        for n in (1, 2)
    ]
    await desk.enter(asks(desk, 1), asks(desk, 2), *blocks)
    (group,) = (await groups(desk)).newest_groups
    assert (group.decisions, len(group.examples)) == (2, 4)
    assert len(await desk.ledger.list_waiting(WaitingQuery(ME, newest=group.newest))) == 4
    assert len(await desk.ledger.list_decision(ME, group.newest)) == 2


async def test_a_group_ends_with_what_was_its_newest_and_an_order_covers_no_more_than_it_says() -> None:
    desk = Desk()
    await desk.enter(asks(desk, 1), asks(desk, 2))
    (group,) = (await groups(desk)).newest_groups
    desk.now += 1
    await desk.enter(asks(desk, 3))
    shown = await desk.ledger.list_waiting(WaitingQuery(ME, newest=group.newest))
    assert sorted(targets(shown)) == ["m1", "m2"]
    covers = [entry.id for entry in shown]
    await desk.ledger.order(ME, "approve", "rule:r", "ada", "", desk.now, covers=covers)
    (order,) = await desk.ledger.take_orders(ME, desk.now)
    assert (order.answer, order.covers) == ("2 approved", frozenset(covers))
    assert targets(await desk.ledger.list_waiting(WaitingQuery(ME))) == ["m3"]


async def test_an_order_about_what_has_ended_meanwhile_covers_the_rest() -> None:
    desk = Desk()
    gone, stays = [await desk.wish(JUNK, message, state="waiting") for message in ("m1", "m2")]
    await desk.ledger.order(ME, "refuse", "x", "ada", "", desk.now, covers=[gone.id, stays.id])
    await desk.ledger.retire(ME, [(gone.id, "gone")], desk.now)
    (order,) = await desk.ledger.take_orders(ME, desk.now)
    assert (order.answer, await desk.state(gone), await desk.state(stays)) == ("1 refused", "moot", "refused")


names = st.text("aB.%_\\'\"é", min_size=1, max_size=4)
addresses = st.builds("{}@{}".format, names, names)


def holds(wanted: MailFilter, sender: str, recipients: Sequence[str], subject: str) -> bool:
    """Say in Python what the filter says in SQL, whose lower case is that of ASCII."""

    def small(text: str) -> str:
        return "".join(one.lower() if one.isascii() else one for one in text)

    def is_at(name: str, address: str) -> bool:
        return small(address) == small(name) or small(address).endswith("@" + small(name))

    return (
        (not wanted.sender or is_at(wanted.sender, sender))
        and (not wanted.recipient or any(is_at(wanted.recipient, one) for one in recipients))
        and small(wanted.subject) in small(subject)
    )


@pytest.mark.slow
@given(
    mails=st.lists(st.tuples(addresses, st.lists(addresses, max_size=2), names), min_size=1, max_size=4),
    wanted=st.builds(
        MailFilter, sender=st.one_of(st.just(""), names, addresses), recipient=st.one_of(st.just(""), names)
    ),
    subject=st.one_of(st.just(""), names),
)
async def test_what_is_looked_for_is_found_whatever_its_letters(
    mails: list[tuple[str, list[str], str]], wanted: MailFilter, subject: str
) -> None:
    desk = Desk()
    wanted = MailFilter(sender=wanted.sender, recipient=wanted.recipient, subject=subject)
    drafts = [
        asks(desk, n, sender=one, recipients=tuple(to), subject=about) for n, (one, to, about) in enumerate(mails)
    ]
    await desk.enter(*drafts)
    found = targets(await desk.ledger.list_waiting(WaitingQuery(ME, wanted)))
    assert sorted(found) == [f"m{n}" for n, mail in enumerate(mails) if holds(wanted, *mail)]


async def test_what_began_to_wait_later_and_a_rule_narrow_the_list() -> None:
    desk = Desk()
    await desk.enter(asks(desk, 1))
    before, desk.now = desk.now, desk.now + 60
    await desk.enter(asks(desk, 2), asks(desk, 3, rules=("s",)))
    assert sorted(targets(await desk.ledger.list_waiting(WaitingQuery(ME, since=before)))) == ["m2", "m3"]
    assert targets(await desk.ledger.list_waiting(WaitingQuery(ME, MailFilter(rule="s")))) == ["m3"]
    assert await groups(desk, MailFilter(rule="none")) == WaitingSummary()
