"""`worker brake`: stop all actions, or those of a rule or a lane, and let them go on."""

import time
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context, output
from worker.errors import RuleError, SettingsError
from worker.language.actions import LANES

if TYPE_CHECKING:
    from worker.ledger.entries import Brake
    from worker.settings import Settings

Rule = Annotated[str, typer.Option("--rule", metavar="NAME", help="Only the actions of this rule.")]
BRAKES = ("account", "rule", "lane", "who", "because", "since")


def brake(
    turn: Annotated[
        str, typer.Argument(metavar="on|off", help="Put the brake on, or release it. Default: list the brakes.")
    ] = "",
    *,
    rule: Rule = "",
    lane: Annotated[
        str, typer.Option("--lane", metavar="LANE", help=f"Only one kind of action: {', '.join(LANES)}.")
    ] = "",
    because: context.Because = "",
    who: context.As = "",
    as_json: context.Json = False,
) -> None:
    """Stop all actions at once, or those of one rule or lane.

    Use it when the worker does the wrong thing. Reading and judging go on and nothing is lost: actions stay ready until
    the brake is released with the same option. Releasing a brake that is not on ends with 1 and lists the
    brakes that are.

    Example: worker brake on --because "wrong mails are moved"
    """
    settings = context.read_settings()
    if turn not in {"", "on", "off"}:
        raise SettingsError(f"write `worker brake on` or `worker brake off`, not {turn!r}")
    _check_lane(lane, rule)
    subject = f"lane:{lane}" if lane else f"rule:{rule}" if rule else ""
    if turn == "on":
        context.wait(_put_on(settings, subject, context.find_person(settings, who, because)))
    elif turn == "off":
        person = context.find_person(settings, who, because)
        context.require_name(person, "brake off")
        context.wait(_release(settings, subject, person))
    else:
        output.print_rows(context.wait(_list_brakes(settings)), BRAKES, as_json=as_json, empty="no brake is on")


def _check_lane(lane: str, rule: str) -> None:
    if lane and (rule or lane not in LANES):
        meant = "".join(f"; did you mean {near}?" for near in get_close_matches(lane, LANES, n=1) if near != lane)
        raise SettingsError(f"--lane takes one of {', '.join(LANES)}, and cannot be combined with --rule{meant}")


async def _list_brakes(settings: "Settings") -> list[output.Row]:
    async with context.read_ledger(settings) as (ledger, accounts):
        return [describe_brake(account, each) for account in accounts for each in await ledger.brakes(account)]


def describe_brake(account: str, brake: "Brake") -> output.Row:
    """Describe a brake that is on."""
    return {
        "account": account,
        "rule": brake.rule or "all",
        "lane": brake.lane or "all",
        "who": brake.who,
        "because": brake.because,
        "since": output.to_datetime(brake.at),
    }


async def _put_on(settings: "Settings", subject: str, person: context.Person) -> None:
    if subject.startswith("rule:"):
        await _check_rule(settings, subject.removeprefix("rule:"))
    async with context.open_ledger(settings) as (ledger, accounts):
        for account in accounts:
            await ledger.order(account, "brake", subject, person.who, person.because, time.time())
    typer.echo(f"Brake on {_describe(subject)}. {person.describe_order()}")


async def _release(settings: "Settings", subject: str, person: context.Person) -> None:
    """Order the release of the brake wherever it is on, and list the brakes that stay on."""
    async with context.open_ledger(settings) as (ledger, accounts):
        on = {account: await ledger.list_braked(account) for account in accounts}
        meant = [account for account in accounts if subject in on[account]]
        for account in meant:
            await ledger.order(account, "unbrake", subject, person.who, person.because, time.time())
    others = sorted(frozenset[str]().union(*on.values()) - {subject})
    if not meant:
        rest = f"brakes that are on: {explain_release(others)}" if others else "no brake is on"
        raise context.NothingDone(f"there is no brake on {_describe(subject)} to release; {rest}")
    typer.echo(f"Released the brake on {_describe(subject)}. {person.describe_order()}")
    if others:
        typer.echo(f"Still on: {explain_release(others)}")


def _describe(subject: str) -> str:
    return output.format_cell(" ".join(subject.partition(":")[::2])) if subject else "everything"


def explain_release(subjects: Iterable[str]) -> str:
    """List brakes, each with the command that releases it."""
    return ", ".join(f"{_describe(subject)} (worker brake off{_write_option(subject)})" for subject in subjects)


def _write_option(subject: str) -> str:
    return f" --{_describe(subject)}" if subject else ""


async def _check_rule(settings: "Settings", rule: str) -> None:
    """Refuse a brake on a rule that does not exist: it would look like a brake and stop nothing."""
    from worker.rulehost.host import Host

    try:
        async with Host(settings.rules, sandbox=settings.sandbox) as host:
            names = [each.name for each in host.bundle.rules]
    except (RuleError, SettingsError, OSError):
        return  # neither files that cannot be loaded nor a process that cannot be started keep anybody from braking
    if rule not in names:
        near = get_close_matches(rule, names, n=1)
        advice = f"; did you mean {near[0]}?" if near else ": `worker rules` lists all rules"
        raise SettingsError(f"there is no rule {rule!r}{advice}")
