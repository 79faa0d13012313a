"""Nothing is missing: each of the 71 operations has a method, a route of the sandbox, a row and a line in the docs."""

import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from cloudflare import AsyncCloudflare
from cloudflare._resource import AsyncAPIResource

from tests.cells import each
from tests.contract.scene import ROOT, Scene
from tests.contract.wires import OPERATION_OF, ROWS, recorded
from worker.api import OPERATIONS
from worker.api.operations import Operation
from worker.sandbox import IncomingRequest
from worker.sandbox.routing import ROUTES, find_route

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
IN_NO_SDK = {
    "analytics.monthly_report",
    "investigate.action_log",
    "settings.domains.verification",
    "settings.sending_domain_restrictions.delete_many",
    "submissions.create",
}
POLLED = {("GET", "investigate/results/{id}")}
"""Where the 202 of a search points to: an address of the sandbox, no operation of the API."""


def test_there_are_seventy_one_operations_each_once() -> None:
    assert len(OPERATIONS) == 71
    assert len({(one.method, one.path) for one in OPERATIONS}) == 71
    assert len(OPERATION_OF) == 71


@each("operation", OPERATIONS)
def test_an_operation_is_a_method_that_says_what_it_does(operation: Operation) -> None:
    method = attrgetter(operation.call)(recorded(Scene())[0])
    assert callable(method)
    assert len(method.__doc__) > 20


@each("operation", OPERATIONS)
def test_the_sandbox_routes_an_operation(operation: Operation) -> None:
    found = find_route(IncomingRequest(operation.method, ROOT + operation.path.replace("{id}", "an-id")))
    assert found.operation == f"{operation.method} {operation.path.removeprefix('/')}"
    assert found.handler is not None
    assert found.ids == (("an-id",) if "{id}" in operation.path else ())


def test_the_sandbox_routes_nothing_that_is_no_operation() -> None:
    assert set(ROUTES) - POLLED == {(one.method, one.path.removeprefix("/")) for one in OPERATIONS}


def test_the_contract_has_a_row_for_each_operation_and_the_sdk_all_but_five() -> None:
    assert set(ROWS) == set(OPERATION_OF)
    assert {row.call for row in ROWS.values() if not row.sdk} == IN_NO_SDK


def test_the_contract_has_a_row_for_each_method_of_the_sdk() -> None:
    sdk = AsyncCloudflare(api_token="any")  # noqa: S106 (nothing is sent)
    assert {row.sdk for row in ROWS.values() if row.sdk} == set(_methods(sdk.email_security))


def _methods(room: AsyncAPIResource, above: str = "") -> Iterator[str]:
    """Yield what a part of the SDK can be asked, and its parts."""
    for name in dir(type(room)):
        if name.startswith(("_", "with_")):
            continue
        part = getattr(room, name)
        if isinstance(part, AsyncAPIResource):
            yield from _methods(part, f"{above}{name}.")
        else:
            yield above + name


def test_the_docs_have_a_line_for_each_operation_and_for_nothing_else() -> None:
    lines = re.findall(r"^\| ([A-Z]+) \| `(/[^`]+)` \| `([^`]+)` \|", DOCS.read_text(), re.MULTILINE)
    assert sorted(lines) == sorted(OPERATIONS)
