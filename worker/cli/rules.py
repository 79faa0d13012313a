"""`worker check` and `worker rules`: what is in the rule files, and whether it would run."""

from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker import wording
from worker.cli import context, output
from worker.errors import RuleError, SettingsError, StoreError
from worker.escaping import escape
from worker.walls import explain_missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.language.rules import Limit, RuleInfo
    from worker.rulehost.host import Host
    from worker.settings import Settings
    from worker.walls import Sandbox, Standing

LONGEST = 1000
"""Characters of one problem."""
Findings = dict[str, list[str]]
"""Sentences by kind: problems, unanswered, remarks."""
COLUMNS = ("rule", "mode", "trigger", "facts", "actions", "limit")
PERIODS = {60.0: "a minute", 3600.0: "an hour", 86400.0: "a day"}


def check(
    path: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Folder of rule files. Default: WORKER_RULES.")
    ] = None,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also ask the API: token, permissions, subscription, and what it sends.")
    ] = False,
    as_json: context.Json = False,
) -> None:
    """Load the rules, run their examples and list problems.

    Use it after every change of a rule, and with --live before the first run: then it also asks the API whether the
    credential may do what the rules need, and reads one page of everything, to name what can no longer be read and the
    rules that need it. It says when nobody would be called to what waits for a person. It changes nothing. Ends with 1
    if something has to be fixed, and with 3 if the API did not answer.

    Example: worker check rules --live
    """
    settings = context.read_settings()
    # Where rules are written, the channels of the place where the worker runs need not be set.
    rules, found = _check_files(settings, path or settings.rules, frozenset(settings.channels) if live else None)
    if live:
        _ask_api(settings, rules, found)
    if as_json:
        output.print_json({"rules": [_describe_rule(rule) for rule in rules], **found})
    else:
        allowed = f", and the API allows what WORKER_CEILING={settings.ceiling.name.lower()} needs"
        _print_findings(rules, found, allowed if live and not found["unanswered"] else "")
    context.exit_on_finding(found["problems"])
    context.exit_on_failure(found["unanswered"])


def _check_files(
    settings: "Settings", folder: Path, channels: frozenset[str] | None
) -> "tuple[tuple[RuleInfo, ...], Findings]":
    """Load the rules; return them, and the problems when they cannot be taken."""
    try:
        host = load(settings, folder, channels)
        rules, walls = host.bundle.rules, [] if channels is None else [describe_walls(host.standing)]
        return rules, {"problems": [], "unanswered": [], "remarks": [*_find_unreviewable(rules), *walls]}
    except RuleError as error:
        return (), {"problems": str(error).splitlines(), "unanswered": [], "remarks": []}


def describe_walls(standing: "Standing") -> str:
    """Say which walls stand around the rules on this machine, and which do not."""
    if not standing:
        return "the rules run without walls, because WORKER_RULES_SANDBOX is off"
    stand = f"walls around the rules: {', '.join(wall for wall, why in standing.items() if not why)}"
    missing = explain_missing(standing)
    return f"{stand}; missing: {missing}" if missing else stand


def _warn_of_walls(sandbox: "Sandbox", standing: "Standing") -> None:
    """Say on stderr which walls are missing around the rules, as the daemon's log does when it starts."""
    if not sandbox.walls or (standing and explain_missing(standing)):
        typer.echo(f"worker: {describe_walls(standing)}", err=True)


def _find_unreviewable(rules: "Iterable[RuleInfo]") -> "Iterator[str]":
    """Say which rules may ask for another verdict about mail that Cloudflare cannot review."""
    for rule in rules:
        clean_too = rule.trigger == "Message" and "NONE" in (rule.dispositions or ())
        if clean_too and "Reclassify" in rule.actions:
            yield (
                f"{rule.file}:{rule.line}: {rule.name}: it hears clean mail too, and Reclassify has no effect on clean "
                "mail that no user submitted, because Cloudflare has not kept its body"
            )


def _ask_api(settings: "Settings", rules: "tuple[RuleInfo, ...]", found: Findings) -> None:
    """Add what the API and the channels say."""
    from worker.cli.check_live import check_calling, probe
    from worker.cli.check_signing import check_signing

    found["problems"] += _check_channels(settings)
    beside = [check_calling(settings, rules), check_signing(settings)]
    for kind, sentence in filter(None, [*beside, *context.wait(probe(settings, rules))]):
        found[kind].append(sentence)


def _check_channels(settings: "Settings") -> list[str]:
    """Name each channel whose address no notice could be sent to."""
    from worker import notifiers

    problems = []
    for name, address in settings.channels.items():
        try:
            notifiers.open_channels({name: address.get_secret_value()}, lambda *_: None)
        except SettingsError as error:
            problems.append(str(error))
    return problems


def rules(*, as_json: context.Json = False) -> None:
    """List the rules, what triggers each and what it may do.

    Shows the facts that a rule asks for: each except Now, Policies and Registry costs an API call per event for which
    the rule uses it. If there is a ledger, shows of rules that asked Cloudflare for another verdict how often that was
    granted. --json adds each rule's reason, priority and fingerprint.

    Example: worker rules --json
    """
    settings = context.read_settings()
    bundle = load(settings, settings.rules).bundle
    agreement = context.wait(_read_agreement(settings)) if context.has_ledger(settings) else defaultdict(Counter)
    reviews = {rule.name: _describe_agreement(agreement[rule.name]) for rule in bundle.rules}
    if as_json:
        output.print_json([{**_describe_rule(rule), "agreement": reviews[rule.name]} for rule in bundle.rules])
        return
    output.print_table(COLUMNS, [_list_cells(rule) for rule in bundle.rules])
    asking = [{"rule": name, **counts} for name, counts in reviews.items() if counts["asked"]]
    if asking:
        typer.echo()
        output.print_rows(asking, tuple(asking[0]), as_json=False, empty="")


async def _read_agreement(settings: "Settings") -> "defaultdict[str, Counter[str]]":
    """Count by rule what Cloudflare says of its requests, in all accounts; nothing where the ledger cannot be read."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    try:
        async with context.read_ledger(settings) as (ledger, accounts):
            for account in accounts:
                for rule, reviews in (await ledger.count_reviews(account)).items():
                    found[rule].update(reviews)
    except StoreError as error:
        typer.echo(f"what Cloudflare granted is not known: {error}", err=True)
    return found


def _describe_agreement(reviews: "Counter[str]") -> dict[str, int]:
    """Say how often Cloudflare was asked, and how often it agreed."""
    ends = {name.replace("_", " "): reviews[name] for name in ("granted", "rejected", "invalid", "never_decided")}
    return {"asked": reviews.total(), **ends}


def load(settings: "Settings", folder: Path, channels: frozenset[str] | None = None) -> "Host":
    """Load a folder, and return the host in which that was done, which has ended.

    Raises SettingsError when it cannot be read, RuleError when its rules cannot be taken.
    """
    from worker.rulehost.folder import list_files

    try:
        list_files(folder)
    except RuleError as error:  # that is no mistake in a rule
        raise SettingsError(str(error)) from None
    return context.wait(_load_in_child(settings, folder, channels))


async def _load_in_child(settings: "Settings", folder: Path, channels: frozenset[str] | None) -> "Host":
    """Load it as the daemon does: in a child process behind walls, so that not even a hostile rule does harm."""
    from worker.rulehost.host import Host

    host = Host(folder, channels=channels, sandbox=settings.sandbox)
    try:
        async with host:
            return host
    finally:
        if channels is None:  # else the remarks of check --live say it
            _warn_of_walls(settings.sandbox, host.standing)


def _describe_rule(rule: "RuleInfo") -> output.Row:
    return {
        "rule": rule.name,
        "mode": rule.mode.name.lower(),
        "hears": f"{rule.trigger} {', '.join(rule.dispositions or ())}".strip(),
        "asks": rule.facts,
        "may": rule.actions,
        "limit": f"{rule.limit.count} per {wording.format_duration(rule.limit.per)} by {rule.limit.by}",
        "where": f"{Path(rule.file).name}:{rule.line}",
        "doc": rule.doc,
        "priority": rule.priority,
        "fingerprint": rule.fingerprint,
    }


def _list_cells(rule: "RuleInfo") -> tuple[object, ...]:
    """Describe a rule in the cells of a table."""
    place = f"{Path(rule.file).name}:{rule.line}"
    mode, trigger = rule.mode.name.lower(), _list_trigger(rule)
    return (rule.name, place), mode, trigger, rule.facts, rule.actions, say_limit(rule.limit)


def _list_trigger(rule: "RuleInfo") -> list[str]:
    """Name the events that a rule judges, one line each; without dispositions, mail of any verdict but NONE."""
    verdicts = rule.dispositions or (("every detection",) if rule.trigger == "Message" else ())
    return [f"{rule.trigger}:", *verdicts] if verdicts else [rule.trigger]


def say_limit(limit: "Limit") -> str:
    """Write a limit as people say it, such as ``100 an hour``."""
    period = PERIODS.get(limit.per) or f"in {wording.format_duration(limit.per)}"
    return f"{limit.count:,} {period}" + ("" if limit.by == "rule" else f" for each {limit.by}")


def _print_findings(rules: "tuple[RuleInfo, ...]", found: Findings, allowed: str) -> None:
    """Print what was found, what has to be fixed first."""
    for sentence in chain.from_iterable(found.values()):
        typer.echo(escape(sentence, LONGEST))
    if not found["problems"]:
        typer.echo(f"{wording.count(len(rules), 'rule')} loaded; all examples pass{allowed}")
