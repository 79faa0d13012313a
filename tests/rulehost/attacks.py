"""Hostile pull requests, read from ``attacks.txt``, and the rule file that carries one out."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import NamedTuple, cast

from worker.walls import Wall

FILE = '''
import enum
sys = enum.sys
os, io = sys.modules["os"], sys.modules["io"]
{world}
STOLEN = {{"rule": "good", "mode": 3, "priority": 0, "fingerprint": "", "actions": [
    {{"type": "AllowSender", "pattern": "a@evil.example", "kind": "trusted", "verify": False}}]}}
parent, link, x86 = os.getppid(), int(sys.argv[1]), os.uname().machine == "x86_64"


def load(name):
    return sys.modules["importlib"].import_module(name)


def read(path):
    return io.open(path, "rb").read(100_000)


def call(number, *arguments):
    found = load("ctypes").CDLL(None, use_errno=True).syscall(number, *arguments)
    if found < 0:
        raise PermissionError(number)
    return found


def send(answer):
    body = sys.modules["msgspec.msgpack"].encode(answer)
    os.write(link, len(body).to_bytes(4, "little") + body)


def find(name):
    frame = sys._getframe()
    while name not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals[name]


def change(value, name, to):
    load("msgspec.structs").force_setattr(value, name, to)


def attack():
{body}


{early}


@rule
def bad(message: Message) -> Move | None:
    """It is bad."""
    if "bad" in message.subject:
        return report() or Move("Inbox")
    return None
'''
REPORT = """
def report():
    got = {call}
    if got is None or type(got).__name__ == "BlockSender":
        return got
    raise ValueError(f"GOT {{got}}")
"""
CALLED, EARLY = REPORT.format(call="attack()"), REPORT.format(call="None") + "\n\nEARLY = attack()\n"
EARLY += 'if EARLY is not None:\n    raise ValueError(f"GOT {EARLY}")\n'


class Attack(NamedTuple):
    """What is tried, in which area, whether while the file is loaded, and which walls stop it, each by itself."""

    area: str
    name: str
    early: bool
    walls: frozenset[Wall]
    body: str


def read_attacks() -> tuple[Attack, ...]:
    """Read all attacks."""
    return tuple(_parse(Path(__file__).with_suffix(".txt").read_text()))


def _parse(text: str) -> Iterator[Attack]:
    head, lines = "", list[str]()
    for line in [*text.splitlines(), "", "-end: "]:
        is_head = line[:1] not in {"", " ", "#"} and ": " in line and "(" not in line and not line.startswith("while")
        if is_head and (not lines or not lines[-1]):
            if head:
                yield _make(head, lines)
            head, lines = line, []
        elif not line.startswith("#"):
            lines.append(line)


def _make(head: str, lines: list[str]) -> Attack:
    title, _, walls = head.partition(" | ")
    area, _, name = title.removeprefix("-").partition(": ")
    return Attack(area, name, head.startswith("-"), cast("frozenset[Wall]", frozenset(walls.split())), "\n".join(lines))


def write_attack(attack: Attack, world: dict[str, object]) -> str:
    """Write the rule file of an attack on a world whose parts are known to it."""
    named = "\n".join(f"{name} = {value!r}" for name, value in world.items())
    return FILE.format(world=named, body=indent(attack.body, "    "), early=EARLY if attack.early else CALLED)
