"""`worker show`: a mail's whole life on one screen, by whatever the mail is called."""

import asyncio
import os
import time
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from tests.cli.shell import Shell
from tests.ledger.desk import ME, Desk, info, reading
from tests.surface import HELD, hold, list_keys
from worker import APPROVE, OFF
from worker.ledger.entries import Answered, Outcome, State
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Absence, Broken, Held, Judgement, MailNames, Mishap, Page, RuleAnswer, RuleTable, Sight

NOW = time.time() - 3600
ID = "4NzZ0G2lk8zHk1-2026-11-14T22:13:20-1a2b3c4d"
LOST = "5OaB1H3ml9ZiKl2-2026-11-14T22:13:20-5e6f7a8b"
ADA = MailNames(
    postfix_id="4NzZ0G2lk8zHk1", message_id="<abc.1@mail.example.net>", sender="ivo@example.net",
    recipients=("ada@corp.example", "ben@corp.example"), subject="Your invoice",
)  # fmt: skip
SEEN = f"1. MALICIOUS at {datetime.fromtimestamp(NOW, UTC):%Y-%m-%d %H:%M:%S}"
RULES = RuleTable(
    "table",
    (
        info("moves"), info("breaks"), info("waits"), info("loses"), info("is_quiet"), info("is_off", mode=OFF),
        replace(info("hears_spam"), dispositions=("SPAM",)), replace(info("on_reports"), trigger="Report"),
        replace(info("reads"), facts=("Detection",)),
    ),
)  # fmt: skip
ANSWERS = (
    RuleAnswer(rule="moves", result="wanted", lowered="ceiling"),
    RuleAnswer(rule="loses", result="outranked", by=("moves",)),
    RuleAnswer(rule="breaks", result="failed"),
    RuleAnswer(rule="waits", result="held", needs=("History",)),
    RuleAnswer(rule="reads", result="kept"),
)


def enter(*names: MailNames, ids: tuple[str, ...] = (ID,), lost: str = "", ends: tuple[State, ...] = ("done",)) -> None:
    """Make a ledger in which mail was seen that rules judged in every way, and perhaps a record could not be read."""
    asyncio.run(
        _enter(
            [replace(reading(id_, time=NOW), names=one) for id_, one in zip(ids, names or (ADA,), strict=True)],
            [Broken(b"{}", "its subject is a number", id=lost, start=NOW, end=NOW)] if lost else [],
            ends,
        )
    )


async def _enter(readings: list[Any], lost: list[Broken], ends: tuple[State, ...]) -> None:
    desk, sight = Desk(), Sight(replace(readings[0], names=None), 1)
    wish = desk.draft(message=readings[0].thing.id, cause=sight.key, rules=("moves",), state="waiting", mode=APPROVE)
    async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as desk.ledger:
        news = await desk.ledger.news(ME, readings, NOW, 120.0)
        page = Page(
            account=ME, now=NOW, source="messages", news=news, rule_table=RULES,
            judgements=(Judgement(sight, ANSWERS),),
            mishaps=(Mishap(rule="breaks", fingerprint="f", cause=sight.key, problem="KeyError: 'x'", raw=b"{}"),),
            held=(Held(sight=sight, why="needs History", since=NOW, tries=0, next_at=NOW + 60),),
            drafts=(wish,), broken=tuple(lost),
        )  # fmt: skip
        await desk.ledger.enter(page)
        (entry,) = await desk.ledger.entries(ME)
        await desk.ledger.order(ME, "approve", entry.id, "ada", "it is phishing", NOW)
        await desk.ledger.take_orders(ME, NOW)
        await desk.claim(await desk.now_of(entry))
        await desk.ledger.answer(ME, [Answered(id=entry.id, state="sent", at=NOW)], NOW)
        for state in ends:
            await desk.ledger.settle(ME, [Outcome(id=entry.id, state=state, proof="seen", said="a move is shown")], NOW)


def test_a_screen_has_everything_that_is_on_record(shell: Shell) -> None:
    enter()
    code, out, _ = shell.type("show", ID)
    flat = " ".join(out.split())
    for said in (
        "from ivo@example.net", "to ada@corp.example, ben@corp.example", "subject Your invoice", SEEN,
        "moves wants something, see entries; lowered by WORKER_CEILING", "loses outranked by moves",
        "breaks failed: KeyError: 'x'", "waits held for History", "reads wants it left alone",
        "does not hear MALICIOUS: hears_spam", "is off: is_off", "is about Report: on_reports",
        "returned nothing: is_quiet", "reads may use Detection", "Move JunkEmail: done, by moves", "it is bad",
        "seen 20", "ada approved", "it is phishing", f"https://one.dash.cloudflare.com/{ME}/email-security",
    ):  # fmt: skip
        assert said in flat, said
    assert (code, len(out.splitlines()) <= 50) == (0, True)


def test_the_address_of_the_dashboard_is_a_line_that_can_be_copied(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    enter()
    assert shell.type("show", ID)[1].splitlines()[-1] == f"https://one.dash.cloudflare.com/{ME}/email-security"


def test_what_has_to_be_tried_again_is_not_shown_as_proved(shell: Shell) -> None:
    enter(ends=("unsure", "ready"))
    out = shell.type("show", ID)[1]
    assert ("Move JunkEmail: ready" in out, "proof " in out) == (True, False)


def test_a_judgement_without_a_field_and_the_one_that_followed_are_both_shown(shell: Shell) -> None:
    enter()
    asyncio.run(_judge_again())
    shown = shell.json("show", ID)["mail"]["sights"]
    assert [one["judged_without"] for one in shown] == [["from_name"], []]
    flat = " ".join(shell.type("show", ID)[1].split())
    assert f"{SEEN}; judged without from_name" in flat
    assert "2. MALICIOUS at" in flat


async def _judge_again() -> None:
    """Let a field be back that was missing when the mail was judged."""
    absence = Absence(kind="Message", field="from_name", start=NOW - 1, end=NOW + 1)
    async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
        await ledger.end_absences(ME, "messages", 3600.0, [absence], NOW + 2)
        news = await ledger.news(ME, [reading(ID, time=NOW)], NOW + 3, 120.0)
        await ledger.enter(Page(account=ME, now=NOW + 3, source="messages", news=news, rule_table=RULES))


def test_programs_find_every_key_where_it_was(shell: Shell) -> None:
    enter()
    held = {key for key in HELD["--json"]["worker show"] if not key.startswith("live.")}
    hold("--json", {"worker show": held | {"live"}}, {"worker show": list_keys(shell.json("show", ID))})


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        *((name,) for name in (ID, ID.lower(), "4nzz0g2lk8zhk1", "abc.1@mail.example.net", "<abc.1@mail.example.net>")),
        ("--sender", "IVO@example.net"),
        ("--recipient", "ben@corp.example", "--since", "2h"),
        ("--subject", "INVOICE"),
        ("--sender", "ivo@example.net", "--subject", "invoice"),
    ],
)
def test_each_way_of_naming_a_mail_shows_it(shell: Shell, words: tuple[str, ...]) -> None:
    enter()
    shown = shell.json("show", *words)
    assert [mail["id"] for mail in shown["found"]] == [shown["mail"]["id"]] == [ID]


@pytest.mark.parametrize(
    "words", [("nothing",), ("--sender", "vo@example.net"), ("--recipient", "ben@corp.example", "--since", "30m")]
)
def test_nothing_found_is_a_finding_that_says_where_to_look_next(shell: Shell, words: tuple[str, ...]) -> None:
    enter()
    code, out, err = shell.type("show", *words)
    assert (code, out, "the ledger knows no mail" in err) == (1, "", True)
    assert shell.json("show", *words, code=1) == {"found": [], "mail": None, "live": None}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "of that name: check the spelling; --live"),
        (("--sender", "vo@example.net", "--since", "2026-01-05"), "like that, scanned since 2026-01-05 00:00:00 UTC: "),
        (
            ("--sender", "example.net"),
            "; --sender takes a whole address here, and a domain in worker waiting and worker",
        ),
        (("--sender", "vo@example.net", "--since", "9999999d"), "like that: check the spelling, or look further back"),
    ],
)
def test_it_is_told_how_far_back_was_looked_for_what_was_not_found(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    enter()
    assert said in shell.type("show", *words)[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((LOST,), "the record of that mail cannot be read, so no rule has judged it: see worker gaps "),
        (("5oab1h3ml9zikl2",), "the record of that mail cannot be read, so no rule has judged it: see worker gaps "),
        (("nothing",), "no rule hears; 1 record cannot be read and may be of it: see worker gaps"),
        (("--sender", "vo@example.net"), "no rule hears; 1 record cannot be read and may be of it: see worker gaps"),
    ],
)
def test_mail_of_which_the_record_cannot_be_read_is_not_told_to_be_unknown(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    enter(lost=LOST)
    code, _, err = shell.type("show", *words)
    assert (code, said in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say which mail"),
        ((" ",), "say which mail"),
        (("--sender", "a@b.example", "--since", "soon"), "--since takes a duration such as 2h, or a time"),
    ],
)
def test_a_command_that_names_no_mail_is_refused(shell: Shell, words: tuple[str, ...], said: str) -> None:
    code, _, err = shell.type("show", *words)
    assert (code, said in err) == (2, True)


def test_several_mails_are_listed_with_how_to_show_one(shell: Shell) -> None:
    ids = [f"p{n}-2026-11-14T22:13:20-1" for n in range(3)]
    enter(*(replace(ADA, postfix_id=f"p{n}") for n in range(3)), ids=tuple(ids))
    code, out, _ = shell.type("show", "--sender", "ivo@example.net")
    assert (code, [id_ in out for id_ in ids], "3 mails, newest first. Show one: worker show ID" in out) == (
        0,
        [True] * 3,
        True,
    )
    assert shell.json("show", "--sender", "ivo@example.net")["mail"] is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_hostile_mail_steers_no_terminal(shell: Shell, seed: int) -> None:
    rng = Random(seed)
    letters = "aé中\u202e\u200b\x1b[2J\x07\r\n\"'`[red]%\\\ud800"
    made = ["".join(rng.choices(letters, k=rng.choice((5, 200, 9000)))) for _ in range(5)]
    enter(
        MailNames(postfix_id="p", message_id=made[0], sender=made[1], recipients=(made[2], made[3]), subject=made[4]),
        ids=("p-x-1",),
    )
    code, out, _ = shell.type("show", "p")
    assert (code, all(character.isprintable() for character in out.replace("\n", ""))) == (0, True)
    assert len(out.splitlines()) < 80
    assert shell.json("show", "p")["mail"]["more_recipients"] == 0
