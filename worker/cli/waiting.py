"""`worker waiting`: what waits for a person, an outbreak on one line that can be opened."""

import time
from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

import typer

from worker import wording
from worker.cli import context, output
from worker.cli.filters import Recipient, Rule, Sender, Since, Subject, make_filter, parse_since
from worker.cli.selection import Selection, explain_end, find_chosen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.ledger.entries import Entry
    from worker.ledger.queue import WaitingGroup, WaitingSummary
    from worker.settings import Settings

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a group or a decision, to list what is in it.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="COUNT", min=1, help="Most rows. Default: 4 groups, or 20 decisions of one."),
]
GROUPS, DECISIONS = 4, 20
"""Rows without --limit: what a screen holds."""
COLUMNS = ("id", "what")
EVERYTHING = -1
NOTHING = "nothing is waiting for a person"
LIKEWISE = "(the others likewise)"
"""Told of a group in which the reason to wait names what differs from mail to mail."""
NARROW = "--rule, --sender, --recipient, --subject and --since narrow the list"


def waiting(
    id_: Id = "",
    *,
    rule: Rule = "",
    sender: Sender = "",
    recipient: Recipient = "",
    subject: Subject = "",
    since: Since = "",
    limit: Limit = None,
    as_json: context.Json = False,
) -> None:
    """List what is waiting for a person, newest first.

    Decisions of the same rules, with the same actions and the same reason to wait, are one group. A group shows how
    many there are, how long the oldest has waited, when the first lapses, the commonest domains of the senders, and a
    few recipients and subjects. Open it with its id; approve or refuse it with its id, and what comes later is not
    covered. With options, approve takes the same ones. --json lists every entry.

    Example: worker waiting --sender example.net, then worker approve ID --sender example.net
    """
    settings = context.read_settings()
    selection = Selection(id_, make_filter(rule, sender, recipient, subject), parse_since(since))
    if as_json:
        entries = context.wait(_list_entries(settings, selection, limit or EVERYTHING))
        names = {_key(same[0]): _name(same) for same in split_decisions(entries)}
        output.print_json([_describe_entry(entry) | {"decide": names[_key(entry)]} for entry in entries])
    elif id_:
        entries = context.wait(_list_entries(settings, selection, EVERYTHING))
        print_decisions(entries, limit or DECISIONS, settings.lapse)
    else:
        found = context.wait(_find_groups(settings, selection, limit or GROUPS))
        if any(each.groups for each in found):
            _print_groups(found, limit or GROUPS, settings.lapse)
        else:
            typer.echo(context.wait(_explain_none(settings, selection)))


async def _explain_none(settings: "Settings", selection: Selection) -> str:
    """Say that nothing waits; of a list that was narrowed, how much waits besides."""
    if not selection.subject:
        return NOTHING
    found = await _find_groups(settings, Selection("", make_filter("", "", "", "")), 1)
    others = wording.count(sum(each.decisions for each in found), "decision")
    return f"nothing is waiting for {output.format_cell(selection.name)}; in all, {others} waiting for a person"


async def _find_groups(settings: "Settings", selection: Selection, limit: int) -> "list[WaitingSummary]":
    async with context.read_ledger(settings) as (ledger, accounts):
        return [await ledger.find_waiting(selection.ask(account), limit) for account in accounts]


async def _list_entries(settings: "Settings", selection: Selection, limit: int) -> "Sequence[Entry]":
    async with context.read_ledger(settings) as (ledger, accounts):
        if selection.id:
            chosen = [await find_chosen(ledger, account, selection) for account in accounts]
            if not any(chosen):
                raise await explain_end(ledger, accounts, selection)
            return [entry for each in chosen for entry in each][: limit if limit > 0 else None]
        asked = [await ledger.list_waiting(selection.ask(account), limit) for account in accounts]
    return [entry for each in asked for entry in each]


def _print_groups(found: "Sequence[WaitingSummary]", limit: int, lapse: float) -> None:
    """Print how much waits, and the groups with the newest decisions of all accounts."""
    groups = [group for each in found for group in each.newest_groups]
    groups.sort(key=lambda group: group.examples[0].waits_since, reverse=True)
    decisions, number = sum(each.decisions for each in found), sum(each.groups for each in found)
    oldest = _describe_wait(min(each.oldest for each in found if each.decisions))
    typer.echo(
        f"{wording.count(decisions, 'decision')} in {wording.count(number, 'group')} waiting for a person; "
        f"the oldest for {oldest}\n"
    )
    rows = [_describe_group(group, lapse) for group in groups[:limit]]
    output.print_rows(rows, COLUMNS, as_json=False, empty="")
    if number > limit:
        typer.echo(f"\n{wording.count(number - limit, 'more group')}: --limit {number} lists all; {NARROW}")


def _describe_group(group: "WaitingGroup", lapse: float) -> output.Row:
    newest = [entry for entry in group.examples if _key(entry) == _key(group.examples[0])]
    if group.decisions == 1:
        return _describe_decision(newest, lapse)
    noun = wording.find_nouns(newest[0].cause)
    return {
        "id": [
            f"{_name(newest)}+{group.decisions - 1}",
            wording.count(group.decisions, *noun),
            *_describe_times(newest[0], group.oldest, lapse),
        ],
        "what": [
            *_describe_actions(newest, whole=False),
            *([LIKEWISE] if len({entry.said for entry in group.examples}) > 1 else []),
            _describe_senders(group),
            _list_some("to", [name for entry in group.examples for name in entry.recipients]),
            _list_some("about", [entry.subject for entry in group.examples], most=1),
        ],
    }


def _name(same: "Sequence[Entry]") -> str:
    """Return what a person types for a decision: it says what they were shown."""
    from worker.ledger.waiting import name_decision

    return name_decision(same[0], same)


def print_decisions(entries: "Iterable[Entry]", limit: int, lapse: float, more: str = "--limit lists more") -> None:
    """Print decisions one by one, the newest first, and how many there are beyond a limit."""
    decisions = split_decisions(entries)
    rows = [_describe_decision(same, lapse) for same in decisions[:limit]]
    output.print_rows(rows, COLUMNS, as_json=False, empty=NOTHING)
    if len(decisions) > limit:
        typer.echo(f"\n{len(decisions) - limit:,} more of {len(decisions):,}: {more}")


def split_decisions(entries: "Iterable[Entry]") -> "list[list[Entry]]":
    """Split entries into decisions about one event each, which are counted as one."""
    together: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        together[_key(entry)].append(entry)
    return [sorted(same, key=attrgetter("id")) for same in together.values()]


def _key(entry: "Entry") -> tuple[str, ...]:
    return entry.account, entry.item, entry.cause


def _describe_decision(same: "Sequence[Entry]", lapse: float) -> output.Row:
    """Describe what waits of a decision because of one event."""
    first = same[0]
    return {
        "id": [_name(same), wording.count_events([first.cause]), *_describe_times(first, first.waits_since, lapse)],
        "what": [
            *_describe_actions(same, whole=True),
            *filter(None, [first.because, f"from {first.sender}" if first.sender else ""]),
            _list_some("to", first.recipients),
            first.subject,
        ],
    }


def _describe_actions(same: "Sequence[Entry]", *, whole: bool) -> list[str]:
    """Say which rules want what, and why it waits; what differs from mail to mail only where it is told whole."""
    first = same[0]
    tell = wording.describe_action if whole else wording.summarise_action
    told = ", ".join(dict.fromkeys(tell(entry.action) for entry in same))
    why = f"{first.approved_by} approved it, and it has its turn later" if first.approved_by else first.said
    by = f" by {', '.join(first.rules)}" if first.rules else ""  # what nobody could read, no rule has asked for
    return [told + by, why]


def _describe_times(entry: "Entry", oldest: float, lapse: float) -> list[str]:
    """Say for how long the oldest has waited, and when that lapses; what is approved does not."""
    left = max(0.0, oldest + lapse - time.time())
    times = [f"waiting for {_describe_wait(oldest)}", f"lapses in {wording.format_duration(left)}"]
    return times[:1] if entry.approved_by else times


def _describe_wait(since: float) -> str:
    return wording.format_duration(max(0.0, time.time() - since))


def _describe_senders(group: "WaitingGroup") -> str:
    """Say how many senders there are, and of which domains most."""
    told = ", ".join(f"{name} {number:,}" for name, number in group.domains if name)
    return f"from {wording.count(group.senders, 'sender')}: {told}" if told else ""


def _list_some(what: str, names: "Sequence[str]", most: int = 2) -> str:
    """Name a few of them, and say when there are more."""
    different = list(dict.fromkeys(filter(None, names)))
    more = " …" if len(different) > most else ""
    return f"{what} {'; '.join(different[:most])}{more}" if different else ""


def _describe_entry(entry: "Entry") -> dict[str, object]:
    """Describe an entry for programs, with its action as records have it."""
    from worker.ledger.records import about

    told = about(entry)
    return {
        **{name: told[name] for name in ("action", "target", "item")},
        "id": entry.id,
        "account": entry.account,
        "rule": entry.rules,
        "sender": entry.sender,
        "recipients": entry.recipients,
        "subject": entry.subject,
        "why": entry.said,
        "why_code": entry.why,
        "because": entry.because,
        "for": round(max(0.0, time.time() - entry.waits_since), 1),
    }
