"""Mail is found by whatever it is called, and its whole life is read through indexes."""

import json
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from tests.cells import each
from tests.ledger.desk import JUNK, ME, T0, Desk, info, reading
from tests.ledger.plans import explain, listened
from worker.language.actions import BlockSender, Release
from worker.ledger.entries import Look
from worker.ledger.lives import MailSearch
from worker.ledger.values import Held, Judgement, MailNames, Mishap, Page, Reading, RuleAnswer, RuleTable, Sight

DAY = 86_400.0
ID = "4NzZ0G2lk8zHk1-2023-11-14T22:13:20-1a2b3c4d"
ADA = MailNames(
    postfix_id="4NzZ0G2lk8zHk1",
    message_id="<Abc.1@mail.example.net>",
    sender="Ivo@Example.NET",
    recipients=("ada@corp.example", "Ben@corp.example"),
    subject="Grüße: 100% OFF",
)


def mail(id_: str = ID, names: MailNames = ADA, time: float = T0) -> Reading:
    """Return a message as just read, with what it is called."""
    return replace(reading(id_, time=time), names=names)


async def find(desk: Desk, **search: object) -> list[str]:
    return [one.id for one in await desk.ledger.find_mails(ME, MailSearch(**search))]  # type: ignore[arg-type]


@each(
    "search",
    [
        *({"id": name} for name in (ID, ID.lower(), ID[:14], ID[:34], " <abc.1@MAIL.example.net> ")),
        *({"sender": name} for name in ("ivo@example.net", "IVO@EXAMPLE.NET")),
        *({"recipient": name} for name in ("ada@corp.example", "BEN@corp.example")),
        *({"subject": part} for part in ("grüße", "GRÜßE: 100% off", "100%", "")),
        {"sender": "ivo@example.net", "recipient": "ada@corp.example", "subject": "off", "since": T0},
    ],
)  # fmt: skip
async def test_a_mail_is_found_by_whatever_it_is_called(search: dict[str, object]) -> None:
    desk = Desk()
    await desk.read(mail(), mail("other-2023-11-14T22:13:20-1", MailNames(postfix_id="other", subject="x"), T0 - DAY))
    found = await find(desk, **search)
    assert found[0] == ID
    assert len(found) == (1 if any(search.values()) else 2)


@each(
    "search",
    [
        *({"id": name} for name in ("4NzZ", ID[:-1], "4NzZ0G2lk8zHk1-", "ivo@example.net", "%")),
        *({"sender": name} for name in ("ivo", "vo@example.net", "ada@corp.example", "%@%", "ivo@example.net.")),
        *({"recipient": name} for name in ("ivo@example.net", "corp.example")),
        *({"subject": part} for part in ("100_", "gruse", "100\\")),
        {"sender": "ivo@example.net", "subject": "on"},
        {"sender": "ivo@example.net", "since": T0 + 1},
        {"subject": "off", "since": T0 + 1},
    ],
)
async def test_what_is_only_alike_is_not_found(search: dict[str, object]) -> None:
    desk = Desk()
    await desk.read(mail())
    assert await find(desk, **search) == []


async def test_a_mail_whose_id_is_its_postfix_id_is_found_by_it() -> None:
    desk = Desk()
    await desk.read(mail("4NzZ0G2lk8zHk1"), mail("odd", MailNames(postfix_id="even")))
    assert await find(desk, id="4nzz0g2LK8zHk1") == ["4NzZ0G2lk8zHk1"]
    assert [await find(desk, id=name) for name in ("odd", "even")] == [["odd"], ["odd"]]


async def test_the_newest_come_first_and_no_more_than_are_wanted() -> None:
    desk = Desk()
    await desk.read(*(mail(f"p{n}-x-1", replace(ADA, postfix_id=f"p{n}"), T0 - n * DAY / 3) for n in range(30)))
    assert await find(desk, sender="ivo@example.net", limit=3) == ["p0-x-1", "p1-x-1", "p2-x-1"]
    assert len(await find(desk, recipient="ada@corp.example", since=T0 - DAY)) == 4


@each("seed", range(20))
async def test_names_of_any_letters_are_found_as_they_were_written(seed: int) -> None:
    rng, desk = Random(seed), Desk()
    letters = "aZé中\u202e\u200b\x1b\x07\"'`;%_\\\ud800 "
    names = ["".join(rng.choices(letters, k=rng.choice((3, 40, 5000)))).strip(" ") + "x" for _ in range(3)]
    await desk.read(mail(names=MailNames(message_id=names[0], sender=names[1], recipients=(names[2],))))
    assert await find(desk, id=names[0]) == await find(desk, sender=names[1]) == await find(desk, recipient=names[2])
    assert await find(desk, id=names[0]) == [ID]
    (found,) = await desk.ledger.find_mails(ME, MailSearch(id=names[0]))
    assert all(part.isprintable() and len(part) <= 320 for part in (found.message_id, found.sender, *found.recipients))


async def test_of_very_many_recipients_the_number_is_kept() -> None:
    desk = Desk()
    await desk.read(mail(names=replace(ADA, recipients=tuple(f"{n}@corp.example" for n in range(501)))))
    (found,) = await desk.ledger.find_mails(ME, MailSearch(recipient="499@corp.example"))
    assert (len(found.recipients), found.more) == (500, 1)
    assert await find(desk, recipient="500@corp.example") == []


async def test_a_mail_of_another_account_is_not_found() -> None:
    desk = Desk()
    await desk.read(mail())
    assert await desk.ledger.find_mails("other", MailSearch(id=ID)) == ()


async def test_mails_go_with_their_sights_but_those_of_entries_with_the_entries() -> None:
    desk = Desk()
    await desk.read(mail("old-x-1", time=T0 - DAY), mail("acted-x-1", time=T0 - DAY), mail("young-x-1"))
    await desk.wish(message="acted-x-1", state="observed")
    for keep_before, left in ((T0 - 2 * DAY, ["young-x-1", "acted-x-1"]), (T0 + 1, ["young-x-1"])):
        await desk.ledger.prune(ME, T0, {"Message": T0 - 1}, keep_before)
        assert await find(desk, sender="ivo@example.net") == left
        with desk.runner.engine.connect() as conn:
            assert conn.exec_driver_sql("SELECT count(DISTINCT mail) FROM names").scalar() == len(left)


TABLE = RuleTable("f1", (info(), info("late")))


async def live(desk: Desk) -> None:
    """Let a mail have everything in its life: wishes of its own, a joined one, a failure, and rules that wait."""
    sight = Sight(mail(), 1)
    news = await desk.ledger.news(ME, [mail()], T0, 120.0)
    answers = (RuleAnswer(rule="r", result="failed"), RuleAnswer(rule="late", result="held", needs=("Detection",)))
    await desk.ledger.enter(
        Page(
            account=ME, now=T0, source="messages", news=news, rule_table=TABLE, judgements=(Judgement(sight, answers),),
            mishaps=(Mishap(rule="r", fingerprint="f", cause=sight.key, problem="KeyError", raw=b"{}"),),
            held=(Held(sight=sight, why="needs Detection", since=T0, tries=0, next_at=T0 + 60),),
        )
    )  # fmt: skip
    block = BlockSender("evil@example.net")
    await desk.enter(
        desk.draft(JUNK, ID, cause=sight.key), desk.draft(block, cause="2023-11-14T22:13:20Z/Message/m9/1")
    )
    await desk.enter(desk.draft(block, ID, cause=sight.key, item=f"{sight.key}#r"))


async def test_the_life_of_a_mail_is_everything_that_is_on_record_of_it() -> None:
    desk = Desk()
    await live(desk)
    (found,) = await desk.ledger.find_mails(ME, MailSearch(id=ID))
    life = await desk.ledger.read_life(found)
    assert [(one.number, one.rule_table) for one in life.sights] == [(1, 1)]
    assert life.rule_tables == {1: TABLE}
    assert [(one.rule, one.problem) for one in life.failures] == [("r", "KeyError")]
    assert [one.why for one in life.held] == ["needs Detection"]
    assert sorted(entry.lane for entry in life.entries) == ["block", "placement"]
    assert [json.loads(line)["verb"] for line in life.records] == ["entered", "entered", "joined"]


async def test_what_is_heard_later_takes_the_place_of_what_it_waited_for() -> None:
    desk = Desk()
    await live(desk)
    later = Judgement(Sight(mail(), 1), (RuleAnswer(rule="r", result="wanted"),))
    await desk.ledger.enter(Page(account=ME, now=T0, source="held", judgements=(later,), rule_table=TABLE))
    (found,) = await desk.ledger.find_mails(ME, MailSearch(id=ID))
    assert (await desk.ledger.read_life(found)).sights[0].answers == (RuleAnswer(rule="r", result="wanted"),)


async def test_our_own_release_that_comes_back_is_on_record_as_not_judged() -> None:
    desk = Desk()
    await desk.read(replace(mail(), state="SPAM|quarantined", look=Look(T0, quarantined=True)))
    await desk.claim(await desk.wish(Release(), ID))
    await desk.read(replace(mail(), state="SPAM|delivered", look=Look(T0 + 300)))
    (found,) = await desk.ledger.find_mails(ME, MailSearch(id=ID))
    answers = [one.answers for one in (await desk.ledger.read_life(found)).sights]
    assert answers == [(), (RuleAnswer(result="not_judged"),)]


async def test_a_table_of_rules_is_kept_once() -> None:
    desk = Desk()
    for n in range(3):
        news = await desk.ledger.news(ME, [mail(f"m{n}-x-1")], T0, 120.0)
        table = replace(TABLE, fingerprint="other") if n == 2 else TABLE
        await desk.ledger.enter(Page(account=ME, now=T0, source="messages", news=news, rule_table=table))
    with desk.runner.engine.connect() as conn:
        assert conn.exec_driver_sql("SELECT rule_table FROM sights ORDER BY id").scalars().all() == [1, 1, 2]
        assert conn.exec_driver_sql("SELECT fingerprint FROM rule_tables").scalars().all() == ["f1", "other"]


STATISTICS = [
    ("sights", "sights", "1000000 1000000 1000000 5 1 1"),
    ("mails", None, "1000000"),
    ("mails", "mails_time", "1000000 5"),
    ("names", "names", "4200000 1000000 35000 4 1"),
    ("entries", "entries_target", "1000000 1000000 1"),
    ("entries", "entries_cause", "1000000 1000000 1"),
    ("entries", "entries_item", "1000000 1000000 1"),
    ("entries", "entries_due", "1000000 1000000 200000 3"),
    ("entries", "entries_settled", "1000000 1000000 250000 3"),
    ("records", "records_entry", "5000000 5000000 5"),
    ("mishaps", "sqlite_autoindex_mishaps_1", "1000 1000 100 100 1"),
    ("reasons", "reasons_thing", "1000 1000 1"),
    ("held", "held_thing", "100 100 1"),
]
"""What a ledger of 1,000,000 entries tells the planner."""
SEARCHES: tuple[dict[str, Any], ...] = (
    {"id": ID},
    {"sender": "Ivo@Example.NET", "since": T0},
    {"recipient": "ada@corp.example"},
    {"subject": "off", "since": T0},
)


@pytest.mark.parametrize("statistics", [(), STATISTICS], ids=["none", "large"])
async def test_every_statement_uses_an_index(statistics: list[tuple[str, str | None, str]]) -> None:
    desk = Desk()
    await live(desk)
    with listened(desk) as heard:
        found = [await desk.ledger.find_mails(ME, MailSearch(**search)) for search in SEARCHES]
        await desk.ledger.read_life(found[0][0])
    with desk.runner.engine.begin() as conn:
        if statistics:
            _tell_planner(conn, statistics)
        plans = {said: list(explain(conn, said, given)) for said, given in heard if said.startswith("SELECT")}
    assert (len(plans) > 10, list(map(len, found))) == (True, [1] * len(SEARCHES))
    steps = [step for each in plans.values() for step in each]
    assert [step for step in steps if "SCAN" in step or step.endswith("(account=?)")] == []
    assert "SEARCH names USING PRIMARY KEY (role=? AND day=? AND name=?)" in steps


def _tell_planner(conn: Connection, statistics: list[tuple[str, str | None, str]]) -> None:
    conn.exec_driver_sql("ANALYZE sqlite_schema")
    for row in statistics:
        conn.exec_driver_sql("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", row)
    conn.exec_driver_sql("ANALYZE sqlite_schema")
