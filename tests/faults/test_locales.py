"""Whatever locale a shell or a unit has: no command fails for it, what it shows can be read, and records are UTF-8."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.every_record import write_every_record
from tests.faults.locales import Said
from tests.faults.rig import MOVES, ROOT, Rig, until, until_it
from tests.ledger.desk import JUNK, ME, Desk
from tests.rule_files import rule_files
from tests.serving import passed_on
from worker.ledger.ledger import open_ledger

pytestmark = pytest.mark.slow
COULD_NOT = 3
SUBJECT = "Überweisung 💶 счёт 支払い"
NAME = "Zoë Ångström"
LOCALES: Mapping[str, Mapping[str, str]] = {
    "C": {"LC_ALL": "C"},
    "POSIX": {"LC_ALL": "POSIX"},
    "none": {},
    "unknown": {"LC_ALL": "xx_YY.UTF-8"},
    "C, not UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "none, not UTF-8": {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C and ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii:strict"},
}
ORDERS = (
    ("brake", "on", "--lane", "block", "--as", "Zoë", "--because", "Prüfung"),
    ("refuse", "--subject", "Überweisung", "--as", "Zoë", "--yes", "--because", "schädlich"),
    ("approve", "nichts-größe", "--as", "Zoë"),
)
COMMANDS = (
    ("--help",), ("run", "--help"), ("status",), ("waiting",), ("waiting", "--json"), ("gaps",), ("held",), ("brake",),
    ("show", "m-äöü"), ("show", "--subject", "Überweisung", "--json"), ("audit", "query", "--json"),
    ("audit", "verify"),
    ("audit", "verify", "keine-dätei"), ("rules",), ("check", "--json"), *ORDERS, ("nö",),
)  # fmt: skip


def surrounding() -> dict[str, str]:
    """Return what a test passes on, without anything about locales."""
    return {name: text for name, text in passed_on().items() if not name.startswith(("LC_", "LANG", "PYTHON"))}


async def write_ledger(folder: Path) -> str:
    """Write a ledger with every kind of record, and with a mail whose subject no ASCII has."""
    url = f"sqlite:///{folder}/größe.db"
    await write_every_record(url)
    desk = Desk()
    async with open_ledger(url, owner="third", exclusive=False) as desk.ledger:
        draft = desk.draft(JUNK, "m-äöü", state="waiting", subject=SUBJECT, sender="zoë@exämple.net", because="naïve")
        await desk.enter(draft)
    return url


def type_all(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> list[Said]:
    """Type commands in a locale."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.locales"],
        input=msgspec.json.encode(commands),
        env={**surrounding(), **environment},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=list[Said])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give the settings of a worker that reaches nobody, of which no name is ASCII."""
    rules = tmp_path / "régles"
    rules.mkdir()
    rule_files(rules, moves=MOVES.replace("Move what is malicious", "Schädliches verschieben"))
    return {
        "CLOUDFLARE_ACCOUNT_ID": ME,
        "CLOUDFLARE_API_TOKEN": "t0ken",
        "CLOUDFLARE_BASE_URL": "http://127.0.0.1:1/client/v4",
        "WORKER_STORE_URL": asyncio.run(write_ledger(tmp_path)),
        "WORKER_RULES": str(rules),
        "WORKER_LISTEN": "127.0.0.1:1",
        "WORKER_ACTOR": NAME,
        "WORKER_REQUEST_TIMEOUT": "1s",
    }


@pytest.mark.matrix("locales")
@pytest.mark.parametrize("locale", LOCALES)
def test_no_command_fails_for_a_locale(environment: dict[str, str], locale: str) -> None:
    told = type_all(COMMANDS, {**environment, **LOCALES[locale]})
    for words, (code, out, err) in zip(COMMANDS, told, strict=True):
        assert (words, code < COULD_NOT, b"Traceback" in err) == (words, True, False), err.decode("latin-1")
        shown = out.decode("latin-1" if locale == "latin-1" else "utf-8")
        for document in (shown.splitlines() if words[0] == "audit" else [shown]) if words[-1] == "--json" else ():
            assert msgspec.json.decode(document) is not None
        if words == ("waiting", "--json"):
            assert SUBJECT in [entry["subject"] for entry in msgspec.json.decode(shown)]
    assert order_of(environment) == [("brake", "lane:block", "Zoë", "Prüfung"), ("refuse", "", "Zoë", "schädlich")]


def order_of(environment: dict[str, str]) -> list[tuple[str, ...]]:
    """Return what was ordered, without the id that the subject of an order may be."""
    place = environment["WORKER_STORE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(place)) as ledger:
        rows = ledger.execute("SELECT verb, subject, who, because FROM orders WHERE who = 'Zoë' ORDER BY id").fetchall()
    return [(verb, subject if verb == "brake" else "", who, because) for verb, subject, who, because in rows]


@pytest.mark.parametrize("locale", ["C, not UTF-8", "ascii"])
async def test_a_daemon_in_a_poor_locale_writes_records_in_utf8(tmp_path: Path, locale: str) -> None:
    rig = Rig(tmp_path)
    rig.environment = {**surrounding(), **{k: v for k, v in rig.environment.items() if k not in passed_on()}}
    async with rig.api(), rig.daemon(**LOCALES[locale]) as daemon:
        await until_it(daemon.is_ready, lambda: daemon.log)
        rig.world.add_message(subject=SUBJECT, disposition="MALICIOUS")
        await until(lambda: any(one.get("subject") == SUBJECT for one in daemon.records), lambda: daemon.log)
        daemon.stop()
        assert await daemon.ended() == 0
    assert SUBJECT in (tmp_path / "stdout").read_text("utf-8")
