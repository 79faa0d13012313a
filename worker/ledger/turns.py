"""Turns: who comes first where a limit lets only some through.

Whoever sends much mail must not spend what a rule may do for everybody else: the worst verdict goes first, then the
recipients and senders for whom a rule has done least in its window.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, select

from worker.language.actions import LANES
from worker.language.models import DISPOSITIONS, URGENT
from worker.language.rules import RuleInfo
from worker.ledger.db.dialects import chunks
from worker.ledger.db.tables import entries
from worker.ledger.entries import Entry

KEPT = 5
"""One in so many of what a rule may do is kept for urgent mail."""
RANKS = {name: rank for rank, name in enumerate(sorted(DISPOSITIONS, key=lambda name: name not in URGENT))}
Share = tuple[str, str]
"""A role, and the name of somebody who has it."""


def count_kept(rule: RuleInfo) -> int:
    """Return how much of a rule's limit is kept for urgent mail: nothing where it hears only such mail, or none."""
    heard = set(DISPOSITIONS if rule.dispositions is None else rule.dispositions)
    mixed = rule.trigger == "Message" and heard & URGENT and heard - URGENT
    return rule.limit.count // KEPT if mixed else 0


def is_urgent(entry: Entry) -> bool:
    """Tell whether an entry is about urgent mail."""
    return _verdict_of(entry.verdict) in URGENT


def find_urgent(conn: Connection, account: str, targets: Collection[str]) -> set[str]:
    """Return those of some targets that are, or come from, urgent mail."""
    return {target for target, verdict, _, _ in _read(conn, account, targets) if _verdict_of(verdict) in URGENT}


def count_shares(conn: Connection, account: str, targets: Collection[str]) -> Counter[Share]:
    """Return for how many of some targets each recipient and sender stands."""
    known = {target: (sender, recipients) for target, _, sender, recipients in _read(conn, account, targets)}
    return Counter(share for sender, recipients in known.values() for share in _list_shares(sender, recipients))


def put_in_turn(ready: Sequence[Entry], shares: Counter[Share]) -> list[Entry]:
    """Order entries by verdict, then by what their recipients and senders had of ``shares``, then as they came."""
    had, ranked = shares.copy(), list[tuple[int, int, int, int, Entry]]()
    unserved_first = sorted(ready, key=lambda entry: (_rank(entry), shares["sender", entry.sender.lower()]))
    for place, entry in enumerate(unserved_first):
        sender, *recipients = _list_shares(entry.sender, entry.recipients)
        ranked.append((_rank(entry), max((had[one] for one in recipients), default=0), had[sender], place, entry))
        had.update((sender, *recipients))
    return [entry for *_, entry in sorted(ranked, key=lambda one: one[:-1])]


def _rank(entry: Entry) -> int:
    return RANKS.get(_verdict_of(entry.verdict), len(RANKS))


def _verdict_of(state: str) -> str:
    return state.partition("|")[0]


def _list_shares(sender: str, recipients: Iterable[str]) -> list[Share]:
    """Return the sender's share and those of the recipients."""
    return [("sender", sender.lower()), *dict.fromkeys(("recipient", name.lower()) for name in recipients)]


def _read(conn: Connection, account: str, targets: Collection[str]) -> Iterable[tuple[str, str, str, tuple[str, ...]]]:
    """Yield verdict, sender and recipients of the entries on some targets."""
    columns = entries.c.target, entries.c.verdict, entries.c.sender, entries.c.recipients
    for chunk in chunks(sorted(targets)):
        theirs = entries.c.account == account, entries.c.lane.in_(LANES), entries.c.target.in_(chunk)
        yield from (tuple(row) for row in conn.execute(select(*columns).where(*theirs)))
