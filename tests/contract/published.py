"""The examples that Cloudflare has published: its older reference pages, and the tests of two of its SDKs.

Each line of ``examples/`` is an operation as it is asked there, and its answer where one is shown. The tests of SDKs
show none: the answers of today are written from the models of SDK 5.9.0, as the reference pages write theirs.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tests.contract.wires import OPERATION_OF, Asked, fits
from worker.api import Response
from worker.api.operations import Operation

Era = Literal["seeds", "today"]
ERAS: tuple[Era, ...] = ("seeds", "today")
TOLD = {"code": 1000, "message": "message", "documentation_url": "documentation_url", "source": {"pointer": "pointer"}}
"""What the examples have as an error and as a message, although they are of success."""


@dataclass(frozen=True)
class Example:
    """A request, its answer if it is shown, and where it was published; ``path`` is below ``email-security``."""

    era: Era
    method: str
    path: str
    source: str
    query: dict[str, str] | None = None
    body: Any = None
    answer: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.era} {self.source}"

    @property
    def operation(self) -> Operation:
        """The operation that is asked."""
        return find_operation(self.method, self.path)

    @property
    def response(self) -> Response:
        """The answer as it comes over the wire."""
        body = json.dumps({"success": True, "errors": [TOLD], "messages": [TOLD], **(self.answer or {})})
        return Response(status=200, headers={"content-type": "application/json"}, body=body.encode())


@cache
def find_operation(method: str, path: str) -> Operation:
    """Return the operation of a request: of those that its path fits, the one with the fewest placeholders."""
    asked = Asked(method, tuple(path.split("/")), (), None)
    return max((one for one in OPERATION_OF.values() if fits(asked, one)), key=lambda one: -one.path.count("{"))


@cache
def examples(era: Era) -> tuple[Example, ...]:
    """Return the examples of an era."""
    file = Path(__file__).parent / "examples" / f"{era}.json"
    return tuple(Example(era=era, **one) for one in json.loads(file.read_text("utf-8")))


EXAMPLES = tuple(one for era in ERAS for one in examples(era))
ANSWERS = tuple(one for one in EXAMPLES if one.answer)


@cache
def find_answer(era: Era, call: str) -> Example:
    """Return the example that shows what a method of our client is answered."""
    return next(one for one in examples(era) if one.answer and one.operation.call == call)
