"""Announcements: what waits for a person, grouped by who wants it, what and why, in words. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from worker.escaping import escape
from worker.language.actions import ListAction
from worker.ledger.waiting import Waiting, name_decision
from worker.wording import count, count_events, name_event, summarise_action

NAMED = 5
"""Decisions that one announcement names; it says how many more there are."""
REASONS = 3
"""Reasons why decisions wait that are told apart; with more, they are announced together."""
WORDS = 120
"""Characters of one text by a stranger, a rule or the API."""


class Decision(NamedTuple):
    """What a person approves or refuses as one, as far as it is to be announced: its entries, oldest first."""

    entries: tuple[Waiting, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that want it."""
        return tuple(dict.fromkeys(rule for entry in self.entries for rule in entry.rules))

    @property
    def wanted(self) -> str:
        """What they want, without the targets."""
        return ", ".join(dict.fromkeys(summarise_action(entry.action) for entry in self.entries))

    @property
    def why(self) -> str:
        """Why it waits."""
        return "; ".join(dict.fromkeys(entry.said for entry in self.entries))

    @property
    def newest(self) -> tuple[Waiting, ...]:
        """What began to wait last, because of one event: its name covers all that waited by then."""
        last = max(self.entries, key=attrgetter("waits_since", "id"))
        return tuple(entry for entry in self.entries if entry.cause == last.cause)

    @property
    def name(self) -> str:
        """What a person types to decide about all of it."""
        return name_decision(self.newest[0], self.newest)

    @property
    def is_told_again(self) -> bool:
        """Whether people were told of all of it before."""
        return all(entry.is_told_again for entry in self.entries)


class Group(NamedTuple):
    """Decisions that are announced together."""

    rules: tuple[str, ...]
    wanted: str
    is_told_again: bool
    decisions: tuple[Decision, ...]

    @property
    def name(self) -> tuple[tuple[str, ...], str, bool]:
        """What groups have in common that wait for each other: who wants what, and how often people were told."""
        return self.rules, self.wanted, self.is_told_again

    @property
    def entries(self) -> tuple[Waiting, ...]:
        """All that is announced with it."""
        return tuple(entry for decision in self.decisions for entry in decision.entries)


class Terms(NamedTuple):
    """What a person has to know beside what waits: where, until when, and whether approving has an effect."""

    account: str
    lapse: float
    may_approve: bool = True


def group(waiting: Iterable[Waiting]) -> tuple[Group, ...]:
    """Group what waits by rules, actions and reason; where the reasons are many, by rules and actions alone."""
    alike: dict[tuple[tuple[str, ...], str, bool], dict[str, list[Decision]]] = defaultdict(lambda: defaultdict(list))
    for decision in _gather_decisions(waiting):
        alike[decision.rules, decision.wanted, decision.is_told_again][decision.why].append(decision)
    return tuple(
        Group(*name, tuple(together))
        for name, by_why in alike.items()
        for together in (by_why.values() if len(by_why) <= REASONS else [chain(*by_why.values())])
    )


def _gather_decisions(waiting: Iterable[Waiting]) -> list[Decision]:
    by_item: dict[str, list[Waiting]] = defaultdict(list)
    for entry in waiting:
        by_item[entry.item].append(entry)
    return [Decision(tuple(entries)) for entries in by_item.values()]


def announce(group: Group, terms: Terms) -> str:
    """Write what a group of decisions is, why it waits, how to decide and when it lapses; harmless and bounded."""
    whys = tuple(dict.fromkeys(decision.why for decision in group.decisions))
    rest = len(group.decisions) - NAMED
    lines = [
        _write_heading(group),
        f"account {terms.account} · wanted: {escape(group.wanted, WORDS)} · why: {_join(whys)}",
        *map(_write_line, group.decisions[:NAMED]),
        *([f"and {count(rest, 'more decision')}, which worker waiting lists"] if rest > 0 else []),
        _say_how(group, may_approve=terms.may_approve),
        _say_until(group, terms.lapse),
    ]
    return "\n".join(lines)


def _write_heading(group: Group) -> str:
    many = len(group.decisions)
    waits = ("still waits" if many == 1 else "still wait") if group.is_told_again else "waits" if many == 1 else "wait"
    soon = " and will lapse" if group.is_told_again else ""
    return f"{_join(group.rules) or 'worker'}: {count(many, 'decision')} {waits} for a person{soon}"


def _write_line(decision: Decision) -> str:
    """Name a decision by its id, which stands first, before anything that a stranger wrote."""
    first = decision.newest[0]
    about = name_event(first.cause, first.subject, first.sender, first.recipients)
    patterns = [entry.action.pattern for entry in decision.entries if isinstance(entry.action, ListAction)]
    listed = _join(tuple(dict.fromkeys(patterns)))
    events = dict.fromkeys(entry.cause for entry in decision.entries)
    parts = [about, listed, f"{count_events(events)} in all" if len(events) > 1 else "", escape(first.because, WORDS)]
    return f"- {decision.name} " + " · ".join(part for part in parts if part)


def _join(texts: Sequence[str]) -> str:
    """Join a few texts, and count the rest."""
    more = [f"and {count(len(texts) - REASONS, 'other')}"] if len(texts) > REASONS else []
    return "; ".join([*(escape(text, WORDS) for text in texts[:REASONS]), *more])


def _say_how(group: Group, *, may_approve: bool) -> str:
    """Say which commands decide."""
    first = group.decisions[0].name if len(group.decisions) == 1 else "ID"
    approve = f"worker approve {first}" if may_approve else "worker approve once WORKER_CEILING allows it"
    ways = [f"decide: {approve}, or worker refuse {first}"]
    if len(group.decisions) > 1 and group.rules and may_approve:
        ways += [f"everything of this rule that waits: worker approve --rule {escape(group.rules[0], WORDS)}"]
    return "; ".join(ways)


def _say_until(group: Group, lapse: float) -> str:
    """Say when the first of these lapses."""
    until = datetime.fromtimestamp(min(entry.waits_since for entry in group.entries) + lapse, UTC)
    return f"lapses if nobody decides by {until:%Y-%m-%d %H:%M} UTC"
