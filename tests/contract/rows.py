"""The contract as a table: for each operation the same call with our client and with Cloudflare's SDK."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.contract.scene import Scene


class Said(NamedTuple):
    """Arguments."""

    args: tuple[Any, ...]
    named: dict[str, Any]


def said(*args: Any, **named: Any) -> Said:  # noqa: ANN401 (whatever an operation takes)
    """Write arguments down as they would stand in a call."""
    return Said(args, named)


@dataclass(frozen=True)
class Row:
    """One operation: ``call`` is a method of our client, ``sdk`` one of the SDK's (empty where it has none).

    ``holds`` tells whether what our client returned, and what became of the account, is right.
    """

    call: str
    ours: Callable[[Scene], Said]
    holds: Callable[[Any, Scene], bool]
    sdk: str = ""
    theirs: Callable[[Scene], Said] = lambda _: said()

    def __str__(self) -> str:
        return self.call
