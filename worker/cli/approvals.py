"""Decisions that wait for a person: waiting, approve, refuse."""

import sys
import time
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from worker.cli import context, output
from worker.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from worker.ledger.entries import Entry
    from worker.ledger.ledger import Ledger
    from worker.settings import Settings

Id = Annotated[str, typer.Argument(metavar="[ID]", help="The id that `worker waiting` shows.")]
Rule = Annotated[str, typer.Option("--rule", metavar="NAME", help="Everything of this rule.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first, also where several are decided.")]
WAITING = ("id", "about", "rule", "what", "for")
EVERYTHING_WAITING = 100_000


class Selection(NamedTuple):
    """What a person decides about: one decision by its id, or everything of a rule."""

    id: str
    rule: str

    def choose(self, entries: "Iterable[Entry]") -> "list[Entry]":
        """Return the entries that are meant: with one of them goes everything of the same decision."""
        entries = list(entries)
        items = {entry.item for entry in entries if self.id in {entry.id, entry.item}}
        return [entry for entry in entries if entry.item in items or self.rule in entry.rules]

    def describe(self, count: int) -> str:
        """Say how much is decided, and why so much."""
        if self.rule:
            return f"all that waits of {self.rule!r}, {count} in number"
        return f"it and {count - 1} more of the same decision" if count > 1 else "it"


def waiting(*, as_json: context.Json = False) -> None:
    """List the decisions that wait for a person.

    What is decided together is listed once, by its first entry: what is wanted, why it waits, the rule's reason, the
    sender and the subject. --json gives every entry; those of the same item are decided together.

    Example: worker waiting, then worker approve ID or worker refuse ID
    """
    entries = context.wait(_list_all(context.read_settings()))
    rows = [_describe_entry(entry) for entry in entries] if as_json else list(_describe_decisions(entries))
    output.print_rows(rows, WAITING, as_json=as_json, empty="nothing waits for a person")


def approve(
    id_: Id = "", *, rule: Rule = "", because: context.Because = "", who: context.As = "", yes: Yes = False
) -> None:
    """Let something that waits be carried out.

    Whatever belongs to the same decision goes with it; on a terminal you are asked first when that is more than one.

    Example: worker approve 06HX2K4M9Q0000000000000001 --because "seen it, is phishing"
    """
    context.wait(_decide("approve", Selection(id_, rule), context.Person(who, because), yes=yes))


def refuse(
    id_: Id = "", *, rule: Rule = "", because: context.Because = "", who: context.As = "", yes: Yes = False
) -> None:
    """Refuse something that waits.

    Whatever belongs to the same decision goes with it; on a terminal you are asked first when that is more than one.

    Example: worker refuse --rule executive_lookalike --because "a newsletter"
    """
    context.wait(_decide("refuse", Selection(id_, rule), context.Person(who, because), yes=yes))


async def _list_all(settings: "Settings") -> "list[Entry]":
    async with context.open_ledger(settings) as (ledger, accounts):
        return [entry for account in accounts for entry in await _list_waiting(ledger, account)]


async def _list_waiting(ledger: "Ledger", account: str) -> "tuple[Entry, ...]":
    return await ledger.entries(account, states=("waiting",), limit=EVERYTHING_WAITING)


def _describe_decisions(entries: "Iterable[Entry]") -> "Iterator[output.Row]":
    """Describe what is decided together as one, the newest first as its entries are."""
    together: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        together[entry.account, entry.item].append(entry)
    return (_describe_decision(same[::-1]) for same in together.values())


def _describe_decision(same: "Sequence[Entry]") -> output.Row:
    """Describe what is decided together, the oldest entry first, by what its first event came to."""
    first = same[0]
    actions = [describe_action(entry) for entry in same if entry.cause == first.cause]
    return {
        "id": first.id,
        "about": _count_events(same),
        "rule": tuple(dict.fromkeys(rule for entry in same for rule in entry.rules)),
        "what": [part for part in (*actions, first.said, first.because, first.sender, first.subject) if part],
        "for": output.format_duration(_measure_wait(first)),
    }


def _count_events(same: "Iterable[Entry]") -> str:
    """Count the events that entries are about, by their kind: each cause names its time, kind, id and sight."""
    events = {entry.cause.rpartition("/")[0].partition("/")[2] for entry in same}
    counts = Counter(event.partition("/")[0] for event in events)
    return ", ".join(output.count(n, "mail" if kind == "Message" else kind.lower()) for kind, n in counts.items())


def _measure_wait(entry: "Entry") -> float:
    return max(0.0, time.time() - entry.waits_since)


def _describe_entry(entry: "Entry") -> output.Row:
    return {
        "id": entry.id,
        "account": entry.account,
        "rule": entry.rules,
        "action": describe_action(entry),
        "target": entry.target,
        "sender": entry.sender,
        "subject": entry.subject,
        "why": entry.said,
        "because": entry.because,
        "for": round(_measure_wait(entry), 1),
        "item": entry.item,
    }


def describe_action(entry: "Entry") -> str:
    """Write an action in a few words, such as ``BlockSender a@b.example for 30d``."""
    action = entry.action
    fields = {name: getattr(action, name) for name in action.__struct_fields__ if name != "because"}
    return " ".join([type(action).__name__, *(_describe_field(name, value) for name, value in fields.items() if value)])


def _describe_field(name: str, value: object) -> str:
    if isinstance(value, timedelta):
        return f"for {output.format_duration(value.total_seconds())}"
    return name if value is True else str(value)


async def _decide(verb: str, selection: Selection, person: context.Person, *, yes: bool) -> None:
    """Order that what waits be approved or refused."""
    settings = context.read_settings()
    if bool(selection.id) == bool(selection.rule):
        raise SettingsError(f"say what to {verb}: either an id that `worker waiting` shows, or --rule NAME")
    async with context.open_ledger(settings) as (ledger, accounts):
        meant = await _choose(ledger, accounts, selection)
        count = sum(map(len, meant.values()))
        wanted = f"{verb} {selection.describe(count)}"
        if count > 1 and not (yes or _may_go_on(wanted)):
            typer.echo("nothing was ordered")
            return
        for account, entries in meant.items():
            subject = f"rule:{selection.rule}" if selection.rule else entries[0].item
            await ledger.order(account, verb, subject, person.name, person.because, time.time())
    typer.echo(f"{wanted}: {context.ORDERED}")


async def _choose(ledger: "Ledger", accounts: "Iterable[str]", selection: Selection) -> "dict[str, list[Entry]]":
    """Return what is meant in each account; raise SettingsError when that is nothing."""
    chosen = {account: selection.choose(await _list_waiting(ledger, account)) for account in accounts}
    if not any(chosen.values()):
        raise SettingsError(f"nothing of {selection.id or selection.rule!r} waits: `worker waiting` lists what does")
    return {account: entries for account, entries in chosen.items() if entries}


def _may_go_on(wanted: str) -> bool:
    """Ask a person at a terminal; a script has said what it means."""
    if not sys.stdin.isatty():
        return True
    try:
        return typer.confirm(f"{wanted}?")
    except typer.Abort:
        typer.echo()
        return False
