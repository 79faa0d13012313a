"""The review of blocks: those from before it was kept what a mail proved come up once, to be taken back or kept."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from msgspec.structs import replace
from sqlalchemy import select

from worker.language.actions import BlockSender
from worker.language.rules import APPROVE
from worker.ledger.cascade import took_effect
from worker.ledger.db.dialects import upsert
from worker.ledger.db.tables import entries, meta
from worker.ledger.doubts import BlockDoubt, find_doubt
from worker.ledger.entries import Entry
from worker.ledger.unit_of_work import UnitOfWork, last_of

ITEM = "review/blocks"
"""The decision that all of them are: approved, they are taken back, refused, they stay. Each may be decided alone."""


def review_blocks(work: UnitOfWork, proofs: Mapping[str, str] | None) -> tuple[Entry, ...]:
    """Return the blocks of ours that stand and that no mail is known to prove; none once they were asked about.

    With ``proofs``, which are by entry what the mail proves that asked for it, ask about those that are left.
    """
    mark = f"blocks reviewed/{work.account}"
    if work.conn.scalar(select(meta.c.value).where(meta.c.name == mark)):
        return ()
    known = proofs or {}
    doubted = [
        (made, block, doubt)
        for made, block in _list_standing(work)
        if (doubt := find_doubt(replace(made, authenticated=known.get(made.id) or made.authenticated)))
    ]
    if proofs is not None:
        upsert(work.conn, meta, [{"name": mark, "value": repr(work.now)}])
        for made, block, doubt in doubted:
            _ask(work, made, block, doubt)
    return tuple(made for made, _, _ in doubted)


def _list_standing(work: UnitOfWork) -> Iterator[tuple[Entry, BlockSender]]:
    """Yield what made each block of ours that stands, and with which action, unless a person has approved it."""
    on: dict[str, list[Entry]] = defaultdict(list)
    for entry in work.load((entries.c.lane == "block") & entries.c.state.in_(("done", "moot"))):
        on[entry.target].append(entry)
    lasts = (last_of(filter(took_effect, tried)) for tried in on.values())
    for last in lasts:
        if last and isinstance(last.action, BlockSender) and not last.approved_by:
            yield last, last.action


def _ask(work: UnitOfWork, made: Entry, block: BlockSender, doubt: BlockDoubt) -> None:
    """Let the removal of a block wait for a person."""
    review = Entry(
        id=work.mint(work.now),
        account=work.account,
        lane=made.lane,
        target=made.target,
        cause=made.cause,
        action=block.inverse(),
        state="waiting",
        mode=APPROVE,
        rules=made.rules,
        fingerprints=made.fingerprints,
        because=f"{made.id} blocked it, and nothing proves who wrote: approve to take it back, refuse to keep it",
        item=ITEM,
        verdict=made.verdict,
        sender=made.sender,
        recipients=made.recipients,
        subject=made.subject,
        scanned_at=made.scanned_at,
        known_at=work.now,
        created_at=work.now,
        waits_since=work.now,
        remote=made.remote,
        said=doubt.said,
        why=doubt.why,
    )
    work.enter(review)
