"""Questions to the API of an account, and what is found: sentences for the person who checks it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

from worker.cli.client import wait_for
from worker.errors import Permanent, Temporary, Unsure, WorkerError

T = TypeVar("T")


class Finding(NamedTuple):
    """A sentence about an account: what must be fixed, what only a later step needs, or what nobody could answer."""

    kind: Literal["problems", "unanswered", "remarks"]
    says: str


Refusals = Mapping[type[WorkerError], Finding | None]
"""What each refusal by the API means; None where it means that all is well."""


async def ask(
    question: Awaitable[T],
    refusals: Refusals,
    judge: Callable[[T], Finding | None] = lambda _: None,
) -> Finding | None:
    """Ask a question; return a finding about the answer, None when all is well."""
    try:
        return judge(await wait_for(question))
    except (Temporary, Unsure) as error:
        return Finding("unanswered", f"the API cannot be asked now: {error}")
    except Permanent as error:
        return _explain(error, refusals)
    except WorkerError as error:
        return Finding("problems", str(error))


def _explain(error: Permanent, refusals: Refusals) -> Finding | None:
    """Return what a refusal means here, with the API's own words; None where it means that all is well."""
    finding = refusals.get(type(error), Finding("problems", str(error)))
    if finding is None or type(error) not in refusals or not error.reason:
        return finding
    return Finding(finding.kind, f"{finding.says}; the API said: {error.reason}")
