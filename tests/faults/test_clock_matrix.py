"""Clocks that are wrong for twenty seconds while blocks are pending: nothing ends early, is lost or happens twice."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from itertools import product
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.faults.rig import MOVES, ROOT, Daemon, Rig, until, until_it
from worker.sandbox import IncomingRequest, OutgoingResponse

pytestmark = pytest.mark.slow
HOUR, DAY = 3600.0, 86400.0
LASTS, NEAR, LAST = 20.0, 25.0, 30 * DAY
"""Seconds for which a clock is wrong, and for which the blocks last."""
BELIEVED = 600.0
"""Seconds by which a first Date may differ from the clock of the machine and be believed at once, or nearly so."""
WRONG = {
    "+10min": 600.0,
    "-10min": -600.0,
    "+1h": HOUR,
    "-1h": -HOUR,
    "+40d": 40 * DAY,
    "-40d": -40 * DAY,
    "2015": -11 * 365 * DAY,
}
CELLS = list(product(("server", "machine"), ("running", "starting"), WRONG))
BLOCKS = f"""
from datetime import timedelta

LASTS = {{"near": timedelta(seconds={NEAR}), "far": timedelta(seconds={LAST})}}

@rule(mode=ENFORCE, limit=per_hour(1000))
@example(sample.message(subject="near"), gives=BlockSender("someone@elsewhere.example", for_=LASTS["near"]))
@example(sample.message(), gives=None)
def blocks(message: Message) -> BlockSender | None:
    "Block for a moment, or for a month."
    return BlockSender(message.sender, for_=LASTS[message.subject]) if message.subject in LASTS else None
"""
BLOCKED, ENDED = "block_senders.create", "block_senders.delete"


class WrongClocks(Rig):
    """A rig with two clocks that can be wrong: that of the server, and that of the machine."""

    def __init__(self, folder: Path, side: str, wrong: float) -> None:
        """Begin with both right."""
        super().__init__(folder, moves=MOVES, blocks=BLOCKS)
        self._side, self._wrong, self._off = side, wrong, folder / "off"
        self.program = (str(ROOT / "tests/faults/wrong_clock.py"), str(self._off))
        self.environment["PYTHONPATH"] = str(ROOT)
        self.put_right()

    def put_wrong(self) -> None:
        """Let one clock be wrong from now on."""
        if self._side == "server":
            self.world.trap = self._answer
        else:
            self._off.write_text(str(self._wrong))

    def put_right(self) -> None:
        """Let both clocks be right again."""
        self.world.trap = None
        self._off.write_text("0")

    def _answer(self, _: IncomingRequest, answer: OutgoingResponse) -> OutgoingResponse:
        wrong = formatdate(time.time() + self._wrong, usegmt=True)
        return replace(answer, headers={**answer.headers, "date": wrong})

    def block(self, *lasts: str) -> None:
        """Let mail arrive whose senders are blocked."""
        for last in lasts:
            sender = f"{last}{len(self.world.mails)}@evil.example"
            self.world.add_message(
                sender=sender, subject=last, envelope_from=sender, validation={"dmarc": "pass", "spf": "pass"}
            )

    def find_ends(self) -> dict[str, float]:
        """Return for how many seconds each block stood that ended."""
        begun = {one.target: one.at for one in self.world.effects if one.operation == BLOCKED}
        return {one.target: one.at - begun[one.target] for one in self.world.effects if one.operation == ENDED}


def has_blocked(daemon: Daemon, count: int) -> bool:
    """Tell whether so many blocks are proved: their ends are pending."""
    ends = [one for one in daemon.records if one["verb"] == "entered" and one["cause"].startswith("end/")]
    return len(ends) >= count


def describe(side: str, when: str, wrong: float) -> str:
    """Return the sentence that is expected, as a pattern with groups for the number of seconds."""
    if side == "server" and when == "running":
        return f"the API's answers name a time {figure(wrong)} the one so far: it is not believed until ten answers"
    apart = wrong if side == "machine" else -wrong
    believed = f"the clock of this machine is {figure(apart)} the API's time: set it; until then blocks"
    if when == "running":
        return believed
    doubted = f"the API's first answer names a time {figure(-apart)} the clock of this machine: nothing is read or done"
    return f"{believed}|{doubted}" if abs(wrong) == BELIEVED else doubted


def figure(off: float) -> str:
    """Return how the difference of two clocks is told, as a pattern."""
    return rf"(\d+) s {'ahead of' if off > 0 else 'behind'}"


async def says(daemon: Daemon, pattern: str, wrong: float) -> bool:
    """Tell whether /readyz warns of a clock, with the right number of seconds."""
    found = re.search(pattern, "; ".join((await daemon.ready())["warnings"]))
    return found is not None and abs(int(next(filter(None, found.groups()))) - abs(wrong)) <= 2


@asynccontextmanager
async def wrong_for_a_while(rig: WrongClocks) -> AsyncIterator[None]:
    """Let a clock be wrong for twenty seconds at least."""
    rig.put_wrong()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(LASTS))
            yield
    finally:
        rig.put_right()


async def live(rig: WrongClocks, when: str, sentence: str, wrong: float) -> None:
    """Let blocks be made by right clocks and others by a wrong one, beside mail that is moved."""
    daemon = await rig.start()
    try:
        rig.block("near", "far")
        await until(lambda: has_blocked(daemon, 2), lambda: daemon.log[-3000:])
        if when == "starting":
            await stop(daemon)
        async with wrong_for_a_while(rig):
            daemon = await rig.start() if when == "starting" else daemon
            rig.block("near")
            rig.world.arrive(3, "outbreak")
            await daemon.logged("listening")
            await until_it(lambda: says(daemon, sentence, wrong), lambda: daemon.log[-3000:])
            if when == "running":
                await until(rig.moved(6))
        await stop(daemon)
    finally:
        daemon.kill()
        await daemon.ended()


async def stop(daemon: Daemon) -> None:
    """Stop a worker in order."""
    daemon.stop()
    assert await daemon.ended() == 0, daemon.log[-3000:]


async def finish(rig: WrongClocks) -> None:
    """Let a worker with right clocks do what is left, and ask for gaps and broken chains."""
    async with rig.daemon() as daemon:
        await until_it(daemon.is_ready, lambda: daemon.log[-3000:])
        await until(rig.moved(6), lambda: daemon.log[-3000:])
        await until(lambda: len(rig.find_ends()) >= 1, lambda: daemon.log[-3000:])
        await until_it(rig.has_read_all, lambda: daemon.log[-3000:])
        await stop(daemon)
    chain = await rig.command("audit", "verify", "--json")
    assert (chain.code, '"whole"' in chain.out) == (0, True)


@pytest.mark.matrix("clocks")
@pytest.mark.parametrize(("side", "when", "wrong"), CELLS)
async def test_a_clock_that_is_wrong_for_twenty_seconds_ends_no_block_early_and_loses_no_mail(
    tmp_path: Path, side: str, when: str, wrong: str
) -> None:
    rig = WrongClocks(tmp_path, side, WRONG[wrong])
    async with rig.api():
        await live(rig, when, describe(side, when, WRONG[wrong]), WRONG[wrong])
        await finish(rig)
    wrongly = {target: lasted for target, lasted in rig.find_ends().items() if lasted < NEAR - 2 or "far" in target}
    lost = {mail.id for mail in rig.world.mails} - set(rig.ours())
    assert (wrongly, lost, rig.world.repeats()) == ({}, set(), [])
    if (side, when, wrong) == ("server", "starting", "+10min"):  # believed, and what it noted as read is taken back
        assert '"verb":"future mended"' in (tmp_path / "stdout").read_text()
