"""What the benchmarks count and compute; how quick anything is, no test says, but beside the official SDK."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cost, decode, ledger, peers, sandbox
from benchmarks.account import Seen
from benchmarks.table import percentile
from worker.ledger.ledger import open_ledger
from worker.ledger.lives import MailSearch

ROOT = Path(__file__).parents[1]


def seen(at: float, operation: str = "GET investigate", *, proof: bool = False, fresh: int = 0) -> Seen:
    return Seen(at=at, operation=operation, proof=proof, records=fresh, fresh=fresh)


def test_calls_are_sorted_by_what_they_were_for() -> None:
    log = [
        seen(0.0, "GET settings/domains"),
        seen(1.0),
        seen(2.0, fresh=1000),
        seen(3.0, fresh=500),
        seen(4.0, "POST investigate/move"),
        seen(5.0, proof=True),
        seen(6.0),
    ]
    calls = cost.sorted_out(log, 1500)
    assert (calls.start, calls.read, calls.act, calls.prove, calls.waiting) == (2, 2, 1, 1, 1)
    assert (calls.spent, calls.records) == (6, 1500)


def test_what_is_allowed_grows_with_mail_and_with_lag() -> None:
    calls = cost.Calls(read=10, act=5, prove=5, start=4, waiting=0, records=10_000, moved=5_000)
    assert calls.allowed(0.0) == 10 + 11 + 12
    assert calls.allowed(60.0) == calls.allowed(0.0) + 20


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0, 4.0], 50) == 2.0
    assert percentile([1.0], 99) == 1.0


def test_a_run_at_a_twentieth_is_extrapolated_call_by_call() -> None:
    full = peers.whole(peers.Run(calls=252, seconds=13.0, moved=250, end="done"))
    assert (full.calls, full.moved, full.seconds) == (5011, 5000, 260.0)


@pytest.mark.slow  # it reads a page many times, in a process that no coverage slows down
def test_decoding_costs_a_twelfth_of_what_the_sdk_takes_for_the_same_bytes_at_most() -> None:
    command = [sys.executable, "-m", "benchmarks.decode"]
    done = subprocess.run(  # noqa: S603 (ours)
        command, env={"PATH": os.environ.get("PATH", "")}, cwd=ROOT, capture_output=True, check=True
    )
    assert float(done.stdout) >= 12


def test_a_ratio_is_the_middle_one_of_rounds_that_are_each_compared_within_themselves() -> None:
    assert decode.Costs(ours=[1.0, 2.0, 1.0], theirs=[14.0, 14.0, 16.0]).ratio == 14.0


def test_what_fewer_messages_take_is_reckoned_up_to_a_million() -> None:
    figures = sandbox.Figures(per_cpu=50_000, per_second=1, starts=[3.0, 1.0], memory=0.2, many=100_000, filling=9)
    assert [row.met for row in sandbox.rows(figures)] == [True, True, True]
    assert [row.met for row in sandbox.rows(figures._replace(memory=0.3, per_cpu=9.0, starts=[3.0]))] == [False] * 3


@pytest.mark.slow  # it enters three thousand entries
async def test_the_ledger_that_is_made_to_be_searched_has_an_unbroken_chain_and_finds_its_mail(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'worker.db'}"
    await ledger.fill(url, 3000)
    assert await ledger.is_whole(url)
    async with open_ledger(url, owner="test", exclusive=False) as made:
        assert sum((await made.counts(ledger.ACCOUNT))["Move"].values()) == 3000
        (found,) = await made.find_mails(ledger.ACCOUNT, MailSearch(subject="Invoice", limit=1))
        life = await made.read_life(found)
    assert (len(life.entries), len(life.sights), life.sights[0].rule_table) == (1, 1, 1)
