"""What matters first about an account: ceiling, brakes, what waits, is held or cannot be read, and who works."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from worker import wording
from worker.cli import output

if TYPE_CHECKING:
    from worker.ledger.ledger import Ledger
    from worker.ledger.values import HeldCause

CAUSES = 20
"""Causes for which events are held that are told to programs: the first ones."""


async def describe_overview(ledger: "Ledger", account: str) -> dict[str, Any]:
    """Describe for programs how an account stands."""
    from worker.audit.heads import find_last
    from worker.ledger.queue import WaitingQuery

    started, stopped, taken = [
        msgspec.json.decode(await ledger.find_last(account, verb) or b"{}")
        for verb in ("started", "stopped", "bundle taken")
    ]
    waiting = await ledger.find_waiting(WaitingQuery(account), limit=1)
    standstill = await ledger.find_standstill(account, time.time())
    signed = find_last(await ledger.list_heads(account))
    return {
        "ceiling": started.get("ceiling", ""),
        "version": started.get("version", ""),
        "started": _read_time(started),
        "stopped": _read_time(stopped) if stopped.get("number", 0) > started.get("number", 0) else None,
        "rules": [name for name, *_ in taken.get("rules", ())],
        "decisions waiting": waiting.decisions,
        "waiting since": output.to_datetime(waiting.oldest),
        "held": standstill.held,
        "held since": output.to_datetime(standstill.since),
        "held because": wording.tell_causes(standstill.causes, time.time()),
        "held causes": [_describe_cause(cause) for cause in standstill.causes[:CAUSES]],
        "unreadable records": standstill.unreadable,
        "unknown verdicts": standstill.half_heard,
        "signed": signed.number if signed else 0,
        "signed at": datetime.fromisoformat(signed.at) if signed else None,
        "signed by": signed.key if signed else "",
    }


def _describe_cause(cause: "HeldCause") -> output.Row:
    since = output.to_datetime(cause.since)
    return {"why": cause.why, "events": cause.events, "since": since, "is new": cause.is_new}


def _read_time(record: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(record["at"]) if record else None


def tell_overview(account: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Tell people how an account stands, a line for each thing."""
    waiting, held = account["decisions waiting"], account["held"]
    return {
        "ceiling": account["ceiling"] or "no worker has started yet",
        "brakes": _tell_brakes(account["brakes"]),
        "waiting": _tell_since(wording.count(waiting, "decision"), account["waiting since"]),
        "held": _tell_since(wording.count(held, "event"), account["held since"], account["held because"]),
        "unreadable": _tell_unreadable(account["unreadable records"], account["unknown verdicts"]),
        "signed": _tell_signed(account),
        "version": _tell_version(account),
        "rules": _tell_rules(account["rules"]),
    }


def _tell_brakes(brakes: Iterable[Mapping[str, Any]]) -> str:
    told = [
        f"everything, by {each['who']}" if each["rule"] == each["lane"] == "all" else _name_brake(each)
        for each in brakes
    ]
    return "; ".join(told) or "none"


def _name_brake(brake: Mapping[str, Any]) -> str:
    what = f"rule {brake['rule']}" if brake["rule"] != "all" else f"lane {brake['lane']}"
    return f"{what}, by {brake['who']}"


def _tell_since(amount: str, since: datetime | None, why: str = "") -> str:
    """Say how much there is, and since when and why the oldest."""
    if since is None:
        return "none"
    return f"{amount}, the oldest for {_ago(since)}" + (f": {why}" if why else "")


def _tell_unreadable(records: int, verdicts: int) -> str:
    told = wording.count(records, "record")
    return f"{told}, and {wording.count(verdicts, 'message')} with an unknown verdict" if verdicts else told


def _tell_signed(account: Mapping[str, Any]) -> str:
    """Say up to which record the audit records are signed."""
    if not account["signed"]:
        return "nothing: `worker audit key` makes a key for WORKER_AUDIT_KEY"
    return f"records up to {account['signed']}, {_ago(account['signed at'])} ago, by key {account['signed by']}"


def _tell_version(account: Mapping[str, Any]) -> str:
    if account["started"] is None:
        return "no worker has started yet"
    ended = f", stopped {_ago(account['stopped'])} ago" if account["stopped"] else ""
    return f"{account['version'] or 'unknown'}, started {_ago(account['started'])} ago{ended}"


def _tell_rules(rules: Sequence[str]) -> list[str]:
    return [f"{len(rules)}: {rules[0]}", *rules[1:]] if rules else ["none"]


def _ago(since: datetime) -> str:
    return wording.format_duration(max(0.0, time.time() - since.timestamp()))
