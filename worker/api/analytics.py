"""``/analytics``: figures about the account's mail, of which no field is documented."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from worker.api.calls import Calls
from worker.api.pacing import Urgency
from worker.language.reading import name_kind

MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])(?!\d)")
"""A year and a month at the start of a text, such as ``2026-11`` or ``2026-11-01T00:00:00Z``."""
Json = Any
"""Whatever JSON holds."""


class Month(Struct, frozen=True):
    """Figures of one month, such as ``2026-11``; what is no number is in ``rest``.

    Names are those of the API. Inside of an object or a list they are paths: ``dispositions/MALICIOUS``. ``part`` is
    the path of the list or object that the month stands in.
    """

    month: str
    part: str
    counts: Mapping[str, float]
    rest: Mapping[str, Json]


class MonthlyReport(Struct, frozen=True):
    """A report by month, in the API's order; ``rest`` is what belongs to no month, by its path."""

    months: tuple[Month, ...]
    rest: Mapping[str, Json]


class Analytics:
    """``/analytics``."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def monthly_report(self, urgency: Urgency = Urgency.FACTS) -> MonthlyReport:
        """Return detections, dispositions and policy activity of the last 12 months, with whatever the API says.

        Cloudflare documents none of its fields: months are recognised by their dates, figures by being numbers.
        """
        return (await self._calls.call("GET", "/analytics/monthly_report", read_report, urgency=urgency)).result


def read_report(raw: Raw) -> MonthlyReport:
    """Read a report; raise ValueError for one that is neither an object nor a list."""
    report = msgspec.json.decode(raw)
    if not isinstance(report, dict | list):
        raise ValueError(f"the report is {name_kind(report)}")  # noqa: TRY004 (what all readers raise)
    found = list(_find_months(report, "", "", ""))
    months = tuple(value for _, value in found if isinstance(value, Month))
    return MonthlyReport(months, {path: value for path, value in found if not isinstance(value, Month)})


def _find_months(value: Json, part: str, name: str, path: str) -> Iterator[tuple[str, Json]]:
    """Yield the months in a value, and whatever belongs to none of them, by path."""
    if month := _name_month(value, name):
        yield path, _read_month(value, month, part)
        return
    parts = _list_parts(value)
    inside = [one for key, held in parts for one in _find_months(held, path, key, _join(path, key))]
    if (month := _date(value)) and not any(isinstance(held, Month) for _, held in inside):
        yield path, _read_month(value, month, part)
    else:
        yield from inside if parts else ((path, value),)


def _name_month(value: Json, name: str) -> str:
    """Return the month that an object is called by or says it is about; empty for none."""
    if not isinstance(value, dict):
        return ""
    year, month = value.get("year"), value.get("month")
    written = f"{year}-{month:02}" if isinstance(month, int) else month
    return next((one[:7] for one in (name, written) if isinstance(one, str) and MONTH.match(one)), "")


def _date(value: Json) -> str:
    """Return the month of the first date in an object; empty for none."""
    texts = (one for one in value.values() if isinstance(one, str)) if isinstance(value, dict) else ()
    return next((text[:7] for text in texts if MONTH.match(text)), "")


def _read_month(value: Json, month: str, part: str) -> Month:
    """Tell the numbers of a month from what is none."""
    fields = dict(_flatten(value, ""))
    counts = {path: one for path, one in fields.items() if type(one) in {int, float}}
    return Month(month, part, counts, {path: one for path, one in fields.items() if path not in counts})


def _flatten(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Yield every value that holds no other, by path."""
    parts = _list_parts(value)
    yield from (one for key, held in parts for one in _flatten(held, _join(path, key))) if parts else ((path, value),)


def _list_parts(value: Json) -> list[tuple[str, Json]]:
    """Return what is in an object by name, and what is in a list by place."""
    if isinstance(value, dict):
        return list(value.items())
    return [(str(place), one) for place, one in enumerate(value)] if isinstance(value, list) else []


def _join(path: str, name: str) -> str:
    """Go one step on in a path; slashes in names are escaped as in a JSON pointer, so that no two are the same."""
    step = name.replace("~", "~0").replace("/", "~1")
    return f"{path}/{step}" if path else step
