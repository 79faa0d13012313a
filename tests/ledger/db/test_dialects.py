"""Writing many rows at a time comes to the same as writing them one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from tests.ledger.desk import JUNK, ME, T0, Desk
from tests.ledger.memory import in_memory
from worker.ledger.db.dialects import SIZES, add, rewrite, upsert
from worker.ledger.db.tables import entries, meta

SOME = st.integers(min_value=0, max_value=SIZES[0] * 2 + SIZES[1] + 3)


def written(conn: Connection) -> dict[str, str]:
    return {row.name: row.value for row in conn.execute(select(meta))}


@pytest.mark.slow
@given(first=SOME, second=SOME)
async def test_any_number_of_rows_is_written_whole(first: int, second: int) -> None:
    runner = in_memory()
    old = [{"name": f"n{number}", "value": "old"} for number in range(first)]
    new = [{"name": f"n{number}", "value": "new"} for number in range(second)]
    with runner.engine.begin() as conn:
        add(conn, meta, old)
        upsert(conn, meta, new)
        assert written(conn) == {row["name"]: row["value"] for row in (*new, *old)}
        upsert(conn, meta, new, ("value",))
        assert written(conn) == {row["name"]: row["value"] for row in (*old, *new)}


async def test_only_the_named_rows_and_columns_are_changed() -> None:
    desk = Desk()
    await desk.enter(*(desk.draft(message=f"m{number}") for number in range(300)))
    found = await desk.ledger.entries(ME)
    changed = {entry.id for entry in found[:290]}
    with desk.runner.engine.begin() as conn:
        rewrite(conn, entries, [{"id": id_, "said": f"about {id_}", "attempts": 7} for id_ in changed])
    for entry in await desk.ledger.entries(ME):
        assert (entry.said, entry.attempts) == ((f"about {entry.id}", 7) if entry.id in changed else ("", 0))
        assert (entry.state, entry.created_at, entry.action) == ("ready", T0, JUNK)
