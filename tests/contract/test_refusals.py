"""Whatever fails in an operation raises a typed error with the operation and the API's reason."""

import pytest

from tests.api.desk import answer, page
from tests.contract.rows import Row
from tests.contract.scene import Scene
from tests.contract.wires import OPERATION_OF, ROWS, Instead, ask
from worker.api import Budget, Client, Response
from worker.errors import NotEntitled, NotFound, Paced, Rejected, ServerFault, Unauthorised, Unsure, WorkerError
from worker.sandbox import ACCOUNT

pytestmark = pytest.mark.slow  # all operations, one by one

SAID = "it cannot be done today"
REFUSALS: list[tuple[int, str, type[WorkerError]]] = [
    (400, SAID, Rejected),
    (401, SAID, Unauthorised),
    (403, SAID, Unauthorised),
    (403, "not available in your current subscription", NotEntitled),
    (404, SAID, NotFound),
    (405, SAID, Rejected),
    (409, SAID, Rejected),
    (413, SAID, Rejected),
    (415, SAID, Rejected),
    (422, SAID, Rejected),
]
OF_TWO_FORMS = {"investigate.release", "investigate.preview_clean"}
"""Operations whose body changed: after a 400 they are tried in the other form."""
UNDECIDED: dict[str, Response] = {
    "500": answer(SAID, 500),
    "503": answer(SAID, 503),
    "408": answer(SAID, 408),
    "425": answer(SAID, 425),
    "a page of the edge": page(502, "<html>Bad gateway</html>"),
    "a page with status 200": page(200, "<html>Please log in</html>"),
    "a page with status 403": page(403, "<html>Blocked</html>"),
    "JSON called text": page(200, '{"success":true,"result":[]}', "text/plain"),
    "half of a JSON": page(200, '{"success":true,"resu', "application/json"),
    "no envelope": page(200, "[1, 2]", "application/json"),
    "nothing at all": page(200, "", "application/json"),
    "a redirect": Response(
        status=302, headers={"location": "https://elsewhere.test/", "content-type": "text/html"}, body=b""
    ),
    "a redirect in JSON": answer(SAID, 307, location="https://elsewhere.test/"),
    "success that failed": page(200, '{"success":false,"errors":[],"result":null}', "application/json"),
    "failure that succeeded": page(400, '{"success":true,"errors":[],"result":null}', "application/json"),
}
SILENT = {"investigate.reclassify", "settings.domains.delete_all", "submissions.create"}
"""With each ``delete`` those whose answers hold nothing that anybody reads."""


async def told(row: Row, *answers: Response) -> tuple[WorkerError, int, float]:
    """Return the error that a call ends with, how often the operation was asked, and after how many seconds."""
    scene = Scene()
    line, began = Instead(scene, row, *answers), scene.clock.now()
    client = Client(line, Budget(scene.clock), scene.clock, ACCOUNT, jitter=lambda: 0.0)
    with pytest.raises(WorkerError) as error:
        await ask(client, row, scene)
    return error.value, line.times, scene.clock.now() - began


def name(row: Row) -> str:
    operation = OPERATION_OF[row.call]
    return f"{operation.method} {operation.path}: "


def silent(row: Row) -> bool:
    return row.call in SILENT or ".delete" in row.call


def writes(row: Row) -> bool:
    return OPERATION_OF[row.call].method != "GET"


@pytest.mark.parametrize("row", ROWS.values(), ids=str)
async def test_a_refusal_says_of_what_and_why(row: Row) -> None:
    for status, said, kind in REFUSALS:
        error, times, _ = await told(row, answer(said, status))
        assert type(error) is kind
        assert str(error).startswith(f"{name(row)}the API answered {status}: {said}")
        assert getattr(error, "status", status) == status
        assert times == 1 + (row.call in OF_TWO_FORMS and status in {400, 422})


@pytest.mark.parametrize("row", ROWS.values(), ids=str)
async def test_what_decides_nothing_is_a_fault_of_a_read_and_leaves_a_write_unsure(row: Row) -> None:
    for given in UNDECIDED.values():
        error, times, _ = await told(row, given)
        assert type(error) is (Unsure if writes(row) else ServerFault)
        assert str(error).startswith(f"{name(row)}the API answered {given.status}")
        assert times == (1 if writes(row) else 5)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if writes(row)], ids=str)
async def test_a_write_that_comes_too_soon_is_not_sent_again(row: Row) -> None:
    error, times, _ = await told(row, answer("More than 1200 requests per 300 seconds", 429, retry_after="240"))
    assert (type(error), times) == (Paced, 1)
    assert str(error).startswith(name(row))


@pytest.mark.parametrize("row", [row for row in ROWS.values() if not writes(row)], ids=str)
async def test_a_read_that_comes_too_soon_waits_as_long_as_it_is_told(row: Row) -> None:
    error, times, passed = await told(row, answer("slow down", 429, retry_after="240"), answer(SAID, 404))
    assert (type(error), times) == (NotFound, 2)
    assert passed >= 240


@pytest.mark.parametrize("row", [row for row in ROWS.values() if not silent(row)], ids=str)
async def test_a_result_of_another_kind_decides_nothing_either(row: Row) -> None:
    for result in (7, "text", True):
        error, times, _ = await told(row, answer(result))
        assert type(error) is (Unsure if writes(row) else ServerFault)
        assert str(error).startswith(f"{name(row)}the API answered 200 with an unexpected result")
        assert times == (1 if writes(row) else 5)
