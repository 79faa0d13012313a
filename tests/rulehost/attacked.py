"""A daemon that is attacked: ``python -m tests.rulehost.attacked FOLDER WALLS NAME…`` prints JSON, a line an attack.

It runs in a process of its own, with a secret in its environment, its memory, its ledger and a file, and listens to
everything that a rule could send.
"""

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from textwrap import dedent

from msgspec import Struct, json

from tests.rule_files import GOOD, PRELUDE, mail
from tests.rulehost.attacks import Attack, read_attacks, write_attack
from worker.errors import RuleError
from worker.rulehost import host as hosting
from worker.rulehost.evaluation import Said
from worker.rulehost.host import Deadlines, Host
from worker.walls import WALLS, Sandbox, hide
from worker.walls.process import drop_capabilities

SECRET = "s3cret-token-0123456789"  # noqa: S105 (made up)
BOOT, SLEEPER = b"worker.rulehost.child", b"31337"
ABSTRACT = "\0hostile"


class Outcome(Struct, frozen=True):
    """What an attack came to."""

    name: str
    got: bool
    """Whether it said itself that it got something, or something is not as it was."""
    said: str
    effects: list[tuple[str, str, list[str]]]
    """Rule, mode and actions of every proposal."""
    keys: list[str]
    sent: int
    left: int
    """Processes that were there afterwards."""
    stalled: float


class World:
    """Everything that an attack could reach."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._files = folder, dict[Path, bytes]()
        self.make()
        self.sockets = [self._listen(*one) for one in ((2, 1, ("127.0.0.1", 0)), (2, 2, ("127.0.0.1", 0)))]
        self.sockets += [self._listen(1, 1, str(folder / "unix")), self._listen(1, 1, ABSTRACT + str(os.getpid()))]

    def _listen(self, family: int, kind: int, address: object) -> socket.socket:
        """Listen, without waiting for anybody."""
        if isinstance(address, str) and address.startswith("/"):
            Path(address).unlink(missing_ok=True)
        one = socket.socket(family, kind)
        one.bind(address)  # type: ignore[arg-type]
        one.settimeout(0)
        if kind == socket.SOCK_STREAM:
            one.listen()
        return one

    def describe(self) -> dict[str, object]:
        """Return what an attack knows."""
        tcp, udp, *_ = self.sockets
        return {
            "SECRETS": str(self.folder / "secrets/CLOUDFLARE_API_TOKEN"),
            "LEDGER": str(self.folder / "worker.db"),
            "RULES": str(self.folder / "rules"),
            "DROP": str(self.folder / "drop"),
            "TCP": tcp.getsockname()[1],
            "UDP": udp.getsockname()[1],
            "UNIX": str(self.folder / "unix"),
            "ABSTRACT": ABSTRACT + str(os.getpid()),
        }

    def count_sent(self) -> int:
        """Return how often somebody was heard since the last time."""
        heard = 0
        for one in self.sockets:
            with suppress(BlockingIOError):
                one.accept()[0].close() if one.type == socket.SOCK_STREAM else one.recv(100)
                heard += 1
        return heard

    def make(self) -> None:
        """Make all files, as they are before an attack."""
        for name in ("rules", "secrets", "drop"):
            (self.folder / name).mkdir(exist_ok=True)
            for one in (self.folder / name).iterdir():
                shutil.rmtree(one) if one.is_dir() else one.unlink()
        (self.folder / "worker.db").unlink(missing_ok=True)
        with sqlite3.connect(self.folder / "worker.db") as ledger:
            ledger.execute("create table secret (value text)")
            ledger.execute("insert into secret values (?)", (SECRET,))
        (self.folder / "secrets/CLOUDFLARE_API_TOKEN").write_text(SECRET)
        (self.folder / "drop/stranger.py").write_text(f"SECRET = {SECRET!r}\n")
        (self.folder / "drop/evil.so").write_bytes(b"\x7fELF")
        self._files = self._read_files()

    def _read_files(self) -> dict[Path, bytes]:
        """Return all files but the rules, with what is in them."""
        places = [self.folder / "worker.db", *(self.folder / "secrets").iterdir(), *(self.folder / "drop").iterdir()]
        return {one: one.read_bytes() if one.is_file() else b"" for one in places if one.name != "__pycache__"}

    def is_whole(self) -> bool:
        """Tell whether nothing was changed on the disk."""
        if not (self.folder / "worker.db").exists() or not (self.folder / "rules/good.py").exists():
            return False
        mode = (self.folder / "secrets/CLOUDFLARE_API_TOKEN").stat().st_mode & 0o777
        return self._read_files() == self._files and mode != 0o777


def end_left() -> int:
    """End the processes of rules, and those started by them, that are left; return how many there were."""
    found = 0
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            mine = BOOT in b"".join(words[:5]) and str(os.getpid()).encode() in words
            if (mine or SLEEPER in words) and b") Z " not in (process / "stat").read_bytes():
                found += 1
                os.kill(int(process.name), signal.SIGKILL)
    return found


@asynccontextmanager
async def watch_loop(longest: list[float]) -> AsyncIterator[None]:
    """Note how long the loop did not turn at most, without the time in which this process was given no processor."""

    async def turn() -> None:
        while True:
            last, lacked = time.monotonic(), read_lacked()
            await asyncio.sleep(0.001)
            longest[0] = max(longest[0], time.monotonic() - last - (read_lacked() - lacked))

    task = asyncio.create_task(turn())
    try:
        yield
    finally:
        task.cancel()


def read_lacked() -> float:
    """Return for how many seconds this process could have run and was not given a processor."""
    return int(Path("/proc/self/schedstat").read_bytes().split()[1]) / 1e9


async def try_attack(attack: Attack, world: World, sandbox: Sandbox) -> Outcome:
    """Let some mails be judged by a good rule and a hostile one."""
    world.make()
    rules, longest, said, problems = world.folder / "rules", [0.0], list[Said](), list[str]()
    (rules / "good.py").write_text(PRELUDE + dedent(GOOD))
    (rules / "bad.py").write_text(PRELUDE + write_attack(attack, world.describe()))
    async with watch_loop(longest):
        try:
            async with Host(rules, deadlines=Deadlines(0.3, 1.0), sandbox=sandbox) as host:
                said += await host.propose([mail("1"), mail("2", subject="bad"), mail("3")])
                said += await host.propose([mail("4")])
        except RuleError as error:
            problems.append(str(error))
    problems += [failure.problem for one in said for failure in one.failed] + [one.unreadable for one in said]
    effects = [
        (each.rule, each.mode.name, [type(action).__name__ for action in each.actions])
        for one in said
        for each in one.proposals
    ]
    got = any("GOT" in one for one in problems) or not world.is_whole()
    return Outcome(
        name=f"{attack.area}: {attack.name}",
        got=got,
        said="; ".join(filter(None, problems))[:300],
        effects=effects,
        keys=[one.key for one in said],
        sent=world.count_sent(),
        left=end_left(),
        stalled=longest[0],
    )


@contextmanager
def secret_kept() -> Iterator[str]:
    """Have a secret in memory, and take it out of the environment as the worker does."""
    yield os.environ.pop("CLOUDFLARE_API_TOKEN", SECRET)


def main() -> None:
    """Try the attacks that are named, or all."""
    folder, walls, *names = sys.argv[1:]
    if "exposed" not in walls:
        hide()
        drop_capabilities()  # as a user without privileges
    sandbox = Sandbox(frozenset(wall for wall in WALLS if wall in walls.split(",")))
    hosting.PAGE_SECONDS = 2.0
    with secret_kept():
        world = World(Path(folder))
        os.chdir(folder)
        for attack in read_attacks():
            if not names or f"{attack.area}: {attack.name}" in names:
                outcome = asyncio.run(try_attack(attack, world, sandbox))
                print(json.encode(outcome).decode(), flush=True)  # noqa: T201 (its product)


if __name__ == "__main__":
    main()
