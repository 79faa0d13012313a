"""`worker show`: the life of one mail on one screen."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context, output
from worker.cli.filters import Since, Subject, parse_since
from worker.cli.layout import print_card
from worker.errors import SettingsError
from worker.escaping import refang
from worker.wording import count, name_state

if TYPE_CHECKING:
    from worker.cli.life import FoundMail, PersonsAct, ShownEntry, ShownLife, ShownSight, SpokenAnswer
    from worker.cli.live import LiveAnswer, LiveMail
    from worker.ledger.lives import MailSearch
    from worker.ledger.unreadable import OpenRecord
    from worker.settings import Settings

LISTED = ("scanned", "id", "sender", "recipients", "subject")
MOST_LISTED = 50
MOST_LINES = 12
"""Lines of one section: the rest is in --json."""
NAMED = ("type", "destination", "expected_disposition", "pattern", "channel")
"""What of an action is told."""
RESULTS = {
    "wanted": "wants something, see entries",
    "kept": "wants it left alone",
    "outranked": "outranked by {by}",
    "disputed": "disputed by a rule of equal priority",
    "held": "held for {needs}",
    "failed": "failed: {problem}",
    "unreadable": "no rule was asked: the record cannot be read any more",
    "not_judged": "no rule was asked: the worker itself made this change",
}
LOWERED = {"ceiling": "lowered by WORKER_CEILING", "stops": "only observes, because it stopped its process too often"}
SILENT = {
    "off": "is off",
    "other_trigger": "is about {trigger}",
    "other_verdict": "does not hear {verdict}",
    "returned_nothing": "returned nothing",
}


def show(
    message: Annotated[
        str,
        typer.Argument(metavar="MESSAGE", help="Its id, the beginning of it up to a dash, or its Message-ID."),
    ] = "",
    *,
    sender: Annotated[
        str, typer.Option("--sender", metavar="ADDRESS", help="Only mail from this very address, no domain.")
    ] = "",
    recipient: Annotated[
        str, typer.Option("--recipient", metavar="ADDRESS", help="Only mail to this very address, no domain.")
    ] = "",
    subject: Subject = "",
    since: Since = "7d",
    live: Annotated[
        bool,
        typer.Option("--live", help="Also ask the API, and say first how many requests that costs."),
    ] = False,
    as_json: context.Json = False,
) -> None:
    """Show the life of a mail: when it was seen, what each rule said and why the others did not, and what was done.

    Use it when somebody asks what happened to a mail, or why nothing did. It reads the ledger alone, whether or not a
    worker is running. Of several mails it lists the newest; show one of them by its id, for which --since does not
    count. Mail that no rule hears is known by its whole id alone: --live asks the API for it. Ends with 1 if nothing is
    found.

    Example: worker show --recipient ada@corp.example --subject invoice
    """
    settings, search = context.read_settings(), _make_search(message, sender, recipient, subject, since)
    found, lives = context.wait(_read(settings, search))
    answer = _ask(settings, search, found) if live else None
    if answer and not found and len(answer.found) == 1:  # the ledger knows mail that no rule hears by its id alone
        found, lives = context.wait(_read(settings, _make_search(answer.found[0].id, "", "", "", since)))
    if as_json:
        output.print_json({"found": found, "mail": lives[0] if lives else None, "live": answer})
    elif lives:
        _print_life(lives[0])
    elif found:
        _print_list(found)
    if answer and not as_json:
        _print_live(answer)
    if not found and not (answer and answer.found):
        records = context.wait(_list_unreadable(settings))
        typer.echo(_explain_unreadable(search, records) or _explain_nothing(search, len(records), asked=live), err=True)
        raise typer.Exit(context.FOUND)


def _ask(settings: "Settings", search: "MailSearch", found: "list[FoundMail]") -> "LiveAnswer":
    """Say what asking the API costs, and ask."""
    from worker.cli import live

    known = found[0] if len(found) == 1 else None
    typer.echo(live.describe_cost(1 if known else len(settings.accounts())), err=True)
    return context.wait(live.ask(settings, search, known, time.time()))


def _make_search(message: str, sender: str, recipient: str, subject: str, since: str) -> "MailSearch":
    from worker.ledger.lives import MailSearch
    from worker.observations import has_scan_time, read_scan_time

    if not any((message.strip(), sender.strip(), recipient.strip(), subject.strip())):
        raise SettingsError("say which mail: give an id, --sender, --recipient or --subject")
    whole = message.strip()
    return MailSearch(
        id=message,
        sender=refang(sender),
        recipient=refang(recipient),
        subject=subject,
        since=parse_since(since),
        limit=MOST_LISTED + 1,
        scanned_at=read_scan_time(whole) if has_scan_time(whole) else 0.0,
    )


async def _read(settings: "Settings", search: "MailSearch") -> "tuple[list[FoundMail], list[ShownLife]]":
    """Find mail in all accounts, an id in all that is known, and read the life of the only one."""
    from worker.cli.life import describe_life, describe_mail

    search = search._replace(since=0.0) if search.id.strip() else search
    async with context.read_ledger(settings) as (ledger, accounts):
        found = [mail for account in accounts for mail in await ledger.find_mails(account, search)]
        lives = [describe_life(await ledger.read_life(found[0]))] if len(found) == 1 else []
    newest = sorted(found, key=lambda mail: mail.time, reverse=True)
    return [describe_mail(mail) for mail in newest], lives


async def _list_unreadable(settings: "Settings") -> "list[OpenRecord]":
    """Return the records that nobody could read, which may be of the very mail that was not found."""
    async with context.read_ledger(settings) as (ledger, accounts):
        found = [record for account in accounts for record in await ledger.list_open_records(account)]
        return [record for record in found if not record.is_half_heard and record.source == "messages"]


def _explain_unreadable(search: "MailSearch", records: "list[OpenRecord]") -> str:
    """Say where to look for a mail of which the record cannot be read; nothing if none has its id."""
    name = search.id.strip().lower()
    gaps = [one.gap for one in records if name and name in {one.id.lower(), one.id.lower().partition("-")[0]}]
    told = "worker: the record of that mail cannot be read, so no rule has judged it: see worker gaps"
    return f"{told} {gaps[0]}" if gaps else ""


def _explain_domain(search: "MailSearch") -> str:
    """Say what takes a domain, where one was given; nothing otherwise."""
    given = {"--sender": search.sender, "--recipient": search.recipient}
    option = next((option for option, name in given.items() if name and "@" not in name), "")
    if not option:
        return ""
    return f"; {option} takes a whole address here, and a domain in worker waiting and worker audit query"


def _explain_nothing(search: "MailSearch", unreadable: int, *, asked: bool) -> str:
    since = f", scanned since {output.format_cell(output.to_datetime(search.since))} UTC" if search.since else ""
    where = "of that name" if search.id else f"like that{since}"
    further = "" if search.id else ", or look further back with --since"
    maybe = f"; {count(unreadable, 'record')} cannot be read and may be of it: see worker gaps" if unreadable else ""
    further += _explain_domain(search)
    if asked:
        return f"worker: neither the ledger nor the API knows a mail {where}: check the spelling{further}{maybe}"
    return (
        f"worker: the ledger knows no mail {where}: check the spelling{further}; --live asks the API, which also knows "
        f"mail that no rule hears{maybe}"
    )


def _print_list(found: "list[FoundMail]") -> None:
    rows = [
        (mail.scanned_at, mail.id, mail.sender, _name_recipients(mail), mail.subject) for mail in found[:MOST_LISTED]
    ]
    output.print_table(LISTED, rows)
    more = f"; there are more than {MOST_LISTED}" if len(found) > MOST_LISTED else ""
    typer.echo(f"{count(len(rows), 'mail')}, newest first{more}. Show one: worker show ID")


def _name_recipients(mail: "FoundMail") -> str:
    """Name the first recipients, and count the others."""
    others = len(mail.recipients) - 3 + mail.more_recipients
    named = ", ".join(map(output.format_cell, mail.recipients[:3]))
    return f"{named} and {others:,} more" if others > 0 else named


def _print_life(life: "ShownLife") -> None:
    """Print a life as one card; a section without lines is left out."""
    sections = {
        "mail": [life.id, *_describe_names(life)],
        "seen": [_describe_sight(sight) for sight in life.sights],
        "spoke": [line for sight in life.sights for line in _describe_spoken(sight)],
        "silent": list(_describe_silent(life.sights)),
        "facts": [f"{one.rule} may use {', '.join(one.facts)}" for one in life.facts],
        "entries": [line for entry in life.entries for line in _describe_entry(entry)],
        "proof": [line for entry in life.entries for line in _describe_proof(entry)],
        "people": [f"{one.at[:19].replace('T', ' ')} {_describe_act(one)} {one.because}" for one in life.people],
    }
    told = {name: _bound(lines) for name, lines in sections.items() if lines}
    print_card(list(told), ["\n".join(lines) for lines in told.values()])
    typer.echo(f"In the dashboard, search in Investigation for {output.format_cell(life.postfix_id or life.id)}:")
    typer.echo(life.dashboard)  # a line of its own, so that no narrow terminal breaks it


def _print_live(answer: "LiveAnswer") -> None:
    """Print what the API shows: all about one mail, or a list."""
    if answer.mail is None and answer.found:
        _print_list(list(answer.found))
    if answer.mail is None:
        return
    mail = answer.mail
    sections = {
        "the API": [mail.id, *_describe_names(mail)],
        "now": [", ".join(_describe_state(mail))],
        "log": [
            f"{output.format_cell(line.completed_at)} {line.operation} {line.folder} {line.status} {line.requested_by}"
            for line in mail.log
        ],
    }
    told = {name: _bound(lines) for name, lines in sections.items() if lines}
    print_card(list(told), ["\n".join(lines) for lines in told.values()])


def _describe_state(mail: "LiveMail") -> Iterator[str]:
    """Yield verdict and places of a mail; the API may name the quarantine among its delivery statuses already."""
    yield from (mail.verdict, *mail.delivery_status)
    if mail.quarantined and "quarantined" not in mail.delivery_status:
        yield "in quarantine"


def _bound(lines: list[str]) -> list[str]:
    left = len(lines) - MOST_LINES
    kept = [output.format_line(line) for line in lines[:MOST_LINES]]
    return [*kept, f"… and {left} more, see --json"] if left > 0 else kept


def _describe_names(mail: "FoundMail") -> Iterator[str]:
    yield f"scanned {output.format_cell(mail.scanned_at)} UTC"
    named = {"from": mail.sender, "to": _name_recipients(mail), "subject": mail.subject, "Message-ID": mail.message_id}
    yield from (f"{name} {value}" for name, value in named.items() if value)


def _describe_sight(sight: "ShownSight") -> str:
    where = ", in quarantine" if sight.quarantined else ""
    unknown = "" if sight.rules_known or sight.spoke else "; which rules were asked is not on record"
    held = f"; held: {sight.held_for}" if sight.held_for else ""
    lacked = f"; judged without {', '.join(sight.judged_without)}" if sight.judged_without else ""
    seen = f" at {output.format_cell(sight.seen_at)}" if sight.seen_at else ""
    return f"{sight.number}. {sight.verdict}{seen}{where}{unknown}{lacked}{held}"


def _describe_spoken(sight: "ShownSight") -> Iterator[str]:
    for answer in sight.spoke:
        said = RESULTS[answer.result].format(
            by=", ".join(answer.by),
            needs=_name_needs(answer),
            problem=answer.problem or "the reason is no longer on record",
        )
        given_up = answer.result == "held" and not sight.held_for
        parts = (said, LOWERED.get(answer.lowered, ""), "given up" if given_up else "")
        yield f"{sight.number}. {answer.rule} {'; '.join(part for part in parts if part)}".replace("  ", " ")


def _name_needs(answer: "SpokenAnswer") -> str:
    waits = f"the answer of {', '.join(answer.by)}" if answer.by else ""
    return ", ".join(part for part in (*answer.needs, waits) if part)


def _describe_silent(sights: "tuple[ShownSight, ...]") -> Iterator[str]:
    """Yield why rules kept quiet about the last sight that was judged, those of one reason together."""
    last = next((sight for sight in reversed(sights) if sight.silent), None)
    reasons: dict[str, list[str]] = {}
    for one in last.silent if last else ():
        said = SILENT[one.why].format(trigger=one.trigger, verdict=last.verdict if last else "")
        reasons.setdefault(said, []).append(one.rule)
    yield from (f"{said}: {', '.join(names)}" for said, names in reasons.items())


def _describe_act(act: "PersonsAct") -> str:
    return f"{act.who} {act.verb} {act.entry}" if act.who else f"nobody decided in time, so {act.entry} {act.verb}"


def _describe_entry(entry: "ShownEntry") -> Iterator[str]:
    action = " ".join(
        str(entry.action[name]) for name in ("type", "destination", "pattern", "kind") if name in entry.action
    )
    yield f"{entry.id} {action}: {entry.review or name_state(entry.state)}, by {', '.join(entry.rules)}"
    yield f"  {entry.because}"
    if entry.said:
        yield f"  {entry.said}"


def _describe_proof(entry: "ShownEntry") -> Iterator[str]:
    if entry.proof and entry.settled_at:  # a look may also have shown that it has to be tried again
        yield f"{entry.id} {entry.proof} {output.format_cell(entry.settled_at)}"
    if entry.drifted_at:
        yield f"{entry.id} contradicted {output.format_cell(entry.drifted_at)}"
