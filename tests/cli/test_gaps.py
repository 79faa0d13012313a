"""`worker gaps`: what is not read yet, why, and up to when that is known."""

import asyncio
import os
import re
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


def test_a_ledger_of_which_nothing_was_read_is_not_called_whole(shell: Shell) -> None:
    asyncio.run(fill())
    assert shell.json("gaps", code=1) == []
    assert shell.type("gaps")[:2] == (1, "nothing was ever read, so nobody knows what is missing: start `worker run`\n")


def test_an_account_of_whose_mail_nothing_was_read_has_a_gap_without_ends(shell: Shell) -> None:
    asyncio.run(fill(Page(account="a1", now=1.0, source="messages", drafts=(Desk().draft(),))))
    (gap,) = shell.json("gaps", code=1)
    assert (gap["source"], gap["start"], gap["end"], gap["reason"]) == ("messages", None, None, "unread")
    code, out, _ = shell.type("gaps")
    assert (code, "no gap is open" in out, "messages of a1" in out, "nothing was ever read" in out) == (
        1,
        False,
        True,
        True,
    )


def test_what_is_to_be_judged_again_is_a_gap_with_a_reason_of_its_own(shell: Shell) -> None:
    again = Slice(source="messages", kind="again", start=10.0, end=20.0, why="judged while from_name was missing")
    read = Slice(source="messages", kind="head", start=1.0, end=time.time())
    closed = Page(account="a1", now=30.0, source="messages", slice=read, closes=True, since=1.0)
    asyncio.run(fill(closed, Page(account="a1", now=30.0, source="messages", slice=again)))
    (gap,) = shell.json("gaps", code=1)
    assert (gap["reason"], gap["why"], gap["length"]) == ("judged without a field", again.why, "10s")
    assert "1 stretch of time to be judged again" in shell.type("gaps")[1]


WORDS = ("3 messages with an unknown verdict", "update the worker")


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
    assert (code, out.startswith("Closed: 1 record. ")) == (0, True)
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
        assert unreadable.type(*words)[1].startswith("Tries again: 1 record. ")
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
        (("dance",), "no unreadable record is named 'dance'"),
        (("dance", "4Nj-1"), "worker gaps retry"),
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


@pytest.fixture
def read(shell: Shell) -> Shell:
    """Give a shell in whose ledger an hour of mail is read."""
    now = time.time()
    head = Slice(source="messages", kind="head", start=now - 3600, end=now)
    asyncio.run(fill(Page(account="a1", now=now, source="messages", slice=head, closes=True, since=now - 3600)))
    shell.set(WORKER_POLL_EVERY="1h")
    return shell


def lose(first: int, number: int, problem: str = "its id is a number", source: str = "messages") -> None:
    """Keep records that nobody could read."""
    now = time.time()
    lost = (Broken(b"%d" % n, problem, id=f"m{n}", start=now - n, end=now - n) for n in range(first, first + number))
    asyncio.run(fill(Page(account="a1", now=now, source=source, broken=tuple(lost))))


def test_many_records_with_the_same_problem_are_one_line_that_can_be_opened(read: Shell) -> None:
    lose(0, 300)
    lose(300, 1, "it is no object")
    lose(400, 30, source="reports")
    code, out, _ = read.type("gaps")
    assert (code, out.startswith("331 records that nobody could read\n")) == (0, True)
    assert all(word in out for word in ("300 records, such as m", "30 records, such as m", "unreadable: m300"))
    assert (out.count("reports of a1"), out.count("messages of a1"), len(out.splitlines()) < 40) == (1, 2, True)
    (group,) = re.findall(r"[0-9a-f]{12}\+299", out)
    opened = read.type("gaps", group)[1]
    assert (opened.count("unreadable: m"), "280 more of 300: --limit lists more" in opened) == (20, True)
    assert len(read.json("gaps", group)) == 300


def test_what_is_left_out_of_the_list_is_counted(read: Shell) -> None:
    for number in range(7):
        lose(number, 1, f"problem {number}")
    out = read.type("gaps")[1]
    assert (out.count("unreadable: "), "problem 6" in out, "\n3 more: --limit 7 lists all" in out) == (4, True, True)
    assert [gap["why"] for gap in read.json("gaps", "--limit", "2")] == ["problem 6", "problem 5"]


def test_an_order_about_a_group_covers_what_was_shown_of_it(read: Shell) -> None:
    lose(0, 3)
    (group,) = re.findall(r"[0-9a-f]{12}\+2", read.type("gaps")[1])
    lose(10, 2)
    assert read.type("gaps", "close", group, "--because", "seen", "--as", "ada")[1].startswith("Closed: 3 records")
    asyncio.run(obey())
    assert sorted(gap["record"] for gap in read.json("gaps")) == ["m10", "m11"]


async def obey() -> None:
    """Carry out what was ordered."""
    async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
        await ledger.take_orders("a1", time.time())


def test_mail_with_an_unknown_verdict_is_listed_until_a_person_closes_it(read: Shell) -> None:
    why = "unknown final_disposition 'GRAY': only rules that name no dispositions hear it"
    gray = [Broken(b'{"id":"%d"}' % one, why, judged=True, id=f"4Nj-{one}", start=1.0, end=1.0) for one in range(3)]
    asyncio.run(fill(Page(account="a1", now=time.time(), source="messages", broken=tuple(gray))))
    gaps = read.json("gaps")
    assert [(gap["reason"], gap["why"], gap["next_try"]) for gap in gaps] == [("unknown verdict", why, None)] * 3
    assert read.json("status")["accounts"][0]["unknown verdicts"] == 3
    out = read.type("gaps")[1]
    assert {"3 messages with an unknown verdict", "update the worker"} <= {one for one in WORDS if one in out}
    assert "no unreadable record" in read.type("gaps", "retry")[2]
    assert read.type("gaps", "close", gaps[0]["record"], "--because", "spam", "--as", "ada")[0] == 0


def test_time_of_which_not_all_events_could_be_held_is_a_gap_with_a_reason_of_its_own(shell: Shell) -> None:
    more = Slice(
        source="messages", kind="unheard", start=10.0, end=20.0, why="10,000 are held", opened=1.0, next_at=99.0
    )
    read = Slice(source="messages", kind="head", start=1.0, end=50.0)
    pages = [Page(account="a1", now=1.0, source="messages", slice=more)]
    pages += [Page(account="a1", now=50.0, source="messages", slice=read, closes=True, since=1.0)]
    asyncio.run(fill(*pages))
    told = [(gap["reason"], gap["why"], gap["length"]) for gap in shell.json("gaps", code=1)]
    assert ("too many held", "10,000 are held", "10s") in told
