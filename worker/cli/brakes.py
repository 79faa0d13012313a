"""Stopping all acting, or that of a rule or a lane, and letting it go on."""

import time
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import context, output
from worker.errors import RuleError, SettingsError
from worker.language.actions import LISTS

if TYPE_CHECKING:
    from worker.settings import Settings

Rule = Annotated[str, typer.Option("--rule", metavar="NAME", help="Everything of this rule.")]
BRAKES = ("account", "rule", "lane", "who", "because", "since")
LANES = ("placement", "verdict", *LISTS, "notice")


def brake(
    turn: Annotated[str, typer.Argument(metavar="[on|off]", help="Without it, the brakes that are on.")] = "",
    *,
    rule: Rule = "",
    lane: Annotated[str, typer.Option("--lane", help=f"One kind of effect: {', '.join(LANES)}.")] = "",
    because: context.Because = "",
    who: context.As = "",
    as_json: context.Json = False,
) -> None:
    """Stop all acting, or that of one rule or lane, at once.

    Reading and judging go on, and nothing is forgotten. A lane that fails twenty times in a row for one reason is
    braked by the worker itself; `worker brake off --lane NAME` lets it go on. Taking off a brake that is not on ends
    with 1 and names those that are.

    Example: worker brake on --because "wrong mails are moved"
    """
    settings = context.read_settings()
    if turn not in {"", "on", "off"}:
        raise SettingsError(f"a brake is on or off, not {turn!r}")
    if lane and (rule or lane not in LANES):
        meant = "".join(f"; did you mean {near}?" for near in get_close_matches(lane, LANES, n=1) if near != lane)
        raise SettingsError(f"--lane takes one of {', '.join(LANES)}, and no --rule beside it{meant}")
    if turn:
        subject = f"lane:{lane}" if lane else f"rule:{rule}" if rule else ""
        context.wait(_brake(settings, "brake" if turn == "on" else "unbrake", subject, context.Person(who, because)))
    else:
        output.print_rows(context.wait(_brakes(settings)), BRAKES, as_json=as_json, empty="no brake is on")


async def _brakes(settings: "Settings") -> list[output.Row]:
    """Gather the brakes that are on."""
    rows = []
    async with context.open_ledger(settings) as (ledger, accounts):
        for account in accounts:
            rows += [brake_row(account, each) for each in await ledger.brakes(account)]
    return rows


def brake_row(account: str, brake: Any) -> output.Row:  # noqa: ANN401 (a Brake; its module is imported late)
    """Describe a brake that is on."""
    since = output.to_datetime(brake.at)
    return {
        "account": account,
        "rule": brake.rule or "all",
        "lane": brake.lane or "all",
        "who": brake.who,
        "because": brake.because,
        "since": since,
    }


async def _brake(settings: "Settings", verb: str, subject: str, person: "context.Person") -> None:
    """Order a brake for every account, or take one off where it is on."""
    if verb == "brake" and subject.startswith("rule:"):
        await _known(settings, subject.removeprefix("rule:"))
    async with context.open_ledger(settings) as (ledger, accounts):
        on = {account: await ledger.braked(account) for account in accounts}
        others = sorted(frozenset[str]().union(*on.values()) - {subject})
        meant = [account for account in accounts if verb == "brake" or subject in on[account]]
        if verb == "unbrake" and not meant:
            rest = f"on: {_how_off(others)}" if others else "no brake is on"
            typer.echo(f"worker: there is no brake on {_braked(subject)} to take off; {rest}", err=True)
            raise typer.Exit(context.FOUND)
        for account in meant:
            await ledger.order(account, verb, subject, person.name, person.because, time.time())
    typer.echo(context.ORDERED)
    if verb == "unbrake" and others:
        typer.echo(f"still on: {_how_off(others)}")


def _braked(subject: str) -> str:
    """Say what a brake is on."""
    return output.format_cell(" ".join(subject.partition(":")[::2])) if subject else "everything"


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
