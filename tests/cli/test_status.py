"""`worker status`: how the daemon is, whoever answers in its place, and what the ledger holds."""

import asyncio
import os
import re
import socket
import time
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.api.desk import http, serving
from tests.cli.shell import Shell
from tests.faults.rig import LISTENS, Rig
from tests.ledger.desk import ME, Desk, reading
from tests.rule_files import rule_files
from worker.cli.status import ask_daemon
from worker.language.actions import Move
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Held, Mishap, Page, Sight
from worker.settings import Listen
from worker.web import Readiness, serve

pytestmark = pytest.mark.slow  # it starts a server


def listen(url: str) -> Listen:
    """Return where a server listens."""
    return Listen("127.0.0.1", urlsplit(url).port or 0)


def enter_pages(*pages: Page) -> None:
    """Make a ledger that holds these pages."""

    async def enter() -> None:
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
            for page in pages:
                await ledger.enter(page)

    asyncio.run(enter())


def test_what_waits_and_how_far_all_is_read_is_shown_without_a_worker(worked: Shell) -> None:
    (found,) = worked.json("status")["accounts"]
    assert found["waiting"] == found["entries"]["Move"]["waiting"] + sum(
        states.get("waiting", 0) for kind, states in found["entries"].items() if kind != "Move"
    )
    assert [source["open gaps"] for source in found["sources"]] == [0, 0, 0, 0]
    code, out, _ = worked.type("status")
    waiting = f"waiting     {found['decisions waiting']} decisions, the oldest for "
    assert (code, waiting in out, "no worker answers" in out) == (0, True, True)
    assert max(len(line) for line in out.splitlines()[1:]) <= 100


def test_what_matters_comes_first(worked: Shell) -> None:
    worked.type("brake", "on", "--rule", "malicious_mail", "--as", "ada")
    worked.json("run", "--once")
    out = worked.type("status")[1]
    head = out[out.index("account ") :].split("\n\n")[0].splitlines()
    names = [line.split()[0] for line in head if line[0] != " "]
    assert names == ["account", "ceiling", "brakes", "waiting", "held", "unreadable", "signed", "version", "rules"]
    told = " ".join(" ".join(head).split())
    assert all(rule["rule"] in told for rule in worked.json("rules"))
    assert all(word in told for word in ("ceiling approve", "brakes rule malicious_mail, by ada", "held none"))
    assert re.search(rf"version {version('worker')}, started \w+ ago, stopped \w+ ago rules \d+: ", told)


def test_what_is_held_is_told_with_since_when_and_why(shell: Shell) -> None:
    shell.set(CLOUDFLARE_ACCOUNT_ID="a1")
    aside = Held(sight=Sight(reading(), 1), why="needs Trace", since=time.time() - 300, tries=0, next_at=0.0)
    enter_pages(Page(account="a1", now=time.time(), source="messages", held=(aside,)))
    assert "held        1 event, the oldest for 5m: not tried yet: needs Trace" in shell.type("status")[1]


def test_only_events_are_called_held_and_entries_queued(shell: Shell) -> None:
    drafts = Desk().draft(), Desk().draft(Move("Inbox"), cause="2026-01-05T12:00:00Z/Message/m1/2")
    enter_pages(Page(account=ME, now=time.time(), source="messages", drafts=drafts))
    assert shell.json("status")["accounts"][0]["entries"]["Move"] == {"held": 1, "ready": 1}
    out = shell.type("status")[1]
    assert re.findall(r"held +\w+", out) == ["held        none"]
    assert re.search(r"^action +queued +ready *$", out, re.MULTILINE)
    assert "→ queued" in shell.type("audit", "query")[1]


def test_the_table_of_brakes_is_named(worked: Shell) -> None:
    assert "\n\nno brake is on\n\n" in worked.type("status")[1]
    worked.type("brake", "on", "--lane", "block")
    worked.json("run", "--once")
    _, out, _ = worked.type("status")
    table = out.split("\n\nbrakes that are on:\n")[1].split("\n\n")[0]
    assert ("because" in table.splitlines()[0], "block" in table.splitlines()[2]) == (True, True)


@pytest.mark.parametrize("account", ["", "a1"])
def test_a_ledger_with_nothing_in_it_says_so(shell: Shell, account: str) -> None:
    enter_pages()
    shell.set(CLOUDFLARE_ACCOUNT_ID=account)
    code, out, _ = shell.type("status")
    assert (code, "not read yet" in out, "no entries yet" in out) == (0, bool(account), bool(account))
    assert ("nothing has been read yet" in out) == (not account)


def test_each_rule_that_failed_is_named_by_its_last_failure(shell: Shell) -> None:
    shell.set(CLOUDFLARE_ACCOUNT_ID="a1")
    failures = [
        Mishap(
            rule=rule,
            fingerprint="f",
            cause=f"2026-01-0{n}T12:00:00Z/Message/m/{n}",
            problem=f"r.py:{n}: \u202ebad",
            raw=b"{}",
        )
        for n, rule in enumerate(["divides", "divides", "other"], 1)
    ]
    enter_pages(
        *(Page(account="a1", now=float(n), source="messages", mishaps=(one,)) for n, one in enumerate(failures))
    )
    (found,) = shell.json("status")["accounts"]
    assert [(row["rule"], row["failures"]) for row in found["failing rules"]] == [("divides", 2), ("other", 1)]
    _, out, _ = shell.type("status")
    assert "r.py:2: \\u202Ebad" in out
    assert "r.py:1" not in out


async def test_a_worker_is_asked_how_it_is() -> None:
    how = Readiness(
        ready=False, why=("messages: nothing\n\x1b[2J\u202e" + "x" * 5000,) * 99, warnings=("rules refused",)
    )

    async def metrics() -> bytes:
        return b""

    async with serve("127.0.0.1", 0, readiness=lambda: how, metrics=metrics) as url:
        told = await ask_daemon(listen(url))
    assert (told.answers, told.ready, told.warnings, len(told.why)) == (True, False, ("rules refused",), 50)
    assert told.why[0].startswith("messages: nothing \\u001B[2J\\u202Exxx")
    assert len(told.why[0]) == 1000


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-nonsense close\r\n\r\n",
        http("200 OK", b"<html>"),
        http("200 OK", b'{"ready": "yes"}'),
        http("200 OK", b'{"ready": true, "deep": ' + b"[" * 30_000),
        http("200 OK", b'{"ready": true, "why": ["\xff"]}'),
        http("302 Found", b"", "Location: /elsewhere"),
    ],
    ids=["nothing", "not http", "page", "other", "deep", "not text", "redirect"],
)
async def test_whoever_else_answers_there_is_not_believed(answer: bytes) -> None:
    async with serving(answer) as server:
        told = await ask_daemon(listen(server.url))
    assert (told.answers, told.ready, len(server.heard)) == (False, False, 1)
    assert "(something else answers there)" in told.why[0]


async def test_an_answer_without_an_end_is_not_read_to_it() -> None:
    endless = http("200 OK", b'{"ready": true, "why": [] ' + b" " * 1_100_000, length=10**12)
    async with serving(endless, b"so that the connection is kept open") as server:
        assert "(something else answers there)" in (await ask_daemon(listen(server.url))).why[0]


async def test_who_never_answers_is_not_waited_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = await ask_daemon(Listen("127.0.0.1", silent.getsockname()[1]), patience=0.1)
    assert (told.answers, "within 0.1 s" in told.why[0]) == (False, True)


async def test_where_nobody_listens_is_named_also_when_it_is_of_the_newer_kind() -> None:
    assert (
        (await ask_daemon(Listen("::1", 1))).why[0].startswith("no worker answers at [::1]:1 (nothing listens there)")
    )


async def test_the_status_tells_what_keeps_a_running_worker_from_working(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.environment["CLOUDFLARE_BASE_URL"] = "http://127.0.0.1:1/client/v4"
    async with rig.daemon() as daemon:
        at = urlsplit(await daemon.logged(LISTENS)).netloc
        rule_files(rig.rules, broken="def f(:\n")
        await daemon.logged("rules refused")
        told = await rig.command("status", WORKER_LISTEN=at)
    assert (told.code, told.out.splitlines()[0]) == (0, f"the worker at {at} is not ready:")
    assert told.out.count("could not connect to the API at 127.0.0.1:1 (Connection refused)") == 1
    assert "broken.py:2" in told.out.partition("\nwarning: ")[2].splitlines()[0]
