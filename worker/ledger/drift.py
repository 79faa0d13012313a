"""Drift: what was proved and is later contradicted goes on record, once, and is never repeated by itself."""

from collections.abc import Iterable

from msgspec.structs import replace

from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import entries
from worker.ledger.records import about
from worker.ledger.unit_of_work import Pen

DRIFTED = "drift: "
FAILED = "move_failed"
WHY = "the API shows a failed move of this message, after it had shown that it was moved"


def note(pen: Pen, messages: Iterable[str]) -> None:
    """Note each move that was proved done of messages that now show a failed one."""
    for chunk in chunks(tuple(messages)):
        moved = (entries.c.lane == "placement") & (entries.c.kind == "Move") & (entries.c.state == "done")
        for entry in pen.load(moved & entries.c.target.in_(chunk) & ~entries.c.said.startswith(DRIFTED)):
            if entry.look and FAILED in entry.look.status:
                continue  # it showed a failed move of somebody else's before ours was sent
            pen.touch(replace(entry, said=DRIFTED + entry.said))
            pen.chain.add("drift", **about(entry), why=WHY)
