"""One round ends with 1 for each reason that would keep a daemon from being ready, and says it."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from tests.daemon import test_reasons as reasons
from tests.daemon.bench import Bench
from tests.faults.rig import Trapped
from tests.ledger.desk import reading
from tests.rule_files import rule_files
from tests.serving import passed_on
from worker.ledger.values import Held, Page, Sight
from worker.sandbox import ACCOUNT

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]  # it starts a server
FOUND = 1


async def run_once(bench: Bench, **more: str) -> tuple[int, str]:
    """Run `worker run --once`, with time for answers on a busy machine; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "run", "--once"),
        env={**bench.environment, **passed_on(), "WORKER_REQUEST_TIMEOUT": "5s", **more},
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out = (await process.communicate())[0].decode()
    return process.returncode or 0, out


async def order(bench: Bench, verb: str) -> None:
    """Order something about everything, as a person does."""
    async with bench.app() as app:
        await app.services.ledger.order(ACCOUNT, verb, "", "ada", "a test", time.time())


async def spoil(bench: Bench) -> None:
    """Let messages arrive that cannot be read."""
    async with bench.app() as app:
        await reasons.garble(bench, app)


async def lack(bench: Bench) -> None:
    """Let the last of twenty messages arrive that lack a field which all others had."""
    async with bench.app() as app:
        await reasons.lack_field(bench, app.services.ledger)


async def hold(bench: Bench) -> None:
    """Let an event have waited for six minutes."""
    async with bench.app() as app:
        now = app.services.clock.now()
        held = Held(sight=Sight(reading("m1"), 1), why="no", since=now - 360, tries=0, next_at=now + 3600)
        await app.services.ledger.enter(Page(account=ACCOUNT, now=now, source="messages", held=(held,)))


async def brake(bench: Bench) -> None:
    """Forget a brake while something arrives."""
    await order(bench, "brake")
    bench.world.arrive(2, "outbreak")


async def lower(bench: Bench) -> None:
    """Let a rule stop its process three times before what it wanted is done."""
    await brake(bench)
    await run_once(bench)
    await order(bench, "unbrake")
    for number in range(3):
        bench.world.add_message(subject=f"bad {number}")


async def revoke(bench: Bench) -> None:
    """Take the consent to every mailbox back."""
    async with bench.app() as app:
        await reasons.revoke(bench, app)


async def lose_one(bench: Bench) -> None:
    """Let one domain fail that an earlier round has found well, beside another that is still well."""
    first, *_ = bench.world.lists["domains"].values()
    assert (await run_once(bench))[0] == 0
    first.become(time.time(), (first.value or {}) | {"status": "FAILED"})


async def hang(bench: Bench) -> None:
    """Let the API answer nothing."""
    assert isinstance(bench.world, Trapped)
    bench.world.trap = lambda _, answer: replace(answer, delay=300.0)


CASES: Mapping[str, tuple[Callable[[Bench], Awaitable[None]], str]] = MappingProxyType({
    "unreadable": (spoil, "records of the last hour could not be read"),
    "field": (lack, "from (in rules: sender) is missing in the last 5 records of messages"),
    "held": (hold, "1 event waits to be judged, the oldest for 6 min"),
    "brake": (brake, "the brake on everything keeps back 2 entries"),
    "lowered": (lower, "which only observes until it is fixed, keeps back 2 entries"),
    "every domain": (revoke, "no domain's mailboxes can be reached any more"),
    "one domain": (lose_one, "cannot be reached any more"),
    "silence": (hang, "the API has answered no request for"),
})  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_round_ends_with_a_finding_that_it_names(bench: Bench, name: str) -> None:
    prepare, says = CASES[name]
    bench.world = Trapped(now=time.time)
    if name == "lowered":
        rule_files(bench.rules, moves=reasons.RULE)
    async with bench.api():
        await prepare(bench)
        code, out = await run_once(bench)
    assert (code, says in out) == (FOUND, True), out


async def test_a_round_in_which_all_is_well_ends_with_none(bench: Bench) -> None:
    bench.world.arrive(2, "outbreak")
    async with bench.api():
        code, out = await run_once(bench, WORKER_SETTLE="3s")  # three of them are the time for a proof
    assert code == 0, out


async def test_a_single_record_that_cannot_be_read_is_no_finding_and_is_told(bench: Bench) -> None:
    bench.world = Trapped(now=time.time)
    bench.world.trap = reasons.spoil
    bench.world.arrive(1, "outbreak")
    async with bench.api():
        code, out = await run_once(bench)
    assert (code, "\n1 record cannot be read: see worker gaps; all entries are settled\n" in out) == (0, True), out
