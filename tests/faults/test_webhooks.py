"""Web hooks that drip, hang or are dead while notices are pending: the worker acts and stops, and each notice comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from tests.faults.rig import MOVES, Daemon, Rig, until, until_it
from tests.faults.test_calling import phone
from worker.audit.verify import verify

pytestmark = pytest.mark.slow
MAILS = 5
ASKS = """
from worker import APPROVE


@rule(mode=APPROVE)
@example(sample.message(subject="ask"), gives=Move("JunkEmail"))
@example(sample.message(), gives=None)
def asks(message: Message) -> Move | None:
    "Ask a person."
    return Move("JunkEmail") if message.subject == "ask" else None
"""
WAITS = "asks: 1 decision waits for a person"
UNTOLD = "1 decision waits for a person, and nobody is told: channel 'soc' did not "
PROBLEMS = {
    "dead": "channel 'soc' did not take the notice: check that its address still works and its server answers",
    "hanging": "channel 'soc' did not take the notice: check that its address still works and its server answers",
    "dripping": "channel 'soc' did not answer whole in 30 s: see what its server does",
}


@asynccontextmanager
async def bad_hook(how: str) -> AsyncIterator[str]:
    """Serve a web hook that takes nothing; yield its address."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError, asyncio.CancelledError):
            writer.write(b"HTTP/1.1 200 OK\r\nx: ")
            while True:
                await asyncio.sleep(0.5)
                writer.write(b"x" if how == "dripping" else b"")
                await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    if how == "dead":
        server.close()
    try:
        yield address
    finally:
        server.close()


async def warns(daemon: Daemon) -> bool:
    """Tell whether /readyz says that nobody was told."""
    return any(UNTOLD in one for one in (await daemon.ready())["warnings"])


@pytest.mark.matrix("surroundings")
@pytest.mark.parametrize("how", PROBLEMS)
async def test_a_bad_web_hook_stops_nothing_and_each_notice_comes_when_it_is_well_again(
    tmp_path: Path, how: str
) -> None:
    rig = Rig(tmp_path, moves=MOVES, asks=ASKS)
    rig.world.add_message(subject="ask", disposition="SPAM")
    rig.world.arrive(MAILS, "outbreak")
    async with rig.api():
        async with bad_hook(how) as address, rig.daemon(WORKER_NOTIFY_SOC=address, WORKER_DRAIN="4s") as daemon:
            await until(rig.moved(MAILS), lambda: daemon.log[-3000:])
            await until_it(lambda: warns(daemon), lambda: daemon.log[-3000:])
            assert PROBLEMS[how] in await daemon.logged(".*a channel did not take an announcement.*")
            daemon.stop()
            async with asyncio.timeout(15):
                assert await daemon.ended() == 0
        async with phone() as (called, address), rig.daemon(WORKER_NOTIFY_SOC=address) as daemon:
            await until(lambda: called.has_heard(WAITS), lambda: daemon.log[-3000:])
            daemon.stop()
            assert await daemon.ended() == 0
    assert verify((tmp_path / "stdout").read_bytes().splitlines()).problem == ""
    assert (len(rig.ours()), rig.world.repeats()) == (MAILS, [])
