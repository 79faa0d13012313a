"""What people ask of the ledger, and order: gaps, waiting, approve, refuse, brake."""

import getpass
import time
from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from worker.actions import LISTS
from worker.cli import edge, show
from worker.errors import RuleError, SettingsError

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.store.entry import Entry
    from worker.store.values import Coverage

Id = Annotated[str, typer.Argument(metavar="[ID]", help="The id that `worker waiting` shows.")]
Rule = Annotated[str, typer.Option("--rule", metavar="NAME", help="Everything of this rule.")]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why, for the audit record.")]
As = Annotated[str, typer.Option("--as", metavar="NAME", help="Who decides; your user name without it.")]
WAITING = ("id", "rule", "action", "sender", "because", "for")
BRAKES = ("account", "rule", "lane", "who", "because", "since")
LANES = ("placement", "verdict", *LISTS, "notice")
GAPS = ("account", "source", "start", "end", "length", "why")
ORDERED = "ordered; a running worker takes it up within a second, another one when it starts"


class Person(NamedTuple):
    """Who decides, and why."""

    who: str
    because: str

    @property
    def name(self) -> str:
        """The name for the record."""
        return self.who or getpass.getuser()


def gaps(*, as_json: edge.Json = False) -> None:
    """List every stretch of time that is not read yet.

    Nothing listed is the proof that nothing was missed; ends with 1 when there is something.

    Example: worker gaps
    """
    found = edge.wait(_gaps(edge.settings()))
    show.listing(found, GAPS, as_json=as_json, empty="no gap is open: all is read up to the last poll")
    edge.found(found)


def waiting(*, as_json: edge.Json = False) -> None:
    """List what waits for a person.

    Example: worker waiting, then worker approve ID or worker refuse ID
    """
    found = edge.wait(_waiting(edge.settings()))
    show.listing(found, WAITING, as_json=as_json, empty="nothing waits for a person")


def approve(id_: Id = "", *, rule: Rule = "", because: Because = "", who: As = "") -> None:
    """Let something that waits be carried out.

    Whatever belongs to the same decision goes with it.

    Example: worker approve 06HX2K4M9Q0000000000000001 --because "seen it, is phishing"
    """
    edge.wait(_decide(edge.settings(), "approve", id_, rule, Person(who, because)))


def refuse(id_: Id = "", *, rule: Rule = "", because: Because = "", who: As = "") -> None:
    """Refuse something that waits.

    Whatever belongs to the same decision goes with it.

    Example: worker refuse --rule executive_lookalike --because "a newsletter"
    """
    edge.wait(_decide(edge.settings(), "refuse", id_, rule, Person(who, because)))


def brake(
    turn: Annotated[str, typer.Argument(metavar="[on|off]", help="Without it, the brakes that are on.")] = "",
    *,
    rule: Rule = "",
    lane: Annotated[str, typer.Option("--lane", help=f"One kind of effect: {', '.join(LANES)}.")] = "",
    because: Because = "",
    who: As = "",
    as_json: edge.Json = False,
) -> None:
    """Stop all acting, or that of one rule or lane, at once.

    Reading and judging go on, and nothing is forgotten. A lane that fails twenty times in a row for one reason is
    braked by the worker itself; `worker brake off --lane NAME` lets it go on.

    Example: worker brake on --because "wrong mails are moved"
    """
    settings = edge.settings()
    if turn not in {"", "on", "off"}:
        raise SettingsError(f"a brake is on or off, not {turn!r}")
    if lane and (rule or lane not in LANES):
        raise SettingsError(f"--lane takes one of {', '.join(LANES)}, and no --rule beside it")
    if turn:
        subject = f"lane:{lane}" if lane else f"rule:{rule}" if rule else ""
        edge.wait(_brake(settings, "brake" if turn == "on" else "unbrake", subject, Person(who, because)))
    else:
        show.listing(edge.wait(_brakes(settings)), BRAKES, as_json=as_json, empty="no brake is on")


async def _gaps(settings: "Settings") -> list[show.Row]:
    """Gather the gaps of all sources."""
    from worker.sources import SOURCES, Messages

    found: list[show.Row] = []
    async with edge.ledger(settings) as (ledger, accounts):
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
    from worker.coverage import gaps as missing
    from worker.coverage import horizon

    end = horizon(coverage)
    for start, stop in missing(coverage.closed, coverage.since, end):
        why = [slice_.why for slice_ in coverage.open if slice_.start < stop and slice_.end > start and slice_.why]
        yield _gap(start, stop, why[0] if why else "its turn has not come yet")
    if end and time.time() - end > late:
        yield _gap(end, time.time(), behind)


def _gap(start: float, end: float, why: str) -> dict[str, Any]:
    length = show.span(end - start)
    return {"start": show.moment(start), "end": show.moment(end), "length": length, "why": why}


async def _waiting(settings: "Settings") -> list[show.Row]:
    """Gather what waits."""
    rows = []
    async with edge.ledger(settings) as (ledger, accounts):
        for account in accounts:
            rows += [_waiting_row(entry) for entry in await ledger.entries(account, states=("waiting",))]
    return rows


def _waiting_row(entry: "Entry") -> show.Row:
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
        "for": show.span(max(0.0, time.time() - entry.created_at)),
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
        return f"for {show.span(value.total_seconds())}"
    return name if value is True else str(value)


async def _decide(settings: "Settings", verb: str, id_: str, rule: str, person: "Person") -> None:
    """Order that what waits be approved or refused."""
    if bool(id_) == bool(rule):
        raise SettingsError(f"say what to {verb}: either an id that `worker waiting` shows, or --rule NAME")
    count = 0
    async with edge.ledger(settings) as (ledger, accounts):
        for account in accounts:
            entries = await ledger.entries(account, states=("waiting",), limit=100_000)
            items = {entry.item for entry in entries if id_ in {entry.id, entry.item}}
            meant = [entry for entry in entries if entry.item in items or rule in entry.rules]
            if meant:
                (subject,) = items or {f"rule:{rule}"}
                await ledger.order(account, verb, subject, person.name, person.because, time.time())
                count += len(meant)
    if not count:
        raise SettingsError(f"nothing of {id_ or rule!r} waits: `worker waiting` lists what does")
    typer.echo(f"{verb} {_all_of(rule, count)}: {ORDERED}")


def _all_of(rule: str, count: int) -> str:
    """Say how much an order is about, and why so much."""
    if rule:
        return f"all that waits of {rule!r}, {count} in number"
    return f"it and {count - 1} more of the same decision" if count > 1 else "it"


async def _brakes(settings: "Settings") -> list[show.Row]:
    """Gather the brakes that are on."""
    rows = []
    async with edge.ledger(settings) as (ledger, accounts):
        for account in accounts:
            rows += [brake_row(account, each) for each in await ledger.brakes(account)]
    return rows


def brake_row(account: str, brake: Any) -> show.Row:  # noqa: ANN401 (a Brake; its module is imported late)
    """Describe a brake that is on."""
    since = show.moment(brake.at)
    return {
        "account": account,
        "rule": brake.rule or "all",
        "lane": brake.lane or "all",
        "who": brake.who,
        "because": brake.because,
        "since": since,
    }


async def _brake(settings: "Settings", verb: str, subject: str, person: "Person") -> None:
    """Order a brake for every account."""
    if subject.startswith("rule:"):
        await _known(settings, subject.removeprefix("rule:"))
    async with edge.ledger(settings) as (ledger, accounts):
        for account in accounts:
            await ledger.order(account, verb, subject, person.name, person.because, time.time())
    typer.echo(ORDERED)


async def _known(settings: "Settings", rule: str) -> None:
    """Refuse a brake for a rule that does not exist: it would look like one and hold nothing."""
    from worker.host import Host

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
