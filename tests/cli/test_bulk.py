"""`worker bulk`: jobs as the API tells them, and how one is stopped and that put on record."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.cli.shell import Shell
from tests.serving import Serving, passed_on, sandbox
from worker.cli.bulk import COPIES
from worker.sandbox import IncomingRequest, SandboxOptions

pytestmark = pytest.mark.slow  # it starts a server

NOWHERE = {"CLOUDFLARE_BASE_URL": "http://127.0.0.1:9/client/v4", "WORKER_REQUEST_TIMEOUT": "100ms"}


@pytest.fixture
def busy() -> Iterator[Serving]:
    """Give an account whose jobs soon find 40 messages and then take their time."""
    with sandbox(options=SandboxOptions(job_step=0.3, job_handles=1)) as serving:
        serving.world.arrive(40, "outbreak")
        yield serving


@pytest.fixture
def quick() -> Iterator[Serving]:
    """Give an account whose jobs are done at once."""
    with sandbox(options=SandboxOptions(job_step=0.01)) as serving:
        serving.world.arrive(40, "outbreak")
        yield serving


def begin(serving: Serving, **more: object) -> str:
    """Begin a job as somebody else does; return its id."""
    now = time.time()
    start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (now - 3600, now))
    search = {"start": start, "end": end, "subject": "\x1b[2J pay", "final_disposition": "MALICIOUS", "domain": None}
    body = {"action": "MOVE", "destination": "JunkEmail", "search_params": search | more, "comment": "by hand\u202e"}
    return str(post(serving, "", msgspec.json.encode(body))["job_id"])


def post(serving: Serving, path: str, body: bytes = b"") -> dict[str, Any]:
    """Ask the account something as somebody else does; return what it answers."""
    bulk = f"/client/v4/accounts/{serving.world.account}/email-security/investigate/bulk"
    answer = serving.world.handle(IncomingRequest("POST", bulk + path, (), {"authorization": "Bearer any"}, body))
    return dict(msgspec.json.decode(answer.body)["result"])


def begin_all(serving: Serving) -> str:
    """Begin a job about all the mail there is, and wait until it has found it."""
    job = begin(serving, subject=None)
    until(serving, lambda: len(serving.world.jobs[job].rows) >= 40)
    return job


def until(serving: Serving, holds: Callable[[], bool]) -> None:
    """Wait until something holds in an account."""
    patience = time.monotonic() + 10
    while not holds():
        serving.world.advance()
        assert time.monotonic() < patience
        time.sleep(0.01)


def over(serving: Serving, job: str) -> bool:
    """Tell whether a job has ended."""
    return not serving.world.jobs[job].running


def at(shell: Shell, serving: Serving, **more: str) -> Shell:
    """Point a shell at an account."""
    shell.set(**serving.environment(shell.folder, **more))
    return shell


def orders(shell: Shell) -> list[dict[str, Any]]:
    """Return what is on record as ordered."""
    lines = shell.type("audit", "query", "--verb", "ordered", "--json")[1].splitlines()
    return [msgspec.json.decode(line) for line in lines]


def test_without_jobs_that_is_said(shell: Shell, account: Serving) -> None:
    assert at(shell, account).type("bulk", "list") == (0, "there are no bulk jobs\n", "")
    assert shell.json("bulk", "list") == []


def test_jobs_are_listed_in_a_hundred_columns_with_nothing_that_steers_a_terminal(shell: Shell, busy: Serving) -> None:
    first, second = begin(busy), begin_all(busy)
    code, out, err = at(shell, busy).type("bulk", "list")
    assert (code, err) == (0, "")
    assert {len(line) <= 100 for line in out.splitlines()} == {True}
    assert first in out
    assert {"MOVE", "JunkEmail", r"hand\u202E"} <= set(out.split())
    assert out.replace("\n", "").isprintable()
    assert out.endswith(f"\n{COPIES}\n")
    rows = {row["id"]: row for row in shell.json("bulk", "list")}
    assert (rows[second]["found"], rows[first]["comment"]) == (len(busy.world.jobs[second].rows), "by hand\u202e")
    assert rows[first]["search"]["subject"] == "\x1b[2J pay"


def test_a_job_is_shown_with_what_it_looks_for_and_what_became_of_its_messages(shell: Shell, quick: Serving) -> None:
    job = begin_all(quick)
    until(quick, lambda: over(quick, job))
    code, out, _ = at(shell, quick).type("bulk", "show", job, "--limit", "3")
    assert (code, out.count("@corp"), COPIES in out.splitlines()) == (0, 3, True)
    assert "final_disposition MALICIOUS" in out
    assert "domain" not in out.partition("looks for")[2].splitlines()[0]
    assert "There are more messages: --limit 30 shows more" in out
    told = shell.json("bulk", "show", job, "--status", "COMPLETED", "--limit", "1000")
    assert ({row["status"] for row in told["messages"]}, told["more"]) == ({"COMPLETED"}, False)
    assert len(told["messages"]) == told["job"]["done"] == len(quick.world.jobs[job].rows)
    assert shell.type("bulk", "show", job, "--status", "FAILED")[1].endswith("no message has this status\n")


def test_what_a_job_looks_for_is_shown_harmlessly(shell: Shell, busy: Serving) -> None:
    _, out, _ = at(shell, busy).type("bulk", "show", begin(busy))
    assert r"subject \u001B[2J pay" in out
    assert "no messages yet" in out


@pytest.mark.parametrize("words", [("show",), ("cancel", "--yes")])
def test_a_job_that_is_not_there_is_a_finding(shell: Shell, account: Serving, words: tuple[str, ...]) -> None:
    code, out, err = at(shell, account).type("bulk", words[0], "no\x1bjob", *words[1:])
    assert (code, out) == (1, "")
    assert err == "worker: there is no bulk job no\\u001Bjob: `worker bulk list` lists all jobs\n"


@pytest.mark.parametrize("id_", ["", ".", ".."])
def test_an_id_that_no_job_can_have_is_not_there(shell: Shell, account: Serving, id_: str) -> None:
    code, _, err = at(shell, account).type("bulk", "show", id_)
    assert (code, "there is no bulk job" in err) == (1, True)


@pytest.mark.parametrize("words", [("list",), ("show", "x"), ("cancel", "x", "--yes")])
def test_an_api_that_is_away_could_not_be_asked(shell: Shell, account: Serving, words: tuple[str, ...]) -> None:
    code, out, err = at(shell, account, **NOWHERE).type("bulk", *words)
    assert (code, out) == (3, "")
    assert "could not connect to the API" in err


def test_a_credential_that_may_not_cancel_cancels_nothing(shell: Shell, busy: Serving) -> None:
    job = begin_all(busy)
    code, _, err = at(shell, busy, CLOUDFLARE_API_TOKEN="read-s3cret").type("bulk", "cancel", job, "--yes")  # noqa: S106
    assert (code, "Cloud Email Security: Write" in err, "s3cret" in err) == (3, True, False)
    assert not over(busy, job)


@pytest.mark.parametrize("words", [("show",), ("show", "x", "--status", "DONE"), ("show", "x", "--limit", "0")])
def test_a_wrong_word_is_named(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.type("bulk", *words)[0] == 2


def test_a_cancelled_job_stops_and_who_stopped_it_is_on_record(worked: Shell, account: Serving) -> None:
    job = begin(account)
    words = ("bulk", "cancel", job, "--yes", "--as", "ada", "--because", "the wrong sender")
    code, out, _ = worked.type(*words)
    assert (code, "MOVE JunkEmail, for all mail with" in out) == (0, True)
    assert "the job is CANCELLED: 0 of 0 copies done, 0 pending" in out
    assert account.world.jobs[job].progress.value.status == "CANCELLED"  # type: ignore[union-attr]
    worked.json("run", "--once")
    (order,) = orders(worked)
    assert (order["what"], order["subject"], order["who"]) == ("cancel", f"bulk:{job}", "ada")
    assert order["because"] == "the wrong sender"
    assert order["answer"] == "the job is CANCELLED: 0 of 0 copies done, 0 pending"


def test_a_refused_cancel_is_on_record_as_refused(worked: Shell, account: Serving) -> None:
    job = begin(account)
    worked.set(CLOUDFLARE_API_TOKEN="read-s3cret")  # noqa: S106 (the sandbox takes any)
    code, _, err = worked.type("bulk", "cancel", job, "--yes", "--as", "ada")
    worked.set(CLOUDFLARE_API_TOKEN="s3cret-token")  # noqa: S106
    worked.json("run", "--once")
    (order,) = orders(worked)
    assert (code, err.startswith("This goes into the audit records. A running worker"), order["who"]) == (
        3,
        True,
        "ada",
    )
    assert "/cancel: the API answered 403" in order["answer"]


def test_a_job_that_ends_while_a_person_thinks_was_not_cancelled(shell: Shell, busy: Serving) -> None:
    at(shell, busy).json("run", "--once")
    job = begin_all(busy)
    code, said = answer_at_terminal(shell, busy, job, b"y\n", lambda: post(busy, f"/{job}/cancel"))
    shell.json("run", "--once")
    assert (code, "worker: POST /investigate/bulk/{id}/cancel: the API answered 409" in said) == (1, True), said
    assert "the API answered 409" in orders(shell)[0]["answer"]


def test_a_job_that_has_ended_is_not_cancelled_again(shell: Shell, quick: Serving) -> None:
    job = begin(quick)
    until(quick, lambda: over(quick, job))
    code, out, _ = at(shell, quick).type("bulk", "cancel", job, "--yes")
    assert (code, out) == (1, "the job has already ended (COMPLETED): there is nothing to cancel\n")


def test_without_a_ledger_a_job_is_stopped_all_the_same_and_that_is_said(shell: Shell, busy: Serving) -> None:
    job = begin_all(busy)
    code, out, _ = at(shell, busy).type("bulk", "cancel", job, "--yes")
    assert (code, over(busy, job)) == (0, True)
    assert "in Cloudflare's audit log, but not in the worker's audit records: there is no ledger at" in out
    assert list(shell.folder.iterdir()) == []


def test_where_nobody_can_be_asked_nothing_is_cancelled_without_a_word(shell: Shell, busy: Serving) -> None:
    job = begin_all(busy)
    at(shell, busy)
    with open(os.devnull) as nobody:  # noqa: PTH123 (a descriptor for the process)
        done = subprocess.run(  # noqa: S603 (ours)
            [sys.executable, "-m", "worker", "bulk", "cancel", job],
            stdin=nobody,
            capture_output=True,
            check=False,
            env=passed_on() | busy.environment(shell.folder),
        )
    assert (done.returncode, over(busy, job)) == (2, False)
    assert b"use --yes" in done.stderr


def answer_at_terminal(
    shell: Shell, serving: Serving, job: str, typed: bytes, thinks: Callable[[], object] = lambda: None
) -> tuple[int, str]:
    """Run the command on a terminal on which somebody thinks and then types this."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "worker", "bulk", "cancel", job]
    environment = passed_on() | serving.environment(shell.folder) | {"TERM": "dumb"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:  # noqa: S603 (ours)
        os.close(theirs)
        said = b""
        with suppress(OSError):  # so a terminal says that nobody has it open any more
            while part := os.read(ours, 4096):
                said += part
                if said.endswith(b"[y/N]: "):
                    thinks()
                    os.write(ours, typed)
    os.close(ours)
    return process.returncode, said.decode()


@pytest.mark.parametrize(
    ("typed", "code", "stopped"),
    [(b"y\n", 0, True), (b"n\n", 0, False), (b"\x04", 0, False)],
    ids=["yes", "no", "the end of input"],
)
def test_a_person_is_asked_first(shell: Shell, busy: Serving, typed: bytes, code: int, *, stopped: bool) -> None:
    job = begin_all(busy)
    told = answer_at_terminal(shell, busy, job, typed)
    assert (told[0], over(busy, job)) == (code, stopped), told[1]
    assert ("nothing was cancelled" in told[1]) is not stopped


def test_a_job_with_an_odd_comment_is_listed_all_the_same(shell: Shell, busy: Serving) -> None:
    first, second = begin(busy), begin(busy)
    busy.world.jobs[first].echo["comment"] = ["odd"]
    code, out, err = at(shell, busy).type("bulk", "list")
    assert (code, err) == (0, "")
    assert (first in out, second in out) == (True, True)
