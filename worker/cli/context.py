"""What all commands share: the environment in, sentences and exit codes out."""

import asyncio
import getpass
import os
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, TypeVar

import typer
from typer.exceptions import TyperException

from worker.cli.locales import read_environment
from worker.errors import RuleError, SettingsError, WorkerError
from worker.escaping import escape

if TYPE_CHECKING:
    from worker.ledger.ledger import Ledger
    from worker.settings import Settings

T = TypeVar("T")
DONE, FOUND, USAGE, COULD_NOT = 0, 1, 2, 3

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of tables for people.")]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="The reason, for the audit records.")]
As = Annotated[
    str,
    typer.Option(
        "--as", metavar="NAME", help="Your name in the audit records. Default: WORKER_ACTOR, else your login name."
    ),
]
LONGEST_NAME = 200
SAYING, LAST_WORDS = "last words", 2.0
"""The thread that says why a command ends, and the seconds that it has."""
PICKED_UP = "A running worker picks it up within a second, otherwise at its next start."


class NothingDone(WorkerError):
    """An order came to nothing, and a person should look again; ends the command with 1."""


class Person(NamedTuple):
    """The person who gives an order, as the audit records name them, and why."""

    who: str
    because: str
    is_named: bool = True

    def describe_order(self) -> str:
        """Say what becomes of an order, and under which name when that is none."""
        hint = "" if self.is_named else f" It is on record as {self.who}: give your name with --as or WORKER_ACTOR."
        return PICKED_UP + hint


def find_person(settings: "Settings", who: str, because: str) -> Person:
    """Return who gives an order: a name that was given, else the login name, else no more than a number."""
    name = who.strip() or settings.actor.strip() or _find_login()
    return Person(escape(name, LONGEST_NAME) or f"uid {os.getuid()}, no name given", because, is_named=bool(name))


def require_name(person: Person, command: str) -> None:
    """Refuse an order that lets actions go on from a person without a name; to stop something needs none."""
    if not person.is_named:
        raise SettingsError(
            f"`worker {command}` lets actions go on, so the audit records need your name, and uid {os.getuid()} has no "
            "login name here: add --as NAME, or set WORKER_ACTOR"
        )


def _find_login() -> str:
    try:
        return getpass.getuser().strip()
    except (KeyError, OSError, ImportError):  # a container's user often has no line in passwd
        return ""


def read_settings() -> "Settings":
    """Read the settings and remove every secret from the environment, so that no child process inherits one."""
    from worker.settings import NOTIFY, SECRET, Settings

    settings = Settings.load(read_environment(os.environ))
    for name in [name for name in os.environ if name in SECRET or name.startswith(NOTIFY)]:
        del os.environ[name]
    return settings


@asynccontextmanager
async def open_ledger(settings: "Settings") -> AsyncIterator[tuple["Ledger", tuple[str, ...]]]:
    """Open the ledger beside a daemon that may be using it; yield it with the account that is set, or with all.

    Raises StoreError when there is no ledger, or when this user may not write it.
    """
    from worker.ledger import ledger

    ledger.find_ledger(settings.store_url)  # opening one that is not there would make it
    async with ledger.open_ledger(settings.store_url, owner=_name_owner(), exclusive=False) as found:
        yield found, await _list_accounts(settings, found)


@asynccontextmanager
async def read_ledger(settings: "Settings") -> AsyncIterator[tuple["Ledger", tuple[str, ...]]]:
    """Open the ledger to look at it; a copy that this user may not write will do."""
    from worker.ledger import ledger

    async with ledger.read_ledger(settings.store_url, owner=_name_owner()) as found:
        yield found, await _list_accounts(settings, found)


def _name_owner() -> str:
    return f"person-{os.getpid()}"


async def _list_accounts(settings: "Settings", ledger: "Ledger") -> tuple[str, ...]:
    return (settings.account_id,) if settings.account_id else tuple(await ledger.accounts())


def has_ledger(settings: "Settings") -> bool:
    """Tell whether a ledger is there: opening one that is not would make an empty one, and who only looks must not."""
    return Path(settings.store_url.removeprefix("sqlite:///")).exists()


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run the asynchronous part of a command."""
    return asyncio.run(work)


def confirm(question: str) -> bool:
    """Ask a person; who goes away says no."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        typer.echo()
        return False


def exit_on_finding(finding: object) -> None:
    """End the command with 1 when there is something that a person should see."""
    if finding:
        raise typer.Exit(FOUND)


def exit_on_failure(failure: object) -> None:
    """End the command with 3 when something could not be done or asked."""
    if failure:
        raise typer.Exit(COULD_NOT)


def occupy_descriptors() -> None:
    """Open nothing where stdin, stdout or stderr was closed, so that no file of ours takes its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def run(app: Callable[..., object], arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; an error is one sentence on stderr."""
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="worker", standalone_mode=False)
    except SystemExit:  # how typer ends a command whose reader has gone (`| head`): nothing is wrong
        return DONE
    except Exception as error:  # noqa: BLE001 (else Python would exit with 1, which means a finding)
        sentence, code = _explain(error)
        _tell(f"worker: {sentence}")
    return code if isinstance(code, int) else DONE


def _tell(sentence: str) -> None:
    """Say why a command ends; a stderr that takes nothing must not keep it from that."""

    def say() -> None:
        with suppress(OSError):
            typer.echo(sentence, err=True)

    saying = threading.Thread(target=say, name=SAYING, daemon=True)
    saying.start()
    saying.join(LAST_WORDS)


def end(code: int) -> NoReturn:
    """Write out what is left, and end. A failure was told already, and Python must not tell it again."""
    if any(thread.name == SAYING for thread in threading.enumerate()):
        os._exit(code)  # Python itself would wait for what it has not written
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _explain(error: Exception) -> tuple[str, int]:
    """Return what to say about an error, and the exit code."""
    match error:
        case TyperException():
            command = getattr(getattr(error, "ctx", None), "command_path", "worker")
            return f"{error.format_message().rstrip('.')} (see `{command} --help`)", USAGE
        case NothingDone():
            return str(error), FOUND
        case WorkerError():
            return str(error), USAGE if isinstance(error, SettingsError | RuleError) else COULD_NOT
        case OSError(filename=str(name), strerror=why):
            return f"cannot use {name}: {why}; check the path and its permissions", COULD_NOT
        case OSError(strerror=str(why)):  # such as a full disk below stdout, or no folder for temporary files
            return f"cannot go on: {why}; check the disk, the folders and their permissions", COULD_NOT
        case _:
            return "unexpected error, please report it:\n" + "".join(traceback.format_exception(error)), COULD_NOT
