"""Older ledgers learn by what a mail can be found, as far as their sights and entries tell it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.ledger.db.revision_0001 import OLD_LEDGER
from tests.ledger.db.test_from_0002 import OLD_LEDGER as LATER_LEDGER
from worker.ledger.ledger import open_ledger
from worker.ledger.lives import MailSearch

ENTRIES = "SELECT account, target, sender, recipients FROM entries WHERE lane IN ('placement', 'verdict')"
SIGHTS = "SELECT DISTINCT account, id FROM sights WHERE kind = 'Message'"


@pytest.mark.slow
@pytest.mark.parametrize("old", [OLD_LEDGER, LATER_LEDGER], ids=["0001", "0002"])
async def test_every_mail_of_an_older_ledger_is_found_by_what_was_known_of_it(old: bytes, tmp_path: Path) -> None:
    path = tmp_path / "worker.db"
    path.write_bytes(old)
    with closing(sqlite3.connect(path)) as database:
        acted, seen = database.execute(ENTRIES).fetchall(), database.execute(SIGHTS).fetchall()
    assert acted
    async with open_ledger(f"sqlite:///{path}", owner="new", exclusive=True) as ledger:
        for account, id_ in {*seen, *((row[0], row[1]) for row in acted)}:
            for name in (id_, id_.partition("-")[0]):
                assert id_ in [one.id for one in await ledger.find_mails(account, MailSearch(id=name))]
        for account, id_, sender, _ in [row for row in acted if row[2]][:20]:
            assert id_ in [one.id for one in await ledger.find_mails(account, MailSearch(sender=sender, limit=999))]


async def test_who_judged_an_earlier_sight_is_not_made_up(tmp_path: Path) -> None:
    path = tmp_path / "worker.db"
    path.write_bytes(OLD_LEDGER)
    async with open_ledger(f"sqlite:///{path}", owner="new", exclusive=True) as ledger:
        for mail in await ledger.find_mails("a1", MailSearch(limit=20)):
            life = await ledger.read_life(mail)
            assert {(one.rule_table, one.answers) for one in life.sights} <= {(0, ())}
            assert life.rule_tables == {}
