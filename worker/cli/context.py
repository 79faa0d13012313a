"""Where the process meets the outside: the environment in, sentences and exit codes out."""

import asyncio
import getpass
import os
import traceback
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer
from typer.exceptions import TyperException

from worker.errors import RuleError, SettingsError, StoreError, WorkerError

if TYPE_CHECKING:
    from worker.ledger.ledger import Ledger
    from worker.settings import Settings

T = TypeVar("T")
DONE, FOUND, USAGE, COULD_NOT = 0, 1, 2, 3

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why, for the audit record.")]
As = Annotated[str, typer.Option("--as", metavar="NAME", help="Who decides; your user name without it.")]
ORDERED = "ordered; a running worker takes it up within a second, another one when it starts"


class Person(NamedTuple):
    """Who decides, and why."""

    who: str
    because: str

    @property
    def name(self) -> str:
        """The name for the record."""
        return self.who or getpass.getuser()


def settings() -> "Settings":
    """Read the settings, then take every secret out of the environment, so that no child process inherits one."""
    from worker.settings import NOTIFY, SECRET, Settings

    read = Settings.load(os.environ)
    for name in [name for name in os.environ if name in SECRET or name.startswith(NOTIFY)]:
        del os.environ[name]
    return read


@asynccontextmanager
async def ledger(read: "Settings") -> AsyncIterator[tuple["Ledger", tuple[str, ...]]]:
    """Open the ledger, beside a daemon that may be running on it, and name the accounts meant: that set, or all.

    Raises StoreError when there is no ledger yet.
    """
    from worker.ledger.ledger import open_ledger

    _there(read.store_url.removeprefix("sqlite:///"))
    async with open_ledger(read.store_url, owner=f"person-{os.getpid()}", exclusive=False) as opened:
        yield opened, (read.account_id,) if read.account_id else tuple(await opened.accounts())


def _there(path: str) -> None:
    """Refuse to make a ledger only to look at it."""
    if not Path(path).exists():
        raise StoreError(f"there is no ledger at {path}: start `worker run` first, or set WORKER_STORE_URL")


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run what a command does."""
    return asyncio.run(work)


def found(something: object) -> None:
    """End the command with 1 when there is something that a person should look at."""
    if something:
        raise typer.Exit(FOUND)


def could_not(something: object) -> None:
    """End the command with 3 when something could not be done or asked."""
    if something:
        raise typer.Exit(COULD_NOT)


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; what went wrong is one sentence on stderr."""
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="worker", standalone_mode=False)
    except TyperException as error:
        return _told(f"{error.format_message()} (worker --help shows what there is)", USAGE)
    except WorkerError as error:
        return _told(str(error), USAGE if isinstance(error, SettingsError | RuleError) else COULD_NOT)
    except SystemExit:  # so the library ends a command whose reader has gone (`| head`): nothing is wrong
        return DONE
    except Exception:  # noqa: BLE001 (the last resort: exit code 1 means something else)
        return _told("this should not have happened; please report it:\n" + traceback.format_exc(), COULD_NOT)
    return code if isinstance(code, int) else DONE


def _told(sentence: str, code: int) -> int:
    """Say it on stderr."""
    typer.echo(f"worker: {sentence}", err=True)
    return code
