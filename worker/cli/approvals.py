"""Decisions of a person about what waits: approve, refuse."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context
from worker.cli.brakes import explain_release
from worker.cli.filters import Recipient, Rule, Sender, Since, Subject, make_filter, parse_since
from worker.cli.selection import Selection, choose, keep_unchanged, require_ceiling
from worker.cli.waiting import print_decisions
from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.ledger.entries import Entry
    from worker.ledger.ledger import Ledger
    from worker.settings import Settings

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a decision or a group, as `worker waiting` lists it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
NAMED = 5
"""How many decisions are named before a person is asked."""


def _make_command(verb: str, help_: str) -> Callable[..., None]:
    """Make the command of a verb: both take the same options."""

    def command(
        id_: Id = "",
        *,
        rule: Rule = "",
        sender: Sender = "",
        recipient: Recipient = "",
        subject: Subject = "",
        since: Since = "",
        because: context.Because = "",
        who: context.As = "",
        yes: Yes = False,
    ) -> None:
        settings = context.read_settings()
        person = context.find_person(settings, who, because)
        if verb == "approve":
            context.require_name(person, verb)
        selection = Selection(id_, make_filter(rule, sender, recipient, subject), parse_since(since))
        context.wait(_decide(settings, verb, selection, person, yes=yes))

    command.__name__, command.__doc__ = verb, help_
    return command


approve = _make_command(
    "approve",
    """Approve what is waiting, so that it is carried out.

    Name a decision or a group by its id, or narrow down what is meant with options; a group that `worker waiting`
    listed with options takes the same ones. Everything that belongs to a decision is approved with it. On a terminal
    you are asked first when that is more than one entry, and shown what it covers; what comes to wait later is not
    covered. Your name and your reason go into the audit records. It is refused while WORKER_CEILING is observe, because
    nothing would be carried out.

    Example: worker approve 06HX2K4M9Q0000000000000001 --because "it is phishing"
    """,
)
refuse = _make_command(
    "refuse",
    """Refuse what is waiting, so that it is not carried out.

    Name a decision or a group by its id, or narrow down what is meant with options; a group that `worker waiting`
    listed with options takes the same ones. Everything that belongs to a decision is refused with it. On a terminal
    you are asked first when that is more than one entry, and shown what it covers. Your name and your reason go into
    the audit records.

    Example: worker refuse --rule executive_lookalike --because "a newsletter"
    """,
)


async def _decide(settings: "Settings", verb: str, selection: Selection, person: context.Person, *, yes: bool) -> None:
    """Order that what is waiting be approved or refused: exactly what is there now, and was shown."""
    _require_choice(verb, selection)
    async with context.open_ledger(settings) as (ledger, accounts):
        meant = await choose(ledger, accounts, verb, selection)
        if verb == "approve":
            await require_ceiling(ledger, meant, settings)
        count = sum(map(len, meant.values()))
        if count > 1 and sys.stdin.isatty() and not yes:
            if not _may_go_on(f"{verb.capitalize()} {selection.describe(count)}?", meant, settings):
                typer.echo(f"nothing was {verb}d")
                return
            meant = await keep_unchanged(ledger, meant)
            count = sum(map(len, meant.values()))
        for account, entries in meant.items():
            alone = selection.id and not selection.is_group
            subject, covers = entries[0].item if alone else selection.subject, [entry.id for entry in entries]
            await ledger.order(account, verb, subject, person.who, person.because, time.time(), covers=covers)
        kept = await _list_brakes(ledger, meant) if verb == "approve" else set[str]()
    done = f"{verb.capitalize()}d {selection.describe(count)}" if count > 1 else f"{verb.capitalize()}d"
    typer.echo(f"{done}. {person.describe_order()}")
    if kept:
        typer.echo(f"Kept back until you release the brakes that are on: {explain_release(sorted(kept))}")


async def _list_brakes(ledger: "Ledger", meant: "Mapping[str, Sequence[Entry]]") -> set[str]:
    """Return the brakes, also such as are ordered only, that keep back something of what was approved."""
    on = {account: await ledger.list_braked(account) for account in meant}
    return {brake for account, entries in meant.items() for entry in entries for brake in on[account] & _name(entry)}


def _name(entry: "Entry") -> set[str]:
    """Return the brakes that would keep back an entry: not that of a rule with which others agree."""
    return {"", f"lane:{entry.lane}", *(f"rule:{rule}" for rule in entry.rules if len(entry.rules) == 1)}


def _require_choice(verb: str, selection: Selection) -> None:
    """Refuse an order that names nothing, or a single decision in two ways."""
    if not selection.subject:
        raise SettingsError(f"name what to {verb}: an id from `worker waiting`, or --rule NAME or another option")
    if selection.id and not selection.is_group and selection._replace(id="").subject:
        raise SettingsError(f"{selection.id} is one decision: leave the options out, or the id; see `worker waiting`")


def _may_go_on(question: str, meant: Mapping[str, Sequence["Entry"]], settings: "Settings") -> bool:
    """Show a person at a terminal what is meant, and ask."""
    entries = [entry for each in meant.values() for entry in each]
    print_decisions(entries, NAMED, settings.lapse, "`worker waiting` lists them with the same id or options")
    return context.confirm(f"\n{question}")
