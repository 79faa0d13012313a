"""The processes that are measured, from outside: started, watched through /proc, and ended in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import msgspec

from benchmarks.account import Fill, Filled, Options, Seen, Tell
from worker.sandbox import ACCOUNT

T = TypeVar("T")
PATIENCE = 180.0
"""Seconds after which a measurement that does not come to its end has failed."""
RULE = '''"""The benchmarks' only rule: it asks for no fact."""

from worker import ENFORCE, Message, Move, example, per_hour, rule, sample


@rule(mode=ENFORCE, limit=per_hour(1_000_000), dispositions=("MALICIOUS",))
@example(sample.message(final_disposition="MALICIOUS"), gives=Move("DeletedItems"))
@example(sample.message(final_disposition="MALICIOUS", is_quarantined=True), gives=None)
def malicious(message: Message) -> Move | None:
    """Mail judged malicious was delivered."""
    return None if message.is_quarantined else Move("DeletedItems")
'''


class Running:
    """A process of ours, and what it has used so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Take hold of a process that was started."""
        self.process = process

    def family(self) -> tuple[int, ...]:
        """Return the process and its children, of whichever thread."""
        mine = self.process.pid
        children = [one.read_text().split() for one in Path(f"/proc/{mine}/task").glob("*/children")]
        return (mine, *map(int, chain.from_iterable(children)))

    def cpu(self) -> list[float]:
        """Return the seconds of CPU used by the process, and by each of its children."""
        return [_cpu(pid) for pid in self.family()]

    def pss(self) -> list[float]:
        """Return the proportional set size in MB of the process, and of each of its children."""
        return [_pss(pid) for pid in self.family()]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


class Sandbox(Running):
    """The emulated account."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it listens."""
        super().__init__(process)
        self.url = self._answer(str)

    def _answer(self, kind: type[T]) -> T:
        assert self.process.stdout is not None
        return msgspec.json.decode(self.process.stdout.readline(), type=kind)

    def _ask(self, order: Fill | Tell, kind: type[T]) -> T:
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(order) + b"\n")
        self.process.stdin.flush()
        return self._answer(kind)

    def fill(self, order: Fill) -> dict[str, float]:
        """Put mail in; return when each matching message becomes visible, in seconds since the epoch."""
        return self._ask(order, Filled).visible

    def log(self) -> list[Seen]:
        """Return every request so far."""
        return self._ask(Tell(), list[Seen])

    def moved(self) -> dict[str, float]:
        """Return when each message was moved first; it is an error if one was moved twice."""
        moves = [effect for effect in get(self.url, "/_sandbox/effects") if effect["operation"] == "move"]
        first = {str(effect["target"]): float(effect["at"]) for effect in moves}
        assert len(first) == len(moves), "a message was moved twice"
        return first

    def requests(self) -> dict[str, dict[str, int]]:
        """Return how many requests of each operation had which answer."""
        found: dict[str, dict[str, int]] = get(self.url, "/_sandbox/requests")
        return found


def get(url: str, path: str) -> Any:  # noqa: ANN401 (JSON)
    """Read a document."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", path)
        return msgspec.json.decode(connection.getresponse().read())
    finally:
        connection.close()


class Record(msgspec.Struct, frozen=True):
    """An audit record, as far as it is measured."""

    at: str
    verb: str
    entry: str = ""
    to: str = ""
    target: str = ""


class Daemon(Running):
    """`worker run`, its audit records kept in a file."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Take hold of it."""
        super().__init__(process)
        self._folder = folder
        self._read, self._done = 0, 0

    def done(self) -> int:
        """Return how many entries are proved done, as far as the records tell."""
        with (self._folder / "records").open("rb") as records:
            records.seek(self._read)
            lines = records.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        self._done += whole.count(b'"to":"done"')
        return self._done

    def until_done(self, count: int) -> None:
        """Wait until so many entries are proved."""
        until = time.monotonic() + PATIENCE
        while self.done() < count:
            self._alive(until)
            time.sleep(0.5)

    def _alive(self, until: float) -> None:
        assert self.process.poll() is None, self.said()
        assert time.monotonic() < until, f"{self._done} proved, then patience was over\n{self.said()}"

    def until_ready(self) -> None:
        """Wait until it has read up to the present."""
        until = time.monotonic() + PATIENCE
        while b'"listening"' not in (said := (self._folder / "log").read_bytes()):
            self._alive(until)
            time.sleep(0.1)
        line = next(line for line in said.splitlines() if b'"listening"' in line)
        address = str(msgspec.json.decode(line)["url"])
        while not _is_ready(address):
            self._alive(until)
            time.sleep(0.1)

    def records(self) -> list[Record]:
        """Return the audit records."""
        lines = (self._folder / "records").read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Record) for line in lines]

    def said(self) -> str:
        """Return the end of its log."""
        return (self._folder / "log").read_text()[-3000:]


def _is_ready(address: str) -> bool:
    connection = HTTPConnection(address.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    finally:
        connection.close()


@contextmanager
def sandbox(options: Options) -> Iterator[Sandbox]:
    """Serve an account while the block runs."""
    command = [sys.executable, "-m", "benchmarks.account", msgspec.json.encode(options).decode()]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 (ours)
    try:
        yield Sandbox(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


@contextmanager
def daemon(account: Sandbox, **settings: str) -> Iterator[Daemon]:
    """Run the worker on an account while the block runs, and stop it in order."""
    with TemporaryDirectory(prefix="worker-bench-") as name:
        folder = Path(name)
        (folder / "rules").mkdir()
        (folder / "rules" / "malicious.py").write_text(RULE)
        command = [sys.executable, "-m", "worker", "run"]
        with (folder / "records").open("wb") as records, (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 (ours)
                command, stdout=records, stderr=log, env=_environment(account, folder) | settings
            )
        running = Daemon(process, folder)
        try:
            yield running
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, running.said()


def _environment(account: Sandbox, folder: Path) -> dict[str, str]:
    """Return the settings, and of our own environment only what the interpreter needs."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "CLOUDFLARE_BASE_URL": f"{account.url}/client/v4",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "CLOUDFLARE_API_TOKEN": "any",
        "WORKER_STORE_URL": f"sqlite:///{folder / 'worker.db'}",
        "WORKER_RULES": str(folder / "rules"),
        "WORKER_CEILING": "enforce",
        "WORKER_LISTEN": "127.0.0.1:0",
    }
