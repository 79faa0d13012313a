"""Limits: how many distinct targets a rule may still touch in its sliding window."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import inf

from sqlalchemy import func, select

from worker.language.rules import Limit, RuleInfo
from worker.ledger.db.dialects import chunks, upsert
from worker.ledger.db.tables import counts, entries
from worker.ledger.entries import Entry
from worker.ledger.turns import count_kept, count_shares, find_urgent, is_urgent, put_in_turn
from worker.ledger.unit_of_work import UnitOfWork

UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


class Room:
    """The room that rules have left, for the entries of one claim; counted in the claim's transaction."""

    def __init__(self, work: UnitOfWork, rules: Mapping[str, RuleInfo], ready: Sequence[Entry]) -> None:
        """Read what these entries' rules have touched in their windows."""
        self._conn, self._account, self._now = work.conn, work.account, work.now
        self._limits = {name: info.limit for name, info in rules.items()}
        self._kept = {name: count_kept(info) for name, info in rules.items()}
        self._urgent: dict[tuple[str, str], set[str]] = {}
        self._touched: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._queues: dict[str, str] = {}
        self._new: dict[tuple[str, str, str], None] = {}
        self._ready = ready
        self._wanted = Counter(
            (rule, who) for entry in ready for rule in entry.rules for who in self._names_counted(entry, rule)
        )
        by_rule: dict[str, list[str]] = defaultdict(list)
        for rule, who in self._wanted:
            by_rule[rule].append(who)
        for rule, whos in by_rule.items():
            self._read(rule, whos)

    def put_in_turn(self) -> Sequence[Entry]:
        """Order the entries by who comes first, where a limit does not let all of them through."""
        scarce = {rule for (rule, who), more in self._wanted.items() if more > self._count_left(rule, who)}
        if not scarce:
            return self._ready
        touched = {target for (rule, _), targets in self._touched.items() if rule in scarce for target in targets}
        return put_in_turn(self._ready, count_shares(self._conn, self._account, touched))

    def _count_left(self, rule: str, who: str) -> float:
        """Return how many more a rule may touch of any mail; a rule that has gone has no limit."""
        most = self._limits[rule].count - self._kept[rule] if rule in self._limits else inf
        return most - len(self._touched[rule, who])

    def has(self, entry: Entry, rule: str) -> bool:
        """Tell whether a rule may touch this entry's target; one that was touched already counts once."""
        return entry.attempts > 0 or all(self._lets(entry, rule, who) for who in self._names_counted(entry, rule))

    def _lets(self, entry: Entry, rule: str, who: str) -> bool:
        """Tell whether there is room under one name; what is kept for urgent mail is none for any other."""
        touched, most, kept = self._touched[rule, who], self._limits[rule].count, self._kept[rule]
        if entry.target in touched or len(touched) >= most:
            return entry.target in touched
        if len(touched) < most - kept or is_urgent(entry):
            return True
        return len(touched - self._find_urgent(rule, who)) < most - kept

    def _find_urgent(self, rule: str, who: str) -> set[str]:
        """Return what of a rule's touched targets is urgent mail; most of the time nobody has to know."""
        if (rule, who) not in self._urgent:
            self._urgent[rule, who] = find_urgent(self._conn, self._account, self._touched[rule, who])
        return self._urgent[rule, who]

    def take(self, entry: Entry, rules: Iterable[str]) -> None:
        """Count this entry's target for some rules."""
        for rule in rules:
            for who in self._names_counted(entry, rule):
                self._touched[rule, who].add(entry.target)
                if is_urgent(entry) and (rule, who) in self._urgent:
                    self._urgent[rule, who].add(entry.target)
                self._new[rule, who, entry.target] = None

    def write(self) -> None:
        """Write down what was counted."""
        rows = [
            {"account": self._account, "rule": rule, "who": who, "target": target, "at": self._now}
            for rule, who, target in self._new
        ]
        upsert(self._conn, counts, rows, ("at",))

    def describe_spent(self, rule: str) -> str:
        """Say which limit is spent."""
        limit = self._limits[rule]
        per = next(
            (f"{limit.per / size:g} {unit}" for size, unit in UNITS if limit.per % size == 0), f"{limit.per:g} s"
        )
        whose = "" if limit.by == "rule" else f" by {limit.by}"
        return f"the limit of {rule} is spent: {limit.count} per {per}{whose}"

    def queue(self, rule: str) -> str:
        """Return the item under which everything beyond a rule's limit waits, until a person has decided on it."""
        if rule not in self._queues:
            query = select(func.max(entries.c.item)).where(
                entries.c.account == self._account,
                entries.c.item_kind == "limit",
                entries.c.item_of == rule,
                entries.c.state == "waiting",
            )
            self._queues[rule] = self._conn.scalar(query) or f"limit/{rule}/{int(self._now)}"
        return self._queues[rule]

    def _names_counted(self, entry: Entry, rule: str) -> tuple[str, ...]:
        """Return under whose name an entry counts: nobody's, the sender's, or each recipient's."""
        by = self._limits.get(rule, Limit(0)).by
        if by == "sender":
            return (entry.sender.lower(),)
        return tuple({name.lower(): None for name in entry.recipients}) or ("",) if by == "recipient" else ("",)

    def _read(self, rule: str, whos: Iterable[str]) -> None:
        per = self._limits.get(rule, Limit(0)).per
        query = select(counts.c.who, counts.c.target).where(
            counts.c.account == self._account, counts.c.rule == rule, counts.c.at > self._now - per
        )
        for chunk in chunks(whos):
            for row in self._conn.execute(query.where(counts.c.who.in_(chunk))):
                self._touched[rule, row.who].add(row.target)
