"""`worker gaps`: what is not read yet, why, and up to when that is known."""

import asyncio
import os
import time

import pytest

from tests.cli.shell import Shell
from tests.ledger.desk import Desk
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Page, Slice


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
