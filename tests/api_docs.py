"""The tables of docs/api.md, made from the client itself. `python -m tests.api_docs` writes them anew."""

from inspect import getdoc
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from worker.api import OPERATIONS, ApiClock, Budget, Client, Credential, HttpTransport

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
HEADING = "## Every operation\n"
COLUMNS = "| method | path | call | what it does |\n|---|---|---|---|\n"


def shape() -> Client:
    """Return a client whose docstrings are read; it sends nothing."""
    clock = ApiClock()
    return Client(HttpTransport("http://nowhere.example", Credential.from_text("none")), Budget(clock), clock, "none")


def first_line(thing: object) -> str:
    """Return the first line of a docstring."""
    return (getdoc(thing) or "").partition("\n")[0].replace("``", "`")


def about(resource: str) -> str:
    """Return the docstring of the property that leads to a resource."""
    before, _, name = resource.rpartition(".")
    owner = attrgetter(before)(shape()) if before else shape()
    return first_line(getattr(type(owner), name))


def tables() -> str:
    """Write a table per resource, in the order of the API's paths."""
    api, parts = shape(), []
    by_resource = sorted(OPERATIONS, key=lambda operation: operation.call.rpartition(".")[0])
    for resource, operations in groupby(by_resource, lambda operation: operation.call.rpartition(".")[0]):
        rows = [
            f"| {method} | `{path}` | `{call}` | {first_line(attrgetter(call)(api))} |\n"
            for method, path, call in operations
        ]
        parts.append(f"\n### `client.{resource}`\n\n{about(resource)}\n\n{COLUMNS}{''.join(rows)}")
    return "".join(parts)


def written(text: str) -> str:
    """Return a page with its tables made anew; the text above their heading is kept."""
    above, heading, _ = text.partition(HEADING)
    return above + heading + tables()


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
