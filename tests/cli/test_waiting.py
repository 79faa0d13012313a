"""What waits for a person: an outbreak on one line, all of it in sight, and quickly."""

import asyncio
import os
import time

import msgspec
import pytest

from tests.cli.shell import Shell
from tests.cli.test_approvals import HOSTILE, draft, waits
from tests.ledger.desk import ME
from worker.language.actions import BlockSender, Release
from worker.ledger.entries import Draft
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Page

MANY = 20_000


@pytest.mark.slow
def test_an_outbreak_is_one_line_that_can_be_opened(shell: Shell) -> None:
    mails = (draft(f"m{n}", f"i{n}", sender=f"u{n}@evil.example", subject=f"Pay {n}") for n in range(300))
    waits(*mails, draft("m999", "alone", Release()), seconds=600)
    code, out, _ = shell.type("waiting")
    outbreak = out[out.index("+299") :]
    assert (code, out.startswith("301 decisions in 2 groups waiting for a person; the oldest for 10m")) == (0, True)
    assert all(
        word in outbreak for word in ("300 messages", "waiting for 10m", "lapses in 2d 23h", "Move DeletedItems")
    )
    assert "from 300 senders: evil.example 300" in outbreak
    opened = shell.type("waiting", f"{out[out.index('+299') - 26 : out.index('+299')]}+299")[1]
    assert (opened.count("Move DeletedItems"), "280 more of 300: --limit lists more" in opened) == (20, True)


def test_what_rules_want_together_is_told_together_and_harmlessly(shell: Shell) -> None:
    waits(draft("m1", "one"), draft("m1", "one", BlockSender("a@evil.example")))
    out = shell.type("waiting")[1]
    assert "Move DeletedItems, BlockSender a@evil.example EMAIL by r" in out
    assert all(word in out for word in ("it is bad", "from evil@example.net", "to ada@corp.example", "\\u202Einvoice"))
    assert all(character.isprintable() for character in out.replace("\n", ""))


@pytest.mark.parametrize("differs", [True, False])
def test_a_reason_that_names_one_mail_is_not_told_as_that_of_all(shell: Shell, *, differs: bool) -> None:
    said = [f"anybody can write a{n if differs else 0}@evil.example" for n in range(3)]
    waits(*(draft(f"m{n}", f"i{n}", why_waiting=why, why="unproved") for n, why in enumerate(said)))
    out = shell.type("waiting")[1]
    assert out.startswith("3 decisions in 1 group waiting for a person")
    assert (out.count("anybody can write"), "(the others likewise)" in out) == (1, differs)


def test_more_groups_than_a_screen_holds_are_counted(shell: Shell) -> None:
    waits(*(draft(f"m{n}", f"i{n}", rules=(f"r{n}",), subject=HOSTILE) for n in range(8)))
    out = shell.type("waiting")[1]
    assert (out.count("Move DeletedItems"), "4 more groups: --limit 8 lists all; --rule" in out) == (4, True)
    assert shell.type("waiting", "--limit", "8")[1].count("Move DeletedItems") == 8


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--sender", "EVIL.example"), ["m1"]),
        (("--recipient", "ben@corp.example"), ["m2"]),
        (("--subject", "pay"), ["m1"]),
        (("--rule", "s"), ["m2"]),
        (("--since", "5m"), []),
        (("--since", "1h", "--limit", "1"), ["m2"]),
    ],
)
def test_the_list_is_narrowed_by_options(shell: Shell, words: tuple[str, ...], found: list[str]) -> None:
    waits(
        draft("m1", "one", sender="a@evil.example", subject="Pay now"),
        draft("m2", "two", recipients=("ben@corp.example",), rules=("s",)),
    )
    assert [row["target"] for row in shell.json("waiting", *words)] == found
    assert ("nothing is waiting" in shell.type("waiting", *words)[1]) == (not found)


@pytest.mark.parametrize("words", [("--rule", "typo"), ("--sender", "evil.exmple"), ("--since", "1m")])
def test_a_list_narrowed_to_nothing_says_how_much_waits_besides(shell: Shell, words: tuple[str, str]) -> None:
    waits(draft("m1", "one"), draft("m2", "two"))
    code, out, _ = shell.type("waiting", *words)
    name = f"{words[0].removeprefix('--')} "
    assert (code, out.startswith(f"nothing is waiting for {name}")) == (0, True)
    assert out.endswith("; in all, 2 decisions waiting for a person\n")


@pytest.mark.parametrize("more", [(), ("--json",), ("--rule", "r")])
def test_an_id_that_names_nothing_is_not_told_as_an_empty_list(shell: Shell, more: tuple[str, ...]) -> None:
    waits(draft("m1", "one"))
    code, out, err = shell.type("waiting", "nonsense", *more)
    assert (code, out) == (2, "")
    assert err == "worker: nothing is waiting for 'nonsense': `worker waiting` lists what is\n"


def test_a_time_before_any_calendar_lets_everything_through(shell: Shell) -> None:
    waits(draft("m1", "one"))
    words = ("--rule", "r", "--since", "9999999d")
    assert [row["target"] for row in shell.json("waiting", *words)] == ["m1"]
    assert shell.type("refuse", *words)[0] == 0


def test_a_time_that_cannot_be_read_is_refused(shell: Shell) -> None:
    waits()
    code, _, err = shell.type("waiting", "--since", "yesterday")
    assert (code, "--since takes a duration such as 2h, or a time" in err) == (2, True)


def test_programs_are_given_every_entry_with_its_item_action_and_seconds(shell: Shell) -> None:
    waits(*(draft(f"m{n}", "limit/r/1") for n in range(45)))
    rows = shell.json("waiting")
    assert [row["item"] for row in rows] == ["limit/r/1"] * 45
    assert all(600 <= row["for"] < 660 for row in rows)
    assert rows[0]["action"] == {"type": "Move", "destination": "DeletedItems"}


async def enter(drafts: list[Draft]) -> None:
    """Enter a thousand at a time."""
    async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
        for first in range(0, len(drafts), 1000):
            part = tuple(drafts[first : first + 1000])
            await ledger.enter(Page(account=ME, now=time.time() - 7200 + first / 10, source="messages", drafts=part))


@pytest.mark.slow
@pytest.mark.unmeasured
def test_twenty_thousand_decisions_are_told_on_a_screen_in_less_than_a_second(shell: Shell) -> None:
    rules = (
        "executive_lookalike",
        "malicious_mail",
        "a_rule_with_a_name_of_forty_seven_letters_in_it",
        "spoof",
        "r",
        "s",
    )
    mails = [
        draft(
            f"m{n}",
            f"i{n}",
            rules=(rules[n % 4 and n % len(rules)],),
            sender=f"u{n}@{n % 4 and n % 5000}.evil.example",
            subject=f"Urgent payment {n} for an invoice of last month",
        )
        for n in range(MANY)
    ]
    asyncio.run(enter(mails))
    for width in ("80", "100", "200"):
        shell.set(COLUMNS=width)
        before = time.process_time()
        code, out, _ = shell.type("waiting")
        assert (code, time.process_time() - before < 1.0, out.count("\n") < 40) == (0, True, True), (width, out)
        assert out.startswith("20,000 decisions in 6 groups")


def test_all_that_programs_are_given_is_json(shell: Shell) -> None:
    waits(draft("m1", "one"))
    assert msgspec.json.decode(shell.type("waiting", "--json")[1])[0]["recipients"] == ["ada@corp.example"]
