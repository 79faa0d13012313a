"""What this ledger itself did before on the targets of entries."""

from collections.abc import Iterable, Sequence

from worker.ledger.entries import Entry
from worker.ledger.ledger import Ledger


async def ours(ledger: Ledger, account: str, lane: str, entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Return what the ledger tried before in a lane on the targets of entries, but for the entries themselves."""
    themselves = {entry.id for entry in entries}
    tried = await ledger.find_tried(account, lane, [entry.target for entry in entries])
    return by_target(one for one in tried if one.id not in themselves)


def by_target(found: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Sort entries by what they are about, in their order."""
    sorted_: dict[str, list[Entry]] = {}
    for one in found:
        sorted_.setdefault(one.target, []).append(one)
    return sorted_
