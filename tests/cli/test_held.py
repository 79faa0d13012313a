"""`worker held`: which mail waits for which fact, and for how long."""

import asyncio
import os
import time

import pytest
from msgspec.structs import replace

from tests.cli.shell import Shell
from tests.ledger.desk import ME, reading
from worker.language.rules import Ask
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Held, Page, Pending, Sight

RAW = b"""{"id": "m1", "from": "eve@evil.example", "client_recipients": ["ada@c.example"], "subject": "\\u202ePay"}"""


def hold(shell: Shell, *messages: str, pending: Pending) -> None:
    """Make a ledger in which messages have been held for five minutes, and longer the earlier they are named."""
    shell.set(CLOUDFLARE_ACCOUNT_ID=ME)

    async def enter() -> None:
        now = time.time()
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
            held = [
                Held(
                    sight=Sight(replace(reading(one), raw=RAW), 1),
                    why="could not fetch Trace: 500",
                    since=now - 300 - place,
                    tries=0,
                    next_at=now + 60,
                    pending=pending,
                )
                for place, one in enumerate(reversed(messages))
            ]
            await ledger.enter(Page(account=ME, now=now, source="messages", held=tuple(held)))

    asyncio.run(enter())


def test_the_mail_the_rules_and_what_they_wait_for_are_told(shell: Shell) -> None:
    asks = (Ask(rule="traces", facts=("Trace",)), Ask(rule="follows", facts=("Trace", "ActionLog")))
    hold(shell, "m1", pending=Pending(asks=asks))
    code, out, _ = shell.type("held")
    words = (
        "Message m1",
        "from eve@evil.example",
        "to ada@c.example",
        "\\u202EPay",
        "traces",
        "follows",
        "5m",
        "in ",
    )
    assert (code, [word for word in words if word not in out]) == (0, [])
    assert "not tried yet: could not fetch Trace: 500" in " ".join(out.split())
    (row,) = shell.json("held")
    assert (row["rules"], row["facts"], row["tries"]) == (["traces", "follows"], ["ActionLog", "Trace"], 0)


def test_an_event_that_nobody_could_judge_waits_for_all_rules_and_the_newest_come_first(shell: Shell) -> None:
    hold(shell, "m1", "m2", "m3", pending=Pending())
    assert [row["id"] for row in shell.json("held", "--limit", "2")] == ["m3", "m2"]
    out = shell.type("held", "--limit", "2")[1]
    assert (out.count("all rules"), "more events are held: --limit lists more than 2" in out) == (2, True)


def test_where_nothing_is_held_that_is_said(shell: Shell) -> None:
    hold(shell, pending=Pending())
    assert shell.type("held")[:2] == (0, "no event is held\n")


@pytest.mark.parametrize(
    ("words", "tried"),
    [
        (("held", "retry"), "2 events"),
        (("held", "retry", "m2"), "1 event"),
        (("gaps", "retry"), "0 records and 2 held events"),
        (("gaps", "retry", "m1"), "0 records and 1 held event"),
    ],
)
def test_what_waits_for_a_field_is_tried_again_when_a_person_wants_it(
    shell: Shell, words: tuple[str, ...], tried: str
) -> None:
    hold(shell, "m1", "m2", pending=Pending(asks=(Ask(rule="careful", unread=("subject",)),)))
    code, out, _ = shell.type(*words, "--as", "ada")
    assert (code, out.startswith(f"Tries again: {tried}. ")) == (0, True)


def test_what_waits_for_a_fact_is_no_gap_and_tried_again_as_a_held_event(shell: Shell) -> None:
    hold(shell, "m1", pending=Pending(asks=(Ask(rule="traces", facts=("Trace",)),)))
    assert shell.type("held", "retry", "--as", "ada")[0] == 0
    for words in (("gaps", "retry"), ("held", "retry", "m7"), ("held", "again")):
        assert shell.type(*words, "--as", "ada")[0] == 2
