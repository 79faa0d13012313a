"""What waits for a person, and what they decide: waiting, approve, refuse."""

import sys
import time
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context, output
from worker.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.ledger.entries import Entry
    from worker.settings import Settings

Id = Annotated[str, typer.Argument(metavar="[ID]", help="The id that `worker waiting` shows.")]
Rule = Annotated[str, typer.Option("--rule", metavar="NAME", help="Everything of this rule.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first, also where several are decided.")]
WAITING = ("id", "about", "rule", "what", "for")
EVERYTHING_WAITING = 100_000


def waiting(*, as_json: context.Json = False) -> None:
    """List the decisions that wait for a person.

    What is decided together is listed once, by its first entry: what is wanted, why it waits, the rule's reason, the
    sender and the subject. --json gives every entry; those of the same item are decided together.

    Example: worker waiting, then worker approve ID or worker refuse ID
    """
    entries = context.wait(_waiting(context.read_settings()))
    rows = [_waiting_row(entry) for entry in entries] if as_json else _decisions(entries)
    output.print_rows(rows, WAITING, as_json=as_json, empty="nothing waits for a person")


def approve(
    id_: Id = "", *, rule: Rule = "", because: context.Because = "", who: context.As = "", yes: Yes = False
) -> None:
    """Let something that waits be carried out.

    Whatever belongs to the same decision goes with it; on a terminal you are asked first when that is more than one.

    Example: worker approve 06HX2K4M9Q0000000000000001 --because "seen it, is phishing"
    """
    context.wait(_decide(context.read_settings(), "approve", id_, rule, context.Person(who, because), yes=yes))


def refuse(
    id_: Id = "", *, rule: Rule = "", because: context.Because = "", who: context.As = "", yes: Yes = False
) -> None:
    """Refuse something that waits.

    Whatever belongs to the same decision goes with it; on a terminal you are asked first when that is more than one.

    Example: worker refuse --rule executive_lookalike --because "a newsletter"
    """
    context.wait(_decide(context.read_settings(), "refuse", id_, rule, context.Person(who, because), yes=yes))


async def _waiting(settings: "Settings") -> "list[Entry]":
    """Gather what waits."""
    found: list[Entry] = []
    async with context.open_ledger(settings) as (ledger, accounts):
        for account in accounts:
            found += await ledger.entries(account, states=("waiting",), limit=EVERYTHING_WAITING)
    return found


def _decisions(entries: "Iterable[Entry]") -> list[output.Row]:
    """Describe each decision, the newest first as its entries are."""
    together: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        together[entry.account, entry.item].append(entry)
    return [_decision(same[::-1]) for same in together.values()]


def _decision(same: "Sequence[Entry]") -> output.Row:
    """Describe what is decided together, the oldest entry first, by what its first event came to."""
    first = same[0]
    wishes = [wish(entry) for entry in same if entry.cause == first.cause]
    return {
        "id": first.id,
        "about": _events(same),
        "rule": tuple(dict.fromkeys(rule for entry in same for rule in entry.rules)),
        "what": [part for part in (*wishes, first.said, first.because, first.sender, first.subject) if part],
        "for": output.format_duration(_waited(first)),
    }


def _events(same: "Iterable[Entry]") -> str:
    """Count the events that entries are about, by their kind: each cause names its time, kind, id and sight."""
    events = {entry.cause.rpartition("/")[0].partition("/")[2] for entry in same}
    counts = Counter(event.partition("/")[0] for event in events)
    return ", ".join(output.count(n, "mail" if kind == "Message" else kind.lower()) for kind, n in counts.items())


def _waited(entry: "Entry") -> float:
    """Return for how many seconds an entry has waited."""
    return max(0.0, time.time() - entry.waits_since)


def _waiting_row(entry: "Entry") -> output.Row:
    """Describe an entry that waits."""
    return {
        "id": entry.id,
        "account": entry.account,
        "rule": entry.rules,
        "action": wish(entry),
        "target": entry.target,
        "sender": entry.sender,
        "subject": entry.subject,
        "why": entry.said,
        "because": entry.because,
        "for": round(_waited(entry), 1),
        "item": entry.item,
    }


def wish(entry: "Entry") -> str:
    """Write an action in a few words."""
    action = entry.action
    fields = {name: getattr(action, name) for name in action.__struct_fields__ if name != "because"}
    return " ".join([type(action).__name__, *(_word(name, value) for name, value in fields.items() if value)])


def _word(name: str, value: object) -> str:
    """Write what one field of an action says: a flag that is set by its name."""
    if isinstance(value, timedelta):
        return f"for {output.format_duration(value.total_seconds())}"
    return name if value is True else str(value)


async def _decide(settings: "Settings", verb: str, id_: str, rule: str, person: "context.Person", *, yes: bool) -> None:
    """Order that what waits be approved or refused."""
    if bool(id_) == bool(rule):
        raise SettingsError(f"say what to {verb}: either an id that `worker waiting` shows, or --rule NAME")
    subjects: dict[str, str] = {}
    count = 0
    async with context.open_ledger(settings) as (ledger, accounts):
        for account in accounts:
            entries = await ledger.entries(account, states=("waiting",), limit=EVERYTHING_WAITING)
            items = {entry.item for entry in entries if id_ in {entry.id, entry.item}}
            if meant := [entry for entry in entries if entry.item in items or rule in entry.rules]:
                (subjects[account],) = items or {f"rule:{rule}"}
                count += len(meant)
        if not count:
            raise SettingsError(f"nothing of {id_ or rule!r} waits: `worker waiting` lists what does")
        wanted = f"{verb} {_all_of(rule, count)}"
        if count > 1 and not (yes or _agreed(wanted)):
            typer.echo("nothing was ordered")
            return
        for account, subject in subjects.items():
            await ledger.order(account, verb, subject, person.name, person.because, time.time())
    typer.echo(f"{wanted}: {context.ORDERED}")


def _agreed(wanted: str) -> bool:
    """Ask a person at a terminal; a script has said what it means."""
    if not sys.stdin.isatty():
        return True
    try:
        return typer.confirm(f"{wanted}?")
    except typer.Abort:
        typer.echo()
        return False


def _all_of(rule: str, count: int) -> str:
    """Say how much an order is about, and why so much."""
    if rule:
        return f"all that waits of {rule!r}, {count} in number"
    return f"it and {count - 1} more of the same decision" if count > 1 else "it"
