"""A ledger of revision 0002: nothing in it is lost, and what it was asked to do goes on.

``data/worker-0002.db.xz`` was written by the code of that revision: a record of every verb, requests for another
verdict that were sent, that are unsure and that were found on record, and submissions in three states.
"""

import lzma
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.ledger.db.test_migrations import rows, schema
from tests.ledger.desk import ME, T0
from worker.audit.inspection import inspect_ledger
from worker.language.actions import Reclassify
from worker.ledger.db.schema import NEWEST
from worker.ledger.entries import Entry, Outcome
from worker.ledger.ledger import Ledger, open_ledger
from worker.ledger.values import NewSights, Page, Reading, Thing

OLD_LEDGER = lzma.decompress((Path(__file__).parents[1] / "data" / "worker-0002.db.xz").read_bytes())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Give a ledger as revision 0002 left it."""
    path = tmp_path / "worker.db"
    path.write_bytes(OLD_LEDGER)
    return path


@asynccontextmanager
async def migrated(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(f"sqlite:///{path}", owner="new", exclusive=True) as ledger:
        yield ledger


async def requests(ledger: Ledger) -> dict[str, Entry]:
    return {entry.target: entry for entry in await ledger.entries(ME) if isinstance(entry.action, Reclassify)}


async def test_no_row_is_lost_or_changed_and_the_way_back_is_kept(old: Path) -> None:
    before = rows(old)
    async with migrated(old) as ledger:
        assert (await inspect_ledger(ledger, ME)).problem == ""
    copy = old.with_name("worker.db.0002")
    assert rows(copy) == before
    assert rows(old, like=copy) == before | {"alembic_version": {(NEWEST,)}}


async def test_the_tables_are_those_of_an_empty_ledger(old: Path, tmp_path: Path) -> None:
    async with migrated(old), open_ledger(f"sqlite:///{tmp_path}/new.db", owner="new", exclusive=True):
        assert schema(old) == schema(tmp_path / "new.db")


async def test_what_became_of_earlier_requests_is_not_made_up(old: Path) -> None:
    async with migrated(old) as ledger:
        found = await requests(ledger)
        assert {name: found[name].state for name in sorted(found)} == {
            "all": "observed", "asked-1": "sent", "asked-2": "unsure", "asked-3": "done",
        }  # fmt: skip
        assert {entry.review for entry in found.values()} == {""}


async def test_a_request_that_was_under_way_is_followed_to_its_end(old: Path) -> None:
    async with migrated(old) as ledger:
        for target in ("asked-1", "asked-2"):
            entry = (await requests(ledger))[target]
            for state, review in (("sent", "accepted"), ("failed", "rejected")):
                await ledger.settle(ME, [Outcome(id=entry.id, state=state, review=review)], T0 + 60)  # type: ignore[arg-type]
        assert (await ledger.counts(ME))["Reclassify"] == {"observed": 1, "done": 1, "rejected": 2}


async def test_no_submission_is_judged_again_only_because_its_triage_counts_now(old: Path) -> None:
    states = ("pending||unreviewed", "completed|SPAM|reviewed", "||escalated")
    readings = [
        Reading(thing=Thing("Submission", T0, f"s{n}"), state=state, raw=b"{}") for n, state in enumerate(states)
    ]
    async with migrated(old) as ledger:
        news = await ledger.news(ME, readings, T0 + 60, 120.0)
        assert (news.sights, len(news.echoes)) == ((), 3)
        await ledger.enter(Page(account=ME, now=T0 + 60, source="submissions", news=news))
        assert await ledger.news(ME, readings, T0 + 120, 120.0) == NewSights()


async def test_of_what_waits_nobody_was_told_yet(old: Path) -> None:
    async with migrated(old) as ledger:
        waits = {entry.id for entry in await ledger.entries(ME, states=("waiting",)) if not entry.approved_by}
        assert waits
        assert {one.id for one in await ledger.list_unannounced(ME, T0, 86400.0)} == waits
