"""Sealing: put up every wall that this kernel has, and say which stand."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from worker.walls import landlock, process, seccomp

Wall = Literal[
    "not_dumpable",
    "no_new_privileges",
    "no_capabilities",
    "limits",
    "landlock_files",
    "landlock_network",
    "landlock_scopes",
    "seccomp",
]
WALLS: tuple[Wall, ...] = get_args(Wall)
"""In the order in which they are put up: each of the last four leaves less to do for those after it."""
BACKED_UP: frozenset[Wall] = frozenset({"landlock_network", "landlock_scopes"})
"""Walls behind another one: seccomp refuses every socket and every signal to others, too."""
Standing = Mapping[Wall, str]
"""By wall: empty when it stands, else why it does not."""


class Sandbox(NamedTuple):
    """The walls to put up, and those without which a process must not begin."""

    walls: frozenset[Wall] = frozenset(WALLS)
    required: frozenset[Wall] = frozenset()


SANDBOXES = {
    "require": Sandbox(required=frozenset(WALLS) - BACKED_UP),
    "best-effort": Sandbox(),
    "off": Sandbox(walls=frozenset()),
}
"""By what people write in a setting."""


class Limits(NamedTuple):
    """Bytes of address space that a process may use, and the number below which its descriptors stay."""

    memory: int
    descriptors: int


def seal(readable: Iterable[Path], limits: Limits, walls: Collection[Wall] = WALLS) -> Standing:
    """Put up these walls around the process, for good, and return which of them stand.

    Below ``readable`` it can open files for reading afterwards; what is open stays open. It can neither start a process
    nor a thread, open a socket, signal anybody, nor change a file.
    """
    put_up = _list_builders(tuple(readable))
    process.limit_room(*limits)  # before the walls, which refuse to change a limit
    return {wall: _try(put_up[wall]) for wall in WALLS if wall in walls}


def _list_builders(readable: tuple[Path, ...]) -> dict[Wall, Callable[[], None]]:
    return {
        "not_dumpable": process.hide,
        "no_new_privileges": process.gain_nothing,
        "no_capabilities": process.drop_capabilities,
        "limits": process.limit_effects,
        "landlock_files": lambda: landlock.close_files(readable),
        "landlock_network": landlock.close_network,
        "landlock_scopes": landlock.close_scopes,
        "seccomp": seccomp.allow_little,
    }


def _try(put_up: Callable[[], None]) -> str:
    """Put up a wall; return why that failed, empty when it did not."""
    try:
        put_up()
    except (OSError, ValueError) as problem:
        return str(problem) or type(problem).__name__
    return ""


def explain_missing(standing: Standing, walls: Collection[Wall] = WALLS) -> str:
    """Say which of some walls do not stand, and why; empty when all do."""
    missing = {wall: standing.get(wall, "it was not put up") for wall in WALLS if wall in walls}
    return "; ".join(f"{wall}: {why}" for wall, why in missing.items() if why)
