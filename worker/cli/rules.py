"""`worker check` and `worker rules`: what is in the rule files, and whether it would run."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import context, output
from worker.errors import RuleError, SettingsError
from worker.escaping import escaped

if TYPE_CHECKING:
    from worker.language.rules import RuleInfo
    from worker.rulehost.host import BundleInfo
    from worker.settings import Settings

LONGEST = 1000
"""Characters of one problem."""
COLUMNS = ("rule", "mode", "hears", "asks", "may", "limit", "where")


def check(
    path: Annotated[Path | None, typer.Argument(help="Folder of rule files; WORKER_RULES without it.")] = None,
    *,
    live: Annotated[bool, typer.Option("--live", help="Also ask the API: token, permissions, subscription.")] = False,
    as_json: context.Json = False,
) -> None:
    """Load the rules, run their examples, and name what is wrong.

    Nothing is changed anywhere, also with --live. Ends with 1 if something has to be fixed, and with 3 if that is not
    known because the API did not answer.

    Example: worker check rules --live
    """
    read = context.settings()
    said: dict[str, list[str]] = {"problems": [], "unanswered": [], "remarks": []}
    try:
        # Channels are settings of the place where the worker runs, which need not be the place where rules are written.
        bundle: BundleInfo | None = loaded(path or read.rules, frozenset(read.channels) if live else None)
    except RuleError as error:
        bundle, said["problems"] = None, str(error).splitlines()
    rules = bundle.rules if bundle else ()
    if live:
        from worker.cli.check_live import probed

        said["problems"] += _channels(read)
        for kind, sentence in context.wait(probed(read, rules)):
            said[kind].append(sentence)
    if as_json:
        output.document({"rules": [_row(rule) for rule in rules], **said})
    else:
        allowed = f", and the API allows what WORKER_CEILING={read.ceiling.name.lower()} needs"
        _tell(rules, said, allowed if live and not said["unanswered"] else "")
    context.found(said["problems"])
    context.could_not(said["unanswered"])


def _channels(read: "Settings") -> list[str]:
    """Say which channel has an address that no notice could be sent to."""
    from worker import notifiers

    problems = []
    for name, address in read.channels.items():
        try:
            notifiers.open_channels({name: address.get_secret_value()}, lambda *_: None)
        except SettingsError as error:
            problems.append(str(error))
    return problems


def rules(*, as_json: context.Json = False) -> None:
    """List the rules and what each of them may do.

    Each fact but Now, Policies and Registry costs a call for every event that gets as far as touching it.

    Example: worker rules --json
    """
    bundle = loaded(context.settings().rules)
    output.listing((_row(rule) for rule in bundle.rules), COLUMNS, as_json=as_json, empty="there are no rules")


def loaded(folder: Path, channels: frozenset[str] | None = None) -> "BundleInfo":
    """Load a folder; raises SettingsError when there is none, RuleError when its rules cannot be taken."""
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder}: set WORKER_RULES to the folder of the rule files")
    return context.wait(_loaded(folder, channels))


async def _loaded(folder: Path, channels: frozenset[str] | None) -> "BundleInfo":
    """Load it the way the daemon does: in a child process, so that not even an endless loop does any harm."""
    from worker.rulehost.host import Host

    async with Host(folder, channels=channels) as host:
        return host.bundle


def _row(rule: "RuleInfo") -> output.Row:
    """Describe one rule."""
    return {
        "rule": rule.name,
        "mode": rule.mode.name.lower(),
        "hears": f"{rule.trigger} {', '.join(rule.dispositions or ())}".strip(),
        "asks": rule.facts,
        "may": rule.actions,
        "limit": f"{rule.limit.count} per {output.span(rule.limit.per)} by {rule.limit.by}",
        "where": f"{Path(rule.file).name}:{rule.line}",
        "doc": rule.doc,
        "priority": rule.priority,
        "fingerprint": rule.fingerprint,
    }


def _tell(rules: "tuple[RuleInfo, ...]", said: dict[str, list[str]], allowed: str) -> None:
    """Say what was found, what has to be fixed first."""
    for sentence in chain.from_iterable(said.values()):
        typer.echo(escaped(sentence, LONGEST))
    if not said["problems"]:
        typer.echo(f"{output.counted(len(rules), 'rule')}, and all examples pass{allowed}")
