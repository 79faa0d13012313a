"""Whether alerts fire: by promtool where it is on the PATH, and by an evaluation of our own everywhere.

Ours knows selectors, ``increase``, ``rate``, ``changes``, ``resets``, ``absent``, ``sum by``, ``histogram_quantile``,
division, and a comparison with a number at the end. It knows no staleness and extrapolates nothing, so what it says of
a rise is that there is one, not how steep it is.
"""

import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Samples = Mapping[tuple[str, Labels], float]
Vector = dict[Labels, float]
Evaluate = Callable[[int], Vector]
LASTS = 5
"""Minutes for which each scrape but the last one stays as it is."""
UNITS = MappingProxyType({"m": 1, "h": 60, "d": 1440})
COMPARE: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"==": eq, "!=": ne, ">": gt, "<": lt, ">=": ge, "<=": le}
)
TOKEN = re.compile(r'\s*(\d+\.?\d*[mhd]?|[A-Za-z_]\w*|"[^"]*"|[=!<>]=|!=|[-+*/(){}\[\],=<>])')


def read_page(page: str) -> Samples:
    """Return what a page of metrics exposes."""
    families = text_string_to_metric_families(page)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def read_minutes(text: str) -> int:
    """Return the minutes in a duration such as 15m."""
    return int(text[:-1]) * UNITS[text[-1]] if text else 0


class Alert(NamedTuple):
    """A rule of Prometheus, and how many minutes its expression must hold."""

    name: str
    expr: str
    lasts: int


class Timeline:
    """Scrapes one after another, each of which stays as it is for some minutes, and the last one for good."""

    def __init__(self, pages: Sequence[str]) -> None:
        self.scrapes = [read_page(page) for page in pages]

    def at(self, minute: int) -> Samples:
        """Return what was exposed then."""
        return self.scrapes[min(max(minute, 0) // LASTS, len(self.scrapes) - 1)]

    def end(self, alert: Alert) -> int:
        """Return the minute by which an alert has fired, if it does."""
        return LASTS * len(self.scrapes) + alert.lasts + 1


def does_fire(alert: Alert, timeline: Timeline) -> bool:
    """Tell by our own evaluation whether an alert fires in the end."""
    end, evaluate = timeline.end(alert), Parser(alert.expr, timeline).parse()
    held = [set(evaluate(minute)) for minute in range(end - alert.lasts, end + 1, max(1, alert.lasts // 12))]
    return bool(set.intersection(*held))


class Parser:
    """Reads an expression into what evaluates it at a minute."""

    def __init__(self, expr: str, timeline: Timeline) -> None:
        self._tokens, self._timeline = TOKEN.findall(expr), timeline
        assert "".join(self._tokens) == re.sub(r"\s", "", expr), expr

    def parse(self) -> Evaluate:
        """Read the whole expression."""
        left = self._divide()
        if self._tokens and (compare := COMPARE.get(self._tokens[0])):
            self._take()
            limit, whole = float(self._take()), left
            left = lambda at: {labels: value for labels, value in whole(at).items() if compare(value, limit)}  # noqa: E731
        return left

    def _take(self, wanted: str = "") -> str:
        token: str = self._tokens.pop(0)
        assert not wanted or token == wanted, (wanted, token, self._tokens)
        return token

    def _divide(self) -> Evaluate:
        left = self._operand()
        if self._tokens[:1] != ["/"]:
            return left
        self._take()
        right = self._operand()
        return lambda at: _divide(left(at), right(at))

    def _operand(self) -> Evaluate:
        name = self._take()
        if name == "sum":
            self._take("by")
            names = self._names()
            return self._inside(lambda inner: lambda at: _sum_by(inner(at), names))
        if name == "histogram_quantile":
            self._take("(")
            share = float(self._take())
            self._take(",")
            inner = self._divide()
            self._take(")")
            return lambda at: _find_quantile(share, inner(at))
        if name == "absent":
            return self._inside(lambda inner: lambda at: {} if inner(at) else {frozenset(): 1.0})
        if name in RANGES:
            self._take("(")
            evaluate = self._range(RANGES[name])
            self._take(")")
            return evaluate
        return self._select(name)

    def _inside(self, wrap: Callable[[Evaluate], Evaluate]) -> Evaluate:
        self._take("(")
        inner = self._divide()
        self._take(")")
        return wrap(inner)

    def _names(self) -> frozenset[str]:
        self._take("(")
        names = [self._take()]
        while self._take() == ",":
            names.append(self._take())
        return frozenset(names)

    def _select(self, name: str) -> Evaluate:
        fits = self._matchers()
        return lambda at: {
            labels: value for (found, labels), value in self._timeline.at(at).items() if found == name and fits(labels)
        }

    def _matchers(self) -> Callable[[Labels], bool]:
        if self._tokens[:1] != ["{"]:
            return lambda _: True
        wanted = list[tuple[str, bool, str]]()
        while self._take() != "}":  # what begins or divides them
            name, same, text = self._take(), self._take() == "=", self._take().strip('"')
            wanted.append((name, same, text))
        return lambda labels: all((dict(labels).get(name, "") == text) is same for name, same, text in wanted)

    def _range(self, measure: Callable[[Sequence[float], int], float]) -> Evaluate:
        select = self._select(self._take())
        self._take("[")
        minutes = read_minutes(self._take())
        self._take("]")

        def evaluate(at: int) -> Vector:
            values: dict[Labels, list[float]] = defaultdict(list)
            for minute in range(max(0, at - minutes), at + 1):
                for labels, value in select(minute).items():
                    values[labels].append(value)
            return {labels: measure(found, minutes) for labels, found in values.items()}

        return evaluate


def _increase(values: Sequence[float], _: int) -> float:
    return sum(max(0.0, after - before) if after >= before else after for before, after in pairwise(values))


RANGES: Mapping[str, Callable[[Sequence[float], int], float]] = MappingProxyType({
    "increase": _increase,
    "rate": lambda values, minutes: _increase(values, minutes) / (60 * minutes),
    "changes": lambda values, _: sum(before != after for before, after in pairwise(values)),
    "resets": lambda values, _: sum(after < before for before, after in pairwise(values)),
})  # fmt: skip


def _divide(left: Vector, right: Vector) -> Vector:
    return {labels: value / right[labels] for labels, value in left.items() if right.get(labels)}


def _sum_by(vector: Vector, names: Iterable[str]) -> Vector:
    found: Vector = defaultdict(float)
    for labels, value in vector.items():
        found[frozenset((name, text) for name, text in labels if name in set(names))] += value
    return dict(found)


def _find_quantile(share: float, buckets: Vector) -> Vector:
    """Return the upper bound of the bucket in which the quantile lies: Prometheus interpolates within it."""
    series: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, count in buckets.items():
        series[frozenset(pair for pair in labels if pair[0] != "le")].append((float(dict(labels)["le"]), count))
    ranked = {labels: sorted(found) for labels, found in series.items()}
    return {
        labels: next((bound for bound, count in found if count >= share * found[-1][1]), inf)
        for labels, found in ranked.items()
        if found[-1][1] > 0
    }


def ask_promtool(rules: str, alert: Alert, timeline: Timeline, folder: Path) -> bool:
    """Tell by promtool whether an alert fires in the end."""
    (folder / "alerts.yaml").write_text(rules)
    end = timeline.end(alert)
    minutes = [timeline.at(minute) for minute in range(LASTS * len(timeline.scrapes))]
    names = dict.fromkeys(series for scrape in timeline.scrapes for series in scrape)
    rows = [{"series": _write(series), "values": _write_values(series, minutes, end)} for series in names]
    firing = f'count(ALERTS{{alertname="{alert.name}", alertstate="firing"}}) > bool 0'
    wanted = {"expr": firing, "eval_time": f"{end}m", "exp_samples": [{"labels": "{}", "value": 1}]}
    test = {"interval": "1m", "input_series": rows, "promql_expr_test": [wanted]}
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["alerts.yaml"], "tests": [test]}))
    command = ["promtool", "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 (all is ours)
    assert done.returncode == 0 or "got:" in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode == 0


def _write(series: tuple[str, Labels]) -> str:
    name, labels = series
    return f"{name}{{{','.join(f'{label}={_quote(text)}' for label, text in sorted(labels))}}}"


def _quote(text: str) -> Any:  # noqa: ANN401 (a string of YAML)
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


def _write_values(series: tuple[str, Labels], minutes: Sequence[Samples], end: int) -> str:
    values = [repr(scrape[series]) if series in scrape else "_" for scrape in minutes]
    last = values[-1]
    rest = end - len(values) + 1
    return " ".join([*values, f"{last}x{rest}" if last == "_" else f"{last}+0x{rest}"])
