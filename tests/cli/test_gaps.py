"""`worker gaps`: what is not read yet, why, and up to when that is known."""

import asyncio
import os
import time

import msgspec
import pytest

from tests.cli.shell import Shell
from tests.ledger.desk import Desk
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Broken, Page, Slice


@pytest.mark.slow
def test_no_open_gap_is_told_with_the_time_up_to_which_that_is_known(worked: Shell) -> None:
    worked.set(WORKER_POLL_EVERY="1h")
    code, out, _ = worked.type("gaps")
    (account,) = worked.json("status")["accounts"]
    until = [f"{source['source']} are read up to {source['until'][11:19]}Z (" for source in account["sources"]]
    assert (code, out.startswith(f"no gap is open: {until[0]}"), f"s ago), {until[1]}" in out) == (0, True, True)


def test_a_ledger_of_which_nothing_is_read_yet_claims_nothing(shell: Shell) -> None:
    asyncio.run(fill())
    assert shell.type("gaps")[:2] == (0, "no gap is open: nothing has been read yet\n")
    asyncio.run(fill(Page(account="a1", now=1.0, source="messages", drafts=(Desk().draft(),))))
    shell.set(CLOUDFLARE_ACCOUNT_ID="a1")
    assert shell.type("gaps")[:2] == (0, "no gap is open: messages have not been read yet\n")


async def fill(*pages: Page) -> None:
    """Make a ledger that holds these pages."""
    async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
        for page in pages:
            await ledger.enter(page)


@pytest.mark.slow
def test_a_gap_is_listed_with_its_length_and_reason_and_is_a_finding(worked: Shell) -> None:
    account = os.environ["CLOUDFLARE_ACCOUNT_ID"]
    now = time.time()

    async def leave_a_gap() -> None:
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
            late = Slice(source="messages", kind="head", start=now + 3600, end=now + 7200)
            await ledger.enter(Page(account=account, now=now, source="messages", slice=late, closes=True))

    asyncio.run(leave_a_gap())
    worked.set(WORKER_POLL_EVERY="1h")
    (gap,) = worked.json("gaps", code=1)
    assert (gap["source"], gap["why"]) == ("messages", "newer gaps are read first")


@pytest.mark.slow
def test_what_was_not_read_since_the_worker_stopped_is_a_gap_too(worked: Shell) -> None:
    worked.set(WORKER_POLL_EVERY="1ms", WORKER_REQUEST_TIMEOUT="1ms")
    gaps = worked.json("gaps", code=1)
    ready, needed = (
        f"nothing was read since: is the worker running, and {what}?" for what in ("ready", "does a rule use it")
    )
    told = {gap["source"]: gap["why"] for gap in gaps if gap["source"] != "allow policies"}  # may not be late yet
    assert told == {"messages": ready, "reports": needed, "submissions": needed}


LOST = Broken(b'{"id": 7}', "its id cannot be read", id="4Nj-1", start=1_789_999_000.0, end=1_789_999_000.0)


@pytest.fixture
def unreadable(worked: Shell) -> Shell:
    """Give a shell whose ledger holds one record that cannot be read."""
    account = os.environ["CLOUDFLARE_ACCOUNT_ID"]
    asyncio.run(fill(Page(account=account, now=time.time(), source="messages", broken=(LOST,))))
    worked.set(WORKER_POLL_EVERY="1h")
    return worked


@pytest.mark.slow
def test_an_unreadable_record_is_a_gap_with_its_moment_and_next_try_and_no_finding(unreadable: Shell) -> None:
    (gap,) = unreadable.json("gaps")
    told = {name: gap[name] for name in ("source", "record", "reason", "why", "start", "end")}
    moment = "2026-09-21T13:56:40Z"
    expected = {"reason": "unreadable", "why": LOST.why, "start": moment, "end": moment}
    assert told == {"source": "messages", "record": "4Nj-1"} | expected
    assert (len(gap["id"]), gap["next_try"] > gap["start"]) == (12, True)
    out = unreadable.type("gaps")[1]
    assert {gap["id"], "unreadable:", "4Nj-1", "tried"} <= set(out.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["id", "record"])
def test_a_person_closes_a_gap_on_record_and_it_stays_closed(unreadable: Shell, name: str) -> None:
    (gap,) = unreadable.json("gaps")
    code, out, _ = unreadable.type("gaps", "close", gap[name], "--because", "a newsletter", "--as", "ada")
    assert (code, out.startswith("Closed: 1 unreadable record. ")) == (0, True)
    for _ in range(2):
        unreadable.json("run", "--once")
        assert unreadable.json("gaps") == []
        asyncio.run(fill(Page(account=gap["account"], now=time.time(), source="messages", broken=(LOST,))))
    records = [msgspec.json.decode(line) for line in unreadable.type("audit", "query", "--json")[1].splitlines()]
    (ended,) = (one for one in records if one["verb"] == "gap closed" and one.get("gap"))
    told = {name: ended[name] for name in ("who", "because", "outcome", "reason", "id", "source")}
    expected = {"who": "ada", "because": "a newsletter", "outcome": "closed", "reason": "unreadable"}
    assert told == expected | {"id": "4Nj-1", "source": "messages"}


@pytest.mark.slow
def test_a_record_is_read_again_now_when_a_person_wants_it(unreadable: Shell) -> None:
    (before,) = unreadable.json("gaps")
    for words in (("gaps", "retry"), ("gaps", "retry", before["id"])):
        assert unreadable.type(*words)[1].startswith("Tries again: 1 unreadable record. ")
    unreadable.json("run", "--once")
    (after,) = unreadable.json("gaps")
    assert after["next_try"] > before["next_try"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("close", "nothing", "--because", "x"), "no unreadable record is named 'nothing'"),
        (("retry", "nothing"), "no unreadable record is named 'nothing'"),
        (("close", "4Nj-1"), "add --because TEXT"),
        (("close",), "close ID --because TEXT"),
        (("dance",), "worker gaps retry"),
    ],
)
def test_what_cannot_be_ordered_of_a_gap_is_refused(unreadable: Shell, words: tuple[str, ...], said: str) -> None:
    code, _, err = unreadable.type("gaps", *words)
    assert (code, said in err) == (2, True)


@pytest.mark.slow
def test_what_left_the_sweep_unread_is_listed_with_what_waits_and_can_be_refused(unreadable: Shell) -> None:
    account = os.environ["CLOUDFLARE_ACCOUNT_ID"]
    (gap,) = unreadable.json("gaps")

    async def leave() -> None:
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
            found = await ledger.list_unreadable(account, float("inf"), 9)
            await ledger.leave_unreadable(account, found[0], "Message", time.time())

    asyncio.run(leave())
    (waits,) = [one for one in unreadable.json("waiting") if one["target"] == gap["record"]]
    assert (waits["action"], waits["rule"], LOST.why in waits["why"]) == ({"type": "Keep"}, [], True)
    assert " by \n" not in unreadable.type("waiting")[1]
    assert unreadable.type("refuse", waits["id"], "--because", "seen", "--as", "ada")[0] == 0
    unreadable.json("run", "--once")
    assert [one for one in unreadable.json("waiting") if one["target"] == gap["record"]] == []
    assert unreadable.json("gaps") == []
