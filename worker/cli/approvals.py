"""Decisions that wait for a person: waiting, approve, refuse."""

import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

import typer

from worker import wording
from worker.cli import context, output
from worker.cli.selection import Selection, choose, list_waiting, require_ceiling
from worker.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from worker.ledger.entries import Entry
    from worker.settings import Settings

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the decision, as `worker waiting` lists it.")]
Rule = Annotated[
    str, typer.Option("--rule", metavar="NAME", help="All decisions that are waiting because of this rule.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
WAITING = ("id", "events", "rule", "what", "waiting")


def waiting(*, as_json: context.Json = False) -> None:
    """List the decisions that are waiting for a person.

    Shows one row per decision: its id, what triggered it, the rule, and how long it has been waiting; below each other
    the action, why it is waiting, the rule's reason, the sender and the subject. --json lists every entry; entries with
    the same item are decided together.

    Example: worker waiting, then worker approve ID or worker refuse ID
    """
    entries = context.wait(_list_all(context.read_settings()))
    rows = [_describe_entry(entry) for entry in entries] if as_json else list(_describe_decisions(entries))
    output.print_rows(rows, WAITING, as_json=as_json, empty="nothing is waiting for a person")


def approve(
    id_: Id = "", *, rule: Rule = "", because: context.Because = "", who: context.As = "", yes: Yes = False
) -> None:
    """Approve a waiting decision, so that it is carried out.

    Everything that belongs to the decision is approved with it. On a terminal you are asked first when that is more
    than one entry. Your name and your reason go into the audit records. It is refused while WORKER_CEILING is observe,
    because nothing would be carried out.

    Example: worker approve 06HX2K4M9Q0000000000000001 --because "it is phishing"
    """
    settings = context.read_settings()
    person = context.find_person(settings, who, because)
    context.require_name(person, "approve")
    context.wait(_decide(settings, "approve", Selection(id_, rule), person, yes=yes))


def refuse(
    id_: Id = "", *, rule: Rule = "", because: context.Because = "", who: context.As = "", yes: Yes = False
) -> None:
    """Refuse a waiting decision, so that it is not carried out.

    Everything that belongs to the decision is refused with it. On a terminal you are asked first when that is more
    than one entry. Your name and your reason go into the audit records.

    Example: worker refuse --rule executive_lookalike --because "a newsletter"
    """
    settings = context.read_settings()
    person = context.find_person(settings, who, because)
    context.wait(_decide(settings, "refuse", Selection(id_, rule), person, yes=yes))


async def _list_all(settings: "Settings") -> "list[Entry]":
    async with context.read_ledger(settings) as (ledger, accounts):
        return [entry for account in accounts for entry in await list_waiting(ledger, account)]


def _describe_decisions(entries: "Iterable[Entry]") -> "Iterator[output.Row]":
    """Describe each decision once, the newest first as its entries are."""
    together: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        together[entry.account, entry.item].append(entry)
    return (_describe_decision(same[::-1]) for same in together.values())


def _describe_decision(same: "Sequence[Entry]") -> output.Row:
    """Describe a decision, given its entries from the oldest on, by what its first event led to."""
    first = same[0]
    actions = [wording.describe_action(entry.action) for entry in same if entry.cause == first.cause]
    return {
        "id": first.id,
        "events": wording.count_events(entry.cause for entry in same),
        "rule": tuple(dict.fromkeys(rule for entry in same for rule in entry.rules)),
        "what": [part for part in (*actions, first.said, first.because, first.sender, first.subject) if part],
        "waiting": wording.format_duration(_measure_wait(first)),
    }


def _measure_wait(entry: "Entry") -> float:
    return max(0.0, time.time() - entry.waits_since)


def _describe_entry(entry: "Entry") -> output.Row:
    return {
        "id": entry.id,
        "account": entry.account,
        "rule": entry.rules,
        "action": wording.describe_action(entry.action),
        "target": entry.target,
        "sender": entry.sender,
        "subject": entry.subject,
        "why": entry.said,
        "because": entry.because,
        "for": round(_measure_wait(entry), 1),
        "item": entry.item,
    }


async def _decide(settings: "Settings", verb: str, selection: Selection, person: context.Person, *, yes: bool) -> None:
    """Order that what is waiting be approved or refused."""
    if bool(selection.id) == bool(selection.rule):
        raise SettingsError(f"name what to {verb}: either an id from `worker waiting` or --rule NAME")
    async with context.open_ledger(settings) as (ledger, accounts):
        meant = await choose(ledger, accounts, verb, selection)
        if verb == "approve":
            await require_ceiling(ledger, meant, settings)
        count = sum(map(len, meant.values()))
        if count > 1 and not (yes or _may_go_on(f"{verb.capitalize()} {selection.describe(count)}?")):
            typer.echo(f"nothing was {verb}d")
            return
        for account, entries in meant.items():
            subject = f"rule:{selection.rule}" if selection.rule else entries[0].item
            await ledger.order(account, verb, subject, person.who, person.because, time.time())
    done = f"{verb.capitalize()}d {selection.describe(count)}" if count > 1 else f"{verb.capitalize()}d"
    typer.echo(f"{done}. {person.describe_order()}")


def _may_go_on(question: str) -> bool:
    """Ask a person at a terminal; a script has said what it means."""
    return not sys.stdin.isatty() or context.confirm(question)
