"""Workers killed at random points, on a hostile wire, among people who act too: nothing is lost, nothing repeated.

The judge is the account itself, never the ledger. A life's number repeats it as far as processes can.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from tests.faults.rig import MOVES, PATIENCE, Daemon, Rig, Trapped, until, until_it
from worker.executor.guard import MINUTE, PER_MINUTE
from worker.sandbox import Faults, IncomingRequest, MailFlow, OutgoingResponse, SandboxOptions
from worker.sandbox.edge.faults import TABLES, FaultKind

pytestmark = pytest.mark.slow
KILLS = 10
LIVES = 30
FRESH = 20.0
"""Seconds for which verdicts may change: the head reads over them again, while the overlap waits for a minute."""
PEOPLE = {"analyst", "user", "auto"}
KINDS = ("outbreak", "outbreak", "phish", "phish_held", "partner_held", "suspicious", "outbreak_spoof", "spam", "")
OTHERS = """
from worker import Reclassify

held = sample.message(sender="a@partner.example", is_quarantined=True)


@rule(mode=ENFORCE, limit=per_hour(100_000))
@example(held, gives=(Release(), Reclassify("NONE")))
@example(sample.message(), gives=None)
def lets_go(message: Message) -> tuple[Release, Reclassify] | None:
    "Give our partner's mail back, and say that it was clean."
    fits = message.is_quarantined and message.domain == "partner.example"
    return (Release(), Reclassify("NONE")) if fits else None


@rule(mode=ENFORCE, limit=per_hour(100_000))
@example(sample.message(final_disposition="SUSPICIOUS"), gives=BlockSender("someone@elsewhere.example"))
@example(sample.message(), gives=None)
def blocks(message: Message) -> BlockSender | None:
    "Block whoever is suspicious."
    return BlockSender(message.sender) if message.final_disposition == "SUSPICIOUS" else None


@rule(mode=ENFORCE, limit=per_hour(100_000))
@example(sample.message(final_disposition="SPOOF"), sample.detection(), gives=Move("JunkEmail"))
@example(sample.message(), sample.detection(), gives=None)
def asks(message: Message, detection: Detection) -> Move | None:
    "Move what is forged, if the detection can be read."
    forged = message.final_disposition == "SPOOF" and detection.links is not None
    return Move("JunkEmail") if forged else None
"""


def account(rng: Random) -> Trapped:
    """Return an account whose wire and people are against us; no 429 is made up, so each that comes is our fault."""
    table: dict[FaultKind, float] = {
        kind: share for kind, share in TABLES[rng.choice(("rough", "hostile"))].items() if kind != "paced"
    }
    people = SandboxOptions(
        lag=0.3, lag_jitter=True, reports=0.0, analysts=0.1, analyst_after=4.0, moved_back=0.15, moved_back_after=3.0
    )
    faults = Faults(table, seed=rng.randrange(10**6))
    return Trapped(
        seed=rng.randrange(10**6),
        now=time.time,
        mail_flow=MailFlow(messages=60, history=600.0),
        faults=faults,
        options=people,
    )


async def mail(world: Trapped, rng: Random) -> None:
    """Let mail arrive all the time, and now and then let a verdict change."""
    while True:
        await asyncio.sleep(rng.uniform(0.0, 0.5))
        world.arrive(rng.choice((1, 1, 2, 6)), rng.choice(KINDS))
        fresh = [one for one in world.mails if one.kind == "spam" and one.scanned > time.time() - FRESH]
        judged = [one for one in fresh if one.now.disposition == "SPAM"]
        if judged and rng.random() < 0.2:
            world.change_verdict(rng.choice(judged).id, "MALICIOUS")


async def struck(rig: Rig, rng: Random) -> None:
    """Run a worker and kill it: while it starts, some time into its work, or with a request that was carried out."""
    daemon = await rig.start()
    try:
        if rng.random() < 0.2:
            await asyncio.sleep(rng.uniform(0.0, 1.0))
        elif rng.random() < 0.4:
            await daemon.logged("listening")
            await asyncio.sleep(rng.uniform(0.05, 2.0))
        else:
            await after_requests(rig.world, daemon, rng.randint(1, 40))
    finally:
        daemon.kill()
        assert await daemon.ended() == -9, daemon.log[-3000:]


async def after_requests(world: Trapped, daemon: Daemon, count: int) -> None:
    """Kill it between the effect of a request and its answer."""
    last = world.asked + count

    def trap(_: IncomingRequest, __: OutgoingResponse) -> None:
        if world.asked >= last:
            daemon.kill()

    world.trap = trap
    try:
        await until(
            lambda: daemon.process.returncode is not None,
            lambda: f"{last} {world.asked} {world.requests} {daemon.log[-3000:]}",
        )
    finally:
        world.trap = None


def wanted(world: Trapped) -> Iterator[tuple[str, str]]:
    """Yield every effect that the rules want, on mail that nobody else has touched."""
    touched = {effect.target for effect in world.effects if effect.by in PEOPLE}
    for each in (one for one in world.mails if one.id not in touched):
        first, sender = each.past[0][1] if each.past else each.value, each.read_fixed().sender or ""
        if not first.quarantined and each.now.disposition in {"MALICIOUS", "SPOOF"}:
            yield "move", each.id
        if first.quarantined and sender.endswith("@partner.example"):
            yield from (("release", each.id), ("reclassify", each.id))
        if first.disposition == "SUSPICIOUS":
            yield "block_senders.create", f"email:{sender.lower()}"


def judged(world: Trapped) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return what was lost and what was repeated, as the account itself saw it."""
    ours = Counter((one.operation, one.target) for one in world.effects if one.by not in PEOPLE | {"cloudflare"})
    return [each for each in set(wanted(world)) if not ours[each]], [each for each, times in ours.items() if times > 1]


async def settled(rig: Rig) -> None:
    """Let a last worker finish in peace, and ask it whether everything was read and every record is whole."""
    rig.world.faults.use("none")
    async with rig.daemon() as daemon:
        await until_it(daemon.is_ready, lambda: daemon.log[-3000:])
        senders = sum(operation == "block_senders.create" for operation, _ in set(wanted(rig.world)))
        patience = PATIENCE + MINUTE * senders / PER_MINUTE  # each is looked up before it is blocked
        await until(lambda: not judged(rig.world)[0] and not rig.unsettled(), lambda: str(judged(rig.world)), patience)
        await until_it(rig.has_read_all, lambda: daemon.log[-3000:])
        daemon.stop()
        assert await daemon.ended() == 0
    chain = await rig.command("audit", "verify", "--json")
    assert (chain.code, '"whole"' in chain.out) == (0, True)


@pytest.mark.matrix("kills")
@pytest.mark.parametrize("life", range(LIVES))
async def test_whatever_is_killed_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path, life: int) -> None:
    rng = Random(life)
    rig = Rig(tmp_path, account(rng), moves=MOVES, others=OTHERS)
    async with rig.api(latency=0.02):
        arriving = asyncio.create_task(mail(rig.world, rng))
        for _ in range(KILLS):
            await struck(rig, rng)
        arriving.cancel()
        with suppress(asyncio.CancelledError):
            await arriving
        await settled(rig)
    lost, repeated = judged(rig.world)
    total = len(set(wanted(rig.world)))
    print(f"{KILLS} kills, {total} wanted, {len(lost)} lost, {len(repeated)} repeated, {rig.world.asked} requests")  # noqa: T201
    assert (lost, repeated, rig.world.statuses("429")) == ([], [], 0)
    assert {operation for operation, _ in wanted(rig.world)} >= {
        "move",
        "release",
        "reclassify",
        "block_senders.create",
    }
