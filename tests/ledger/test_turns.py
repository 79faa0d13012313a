"""Turns: who comes first where a limit lets only some through."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from tests.ledger.desk import ME, T0, Desk, info, standing
from worker.language.models import DISPOSITIONS, URGENT
from worker.language.rules import Limit, RuleInfo
from worker.ledger.entries import Entry

HOUR = 3600.0
KINDS = (("MALICIOUS",), ("MALICIOUS", "MALICIOUS-BEC"), ("SPAM",), ("SPAM", "BULK"), ("MALICIOUS", "SPAM"), None)
Drafts = Sequence[dict[str, Any]]


async def claim(desk: Desk, rule: RuleInfo, drafts: Drafts, *, batch: int = 1000) -> list[Entry]:
    """Enter wishes about new messages and claim them batch after batch; return what was claimed, in its order."""
    known = {entry.id for entry in await desk.ledger.entries(ME, limit=10_000)}
    await desk.enter(
        *(desk.draft(message=f"m{len(known)}-{n}", known_at=desk.now, **one) for n, one in enumerate(drafts))
    )
    ready, claimed = await desk.ledger.due(ME, desk.now), list[str]()
    for first in range(0, len(ready), batch):
        claimed += await desk.claim(*ready[first : first + batch], under=standing(rule))
    by_id = {entry.id: entry for entry in await desk.ledger.entries(ME, limit=10_000)}
    return [by_id[id_] for id_ in claimed]


def mail(verdict: str = "SPAM", sender: str = "junk@evil.example", to: Sequence[str] = ("sink@corp.example",)) -> Any:  # noqa: ANN401
    """Return the fields of a wish about a message."""
    return {"verdict": f"{verdict}|delivered", "sender": sender, "recipients": tuple(to)}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
async def test_a_limit_is_never_passed_and_is_spent_whole_by_rules_of_one_kind(seed: int) -> None:
    rng, desk = random.Random(seed), Desk()
    heard, most = rng.choice(KINDS), rng.randint(0, 30)
    rule = replace(info(limit=Limit(most, HOUR)), dispositions=heard)
    verdicts = heard or DISPOSITIONS
    done = list[tuple[float, Entry]]()
    for _ in range(6):
        drafts = [
            mail(rng.choice(verdicts), rng.choice("abc"), rng.sample("xyz", 2)) for _ in range(rng.randint(0, 20))
        ]
        done += [(desk.now, entry) for entry in await claim(desk, rule, drafts, batch=rng.choice([1, 7, 100]))]
        in_window = [entry for at, entry in done if at > desk.now - HOUR]
        one_kind = URGENT.issuperset(verdicts) or URGENT.isdisjoint(verdicts)
        assert len(in_window) <= most
        assert one_kind <= (len(in_window) == most or not await waiting(desk))
        milder = [entry for entry in in_window if entry.verdict.partition("|")[0] not in URGENT]
        assert len(milder) <= (most if one_kind else most - most // 5)
        desk.now += rng.choice([60.0, HOUR / 2, HOUR + 1])


async def waiting(desk: Desk) -> bool:
    """Tell whether anything waits for a person since now."""
    found = await desk.ledger.entries(ME, states=("waiting",), limit=10_000)
    return any(entry.known_at == desk.now for entry in found)


@pytest.mark.slow
async def test_a_flood_to_one_mailbox_does_not_spend_what_others_need() -> None:
    rule = info(limit=Limit(50, HOUR))
    flood = [mail() for _ in range(900)]
    claimed = await claim(Desk(), rule, [*flood, mail("SPAM", "other@elsewhere.example", ["ada@corp.example"])])
    assert "other@elsewhere.example" in {entry.sender for entry in claimed}


@pytest.mark.slow
async def test_milder_mail_leaves_a_fifth_of_the_limit_to_malicious_mail() -> None:
    desk, rule = Desk(), info(limit=Limit(50, HOUR))
    assert len(await claim(desk, rule, [mail(sender=f"s{n}", to=[f"r{n}"]) for n in range(200)])) == 40
    desk.now += 60
    assert len(await claim(desk, rule, [mail("MALICIOUS") for _ in range(200)])) == 10


async def test_the_worst_verdict_goes_first_and_then_whoever_had_least() -> None:
    desk, rule = Desk(), replace(info(limit=Limit(5, HOUR)), dispositions=("SPAM", "SUSPICIOUS"))
    await claim(desk, rule, [mail(to=["a"]), mail(to=["a"])])
    desk.now += 60
    drafts = [mail(to=["a"]), mail(to=["A"], sender="new"), mail(to=["b"]), mail("SUSPICIOUS", to=["a"])]
    claimed = await claim(desk, rule, drafts)
    assert [entry.target for entry in claimed] == ["m2-3", "m2-2", "m2-1"]


async def test_where_a_limit_suffices_entries_go_as_they_came() -> None:
    drafts = [mail(DISPOSITIONS[-1 - n], to=["a"]) for n in range(len(DISPOSITIONS))]
    claimed = await claim(Desk(), info(limit=Limit(1000, HOUR)), drafts)
    assert [entry.target for entry in claimed] == [f"m0-{n}" for n in range(len(drafts))]


async def test_what_a_person_approved_counts_and_is_not_held_to_what_is_kept() -> None:
    desk, rule = Desk(), info(limit=Limit(5, HOUR))
    await claim(desk, rule, [mail(to=[f"r{n}"]) for n in range(9)])
    (first, *_) = await desk.ledger.entries(ME, states=("waiting",))
    await desk.ledger.order(ME, "approve", first.id, "ann", "yes", desk.now)
    await desk.ledger.take_orders(ME, desk.now)
    ready = await desk.ledger.due(ME, desk.now)
    assert len(await desk.claim(*ready, under=standing(rule))) == len(ready) > 0
    assert desk.now == T0
