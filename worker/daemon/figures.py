"""Figures: what metrics say of the process, of its rules, and of what stands still."""

import platform
from collections import Counter
from collections.abc import Collection, Iterable
from importlib.metadata import version
from typing import get_args

from prometheus_client import Gauge

from worker.language.actions import ENDED_BY
from worker.language.rules import OFF, Mode, RuleInfo
from worker.ledger.entries import FINAL
from worker.ledger.standstill import Keeper, Standstill
from worker.telemetry import Metrics
from worker.walls import WALLS, Standing


def describe_process(metrics: Metrics, ceiling: Mode, now: float) -> None:
    """Say which version runs, since when, and what it may do."""
    metrics.build.labels(version("worker"), platform.python_version()).set(1)
    metrics.started.set(now)
    for mode in Mode:
        if mode is not OFF:
            metrics.ceiling.labels(mode.name.lower()).set(mode is ceiling)


def describe_walls(gauge: Gauge, standing: Standing) -> None:
    """Say which walls stand around the rules, or around mail that is taken apart."""
    for wall in WALLS:
        gauge.labels(wall).set(standing.get(wall) == "")


def declare_sources(metrics: Metrics, sources: Iterable[str]) -> None:
    """Begin what is counted of sources at zero."""
    for source in sources:
        for counter in (metrics.messages_read, metrics.new_records, metrics.broken):
            counter.labels(source)


def declare_rules(metrics: Metrics, accounts: Collection[str], rules: Iterable[RuleInfo]) -> None:
    """Begin what is counted of rules at zero, so that the first failure of one is a rise."""
    for rule in rules:
        kinds = dict.fromkeys((*rule.actions, *(ENDED_BY[name] for name in rule.actions if name in ENDED_BY)))
        metrics.declare_rule(rule.name, accounts, kinds, FINAL)


def measure_standstill(metrics: Metrics, account: str, found: Standstill, now: float) -> None:
    """Measure what waits: for facts, for people, for brakes."""
    metrics.held.labels(account).set(found.held)
    metrics.held_age.labels(account).set(max(0.0, now - found.since) if found.held else 0.0)
    metrics.waiting.labels(account).set(found.waiting)
    metrics.waiting_age.labels(account).set(max(0.0, now - found.waiting_since) if found.waiting else 0.0)
    metrics.unreadable.labels(account).set(found.unreadable)
    metrics.half_heard.labels(account).set(found.half_heard)
    for channel in found.untaken:
        metrics.untaken.labels(account, channel.channel).set(channel.notices)
    metrics.brakes.labels(account, "everything").set(found.braked.everything)
    metrics.brakes.labels(account, "lane").set(len(found.braked.lanes))
    metrics.brakes.labels(account, "rule").set(len(found.braked.rules))
    kept = Counter[Keeper]()
    for one in found.kept_back:
        kept[one.by] += one.entries
    for keeper in get_args(Keeper):
        metrics.kept_back.labels(account, keeper).set(kept[keeper])
