"""What people ask of the ledger, and order: gaps, waiting, approve, refuse, brake."""

import getpass
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from worker.cli import context, output
from worker.errors import RuleError, SettingsError
from worker.language.actions import LISTS

if TYPE_CHECKING:
    from worker.ledger.entries import Entry
    from worker.ledger.values import Coverage
    from worker.settings import Settings

Id = Annotated[str, typer.Argument(metavar="[ID]", help="The id that `worker waiting` shows.")]
Rule = Annotated[str, typer.Option("--rule", metavar="NAME", help="Everything of this rule.")]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why, for the audit record.")]
As = Annotated[str, typer.Option("--as", metavar="NAME", help="Who decides; your user name without it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first, also where several are decided.")]
WAITING = ("id", "about", "rule", "what", "for")
BRAKES = ("account", "rule", "lane", "who", "because", "since")
LANES = ("placement", "verdict", *LISTS, "notice")
GAPS = ("account", "source", "start", "end", "length", "why")
ORDERED = "ordered; a running worker takes it up within a second, another one when it starts"
EVERYTHING_WAITING = 100_000


class Person(NamedTuple):
    """Who decides, and why."""

    who: str
    because: str

    @property
    def name(self) -> str:
        """The name for the record."""
        return self.who or getpass.getuser()


def gaps(*, as_json: context.Json = False) -> None:
    """List every stretch of time that is not read yet.

    Nothing listed is the proof that nothing was missed up to the times that are named then; ends with 1 when there is
    something.

    Example: worker gaps
    """
    settings = context.settings()
    found = context.wait(_gaps(settings))
    output.listing(found, GAPS, as_json=as_json, empty=f"no gap is open: {context.wait(_read(settings))}")
    context.found(found)


def waiting(*, as_json: context.Json = False) -> None:
    """List the decisions that wait for a person.

    What is decided together is listed once, by its first entry: what is wanted, why it waits, the rule's reason, the
    sender and the subject. --json gives every entry; those of the same item are decided together.

    Example: worker waiting, then worker approve ID or worker refuse ID
    """
    entries = context.wait(_waiting(context.settings()))
    rows = [_waiting_row(entry) for entry in entries] if as_json else _decisions(entries)
    output.listing(rows, WAITING, as_json=as_json, empty="nothing waits for a person")


def approve(id_: Id = "", *, rule: Rule = "", because: Because = "", who: As = "", yes: Yes = False) -> None:
    """Let something that waits be carried out.

    Whatever belongs to the same decision goes with it; on a terminal you are asked first when that is more than one.

    Example: worker approve 06HX2K4M9Q0000000000000001 --because "seen it, is phishing"
    """
    context.wait(_decide(context.settings(), "approve", id_, rule, Person(who, because), yes=yes))


def refuse(id_: Id = "", *, rule: Rule = "", because: Because = "", who: As = "", yes: Yes = False) -> None:
    """Refuse something that waits.

    Whatever belongs to the same decision goes with it; on a terminal you are asked first when that is more than one.

    Example: worker refuse --rule executive_lookalike --because "a newsletter"
    """
    context.wait(_decide(context.settings(), "refuse", id_, rule, Person(who, because), yes=yes))


def brake(
    turn: Annotated[str, typer.Argument(metavar="[on|off]", help="Without it, the brakes that are on.")] = "",
    *,
    rule: Rule = "",
    lane: Annotated[str, typer.Option("--lane", help=f"One kind of effect: {', '.join(LANES)}.")] = "",
    because: Because = "",
    who: As = "",
    as_json: context.Json = False,
) -> None:
    """Stop all acting, or that of one rule or lane, at once.

    Reading and judging go on, and nothing is forgotten. A lane that fails twenty times in a row for one reason is
    braked by the worker itself; `worker brake off --lane NAME` lets it go on. Taking off a brake that is not on ends
    with 1 and names those that are.

    Example: worker brake on --because "wrong mails are moved"
    """
    settings = context.settings()
    if turn not in {"", "on", "off"}:
        raise SettingsError(f"a brake is on or off, not {turn!r}")
    if lane and (rule or lane not in LANES):
        meant = "".join(f"; did you mean {near}?" for near in get_close_matches(lane, LANES, n=1) if near != lane)
        raise SettingsError(f"--lane takes one of {', '.join(LANES)}, and no --rule beside it{meant}")
    if turn:
        subject = f"lane:{lane}" if lane else f"rule:{rule}" if rule else ""
        context.wait(_brake(settings, "brake" if turn == "on" else "unbrake", subject, Person(who, because)))
    else:
        output.listing(context.wait(_brakes(settings)), BRAKES, as_json=as_json, empty="no brake is on")


async def _gaps(settings: "Settings") -> list[output.Row]:
    """Gather the gaps of all sources."""
    from worker.intake.sources import SOURCES, Messages

    found: list[output.Row] = []
    async with context.ledger(settings) as (ledger, accounts):
        for account in accounts:
            for source in SOURCES:
                late = 3 * settings.poll_every * source.pace + settings.request_timeout
                coverage = await ledger.coverage(account, source.name)
                missing = "ready" if source is Messages else "a rule about it"
                why = f"nothing was read since: is the worker running, and {missing}?"
                found += [{"account": account, "source": source.name, **gap} for gap in _missing(coverage, late, why)]
    return found


def _missing(coverage: "Coverage", late: float, behind: str) -> Iterator[dict[str, Any]]:
    """Yield each stretch that is not read: the gaps, and what lies after the head once that is late, and why then."""
    from worker.intake.coverage import gaps as missing
    from worker.intake.coverage import horizon

    end = horizon(coverage)
    for start, stop in missing(coverage.closed, coverage.since, end):
        why = [slice_.why for slice_ in coverage.open if slice_.start < stop and slice_.end > start and slice_.why]
        yield _gap(start, stop, why[0] if why else "its turn has not come yet")
    if end and time.time() - end > late:
        yield _gap(end, time.time(), behind)


def _gap(start: float, end: float, why: str) -> dict[str, Any]:
    length = output.span(end - start)
    return {"start": output.moment(start), "end": output.moment(end), "length": length, "why": why}


async def _read(settings: "Settings") -> str:
    """Say up to when each source is read: of what came later nothing is known yet."""
    from worker.intake.coverage import reaches
    from worker.intake.sources import SOURCES, Messages

    said = []
    async with context.ledger(settings) as (ledger, accounts):
        for account in accounts:
            for source in SOURCES:
                until = reaches(await ledger.coverage(account, source.name))
                whose = f"{source.name} of {account}" if len(accounts) > 1 else source.name
                if until or source is Messages:  # the others are read only while a rule is about them
                    said.append(f"{whose} are {_read_until(until)}")
    return ", ".join(said) or "nothing is read yet"


def _read_until(until: float) -> str:
    """Say up to when something is read, and how long ago that was."""
    at = output.moment(until)
    ago = max(0, round(time.time() - until))
    return f"read up to {at:%H:%M:%SZ} ({output.span(ago)} ago)" if at else "not read yet"


async def _waiting(settings: "Settings") -> "list[Entry]":
    """Gather what waits."""
    found: list[Entry] = []
    async with context.ledger(settings) as (ledger, accounts):
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
        "for": output.span(_waited(first)),
    }


def _events(same: "Iterable[Entry]") -> str:
    """Count the events that entries are about, by their kind: each cause names its time, kind, id and sight."""
    events = {entry.cause.rpartition("/")[0].partition("/")[2] for entry in same}
    counts = Counter(event.partition("/")[0] for event in events)
    return ", ".join(output.counted(n, "mail" if kind == "Message" else kind.lower()) for kind, n in counts.items())


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
        return f"for {output.span(value.total_seconds())}"
    return name if value is True else str(value)


async def _decide(settings: "Settings", verb: str, id_: str, rule: str, person: "Person", *, yes: bool) -> None:
    """Order that what waits be approved or refused."""
    if bool(id_) == bool(rule):
        raise SettingsError(f"say what to {verb}: either an id that `worker waiting` shows, or --rule NAME")
    subjects: dict[str, str] = {}
    count = 0
    async with context.ledger(settings) as (ledger, accounts):
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
    typer.echo(f"{wanted}: {ORDERED}")


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


async def _brakes(settings: "Settings") -> list[output.Row]:
    """Gather the brakes that are on."""
    rows = []
    async with context.ledger(settings) as (ledger, accounts):
        for account in accounts:
            rows += [brake_row(account, each) for each in await ledger.brakes(account)]
    return rows


def brake_row(account: str, brake: Any) -> output.Row:  # noqa: ANN401 (a Brake; its module is imported late)
    """Describe a brake that is on."""
    since = output.moment(brake.at)
    return {
        "account": account,
        "rule": brake.rule or "all",
        "lane": brake.lane or "all",
        "who": brake.who,
        "because": brake.because,
        "since": since,
    }


async def _brake(settings: "Settings", verb: str, subject: str, person: "Person") -> None:
    """Order a brake for every account, or take one off where it is on."""
    if verb == "brake" and subject.startswith("rule:"):
        await _known(settings, subject.removeprefix("rule:"))
    async with context.ledger(settings) as (ledger, accounts):
        on = {account: await ledger.braked(account) for account in accounts}
        others = sorted(frozenset[str]().union(*on.values()) - {subject})
        meant = [account for account in accounts if verb == "brake" or subject in on[account]]
        if verb == "unbrake" and not meant:
            rest = f"on: {_how_off(others)}" if others else "no brake is on"
            typer.echo(f"worker: there is no brake on {_braked(subject)} to take off; {rest}", err=True)
            raise typer.Exit(context.FOUND)
        for account in meant:
            await ledger.order(account, verb, subject, person.name, person.because, time.time())
    typer.echo(ORDERED)
    if verb == "unbrake" and others:
        typer.echo(f"still on: {_how_off(others)}")


def _braked(subject: str) -> str:
    """Say what a brake is on."""
    return output.cell(" ".join(subject.partition(":")[::2])) if subject else "everything"


def _how_off(subjects: Iterable[str]) -> str:
    """Name brakes, and how each is taken off."""
    ways = {
        subject: f"worker brake off --{_braked(subject)}" if subject else "worker brake off" for subject in subjects
    }
    return ", ".join(f"{_braked(subject)} ({way})" for subject, way in ways.items())


async def _known(settings: "Settings", rule: str) -> None:
    """Refuse a brake for a rule that does not exist: it would look like one and hold nothing."""
    from worker.rulehost.host import Host

    try:
        async with Host(settings.rules) as host:
            names = [each.name for each in host.bundle.rules]
    except RuleError:
        return  # files that cannot be loaded must not keep anybody from braking
    if rule not in names:
        near = get_close_matches(rule, names, n=1)
        raise SettingsError(
            f"there is no rule {rule!r}"
            + (f"; did you mean {near[0]}?" if near else ": `worker rules` lists those there are")
        )
