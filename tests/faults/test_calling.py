"""People are called by real workers: on a channel that fails first, by one that is killed, under each ceiling."""

import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import web

from tests.faults.rig import INFORMS, Daemon, Rig, until, until_it
from worker.audit.announcer import SET_ONE
from worker.sandbox import ACCOUNT

pytestmark = pytest.mark.slow
ASKS = """
from worker import APPROVE


@rule(mode=APPROVE)
@example(sample.message(final_disposition="MALICIOUS"), gives=(Move("DeletedItems"), Notify("soc")))
def asks(message: Message) -> tuple[Move, Notify] | None:
    "Move what is malicious, and tell."
    return (Move("DeletedItems"), Notify("soc")) if message.final_disposition == "MALICIOUS" else None
"""
WAITS = "asks: 1 decision waits for a person"


class Phone:
    """A channel on a real socket: it refuses what comes until it is told otherwise."""

    def __init__(self) -> None:
        """Begin by taking everything."""
        self.refuses, self.refused, self.heard = False, 0, list[str]()
        self.on_heard: Callable[[], None] = lambda: None

    async def answer(self, request: web.Request) -> web.Response:
        """Take a notice, or refuse it."""
        if self.refuses:
            self.refused += 1
            return web.Response(status=503)
        self.heard.append((await request.json())["message"])
        self.on_heard()
        return web.Response()

    def has_heard(self, start: str, times: int = 1) -> bool:
        """Tell whether so many texts began like this."""
        return sum(text.startswith(start) for text in self.heard) >= times


@asynccontextmanager
async def phone() -> AsyncIterator[tuple[Phone, str]]:
    """Serve a channel; yield it with its address."""
    called, app = Phone(), web.Application()
    app.router.add_post("/hook", called.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield called, f"json://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def begins_to_wait(rig: Rig, daemon: Daemon) -> None:
    """Let a mail arrive that somebody has to decide about."""
    await until(lambda: '"event":"ready"' in daemon.log)
    rig.world.arrive(1, "outbreak")


def is_marked(rig: Rig) -> bool:
    """Tell whether the ledger knows that people were told of everything that waits."""
    unheard = "SELECT count(*) FROM entries WHERE state = 'waiting' AND announced_at < waits_since"
    with closing(sqlite3.connect(f"file:{rig.ledger}?mode=ro", uri=True)) as ledger:
        return not ledger.execute(unheard).fetchone()[0]


async def test_an_announcement_arrives_within_seconds_once_and_its_command_decides(tmp_path: Path) -> None:
    rig = Rig(tmp_path, asks=ASKS)
    async with phone() as (called, address), rig.api():
        async with rig.daemon(WORKER_NOTIFY_SOC=address, WORKER_NOTIFY_APPROVALS=address) as daemon:
            await begins_to_wait(rig, daemon)
            await until(lambda: called.has_heard(WAITS), patience=15.0)
            command = called.heard[0].partition("decide: worker ")[2].partition(",")[0]
            assert (await rig.command(*command.split(), "--as", "ada")).code == 0
            await until(rig.moved(1))
            daemon.stop()
            await daemon.ended()
        async with rig.daemon(WORKER_NOTIFY_APPROVALS=address, WORKER_NOTIFY_SOC=address) as daemon:
            await begins_to_wait(rig, daemon)
            await until(lambda: called.has_heard(WAITS, 2))
    (first,) = [text for text in called.heard if command.split()[1] in text]
    assert first.startswith(WAITS)


async def test_a_channel_that_fails_first_is_called_again_and_readyz_warns_until_then(tmp_path: Path) -> None:
    rig = Rig(tmp_path, asks=ASKS)
    async with phone() as (called, address), rig.api(), rig.daemon(WORKER_NOTIFY_SOC=address) as daemon:
        called.refuses = True
        await begins_to_wait(rig, daemon)
        await until(lambda: called.refused > 0)
        await daemon.logged("a channel did not take an announcement; tries again")
        warning = f"account {ACCOUNT}: 1 decision waits for a person, and nobody is told: channel 'soc' did not take"

        async def warns() -> bool:
            return any(one.startswith(warning) for one in (await daemon.ready())["warnings"])

        await until_it(warns)
        called.refuses = False
        await until(lambda: called.has_heard(WAITS))
        await daemon.logged("a channel takes announcements again")

        async def is_content() -> bool:
            return not (await daemon.ready())["warnings"]

        await until_it(is_content)


async def test_a_worker_that_is_killed_before_the_channel_took_it_has_lost_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path, asks=ASKS)
    async with phone() as (called, address), rig.api():
        called.refuses = True
        async with rig.daemon(WORKER_NOTIFY_SOC=address) as daemon:
            await begins_to_wait(rig, daemon)
            await until(lambda: called.refused > 0)
            daemon.kill()
            await daemon.ended()
        called.refuses = False
        async with rig.daemon(WORKER_NOTIFY_SOC=address):
            await until(lambda: called.has_heard(WAITS))


async def test_a_worker_that_is_killed_while_the_channel_takes_it_repeats_it_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, asks=ASKS)
    async with phone() as (called, address), rig.api():
        async with rig.daemon(WORKER_NOTIFY_SOC=address) as daemon:
            called.on_heard = daemon.kill
            await begins_to_wait(rig, daemon)
            await daemon.ended()
        called.on_heard = lambda: None
        async with rig.daemon(WORKER_NOTIFY_SOC=address):
            await until(lambda: is_marked(rig))
    assert called.heard == [called.heard[0]] * 2


async def test_an_order_that_the_ceiling_forbids_is_refused_and_a_second_one_says_who_decided(tmp_path: Path) -> None:
    rig = Rig(tmp_path, asks=ASKS)
    async with phone() as (called, address), rig.api():
        async with rig.daemon(WORKER_NOTIFY_SOC=address) as daemon:
            await begins_to_wait(rig, daemon)
            await until(lambda: called.has_heard(WAITS))
        command = called.heard[0].partition("decide: worker ")[2].partition(",")[0].split()
        async with rig.daemon(WORKER_NOTIFY_SOC=address, WORKER_CEILING="observe") as daemon:
            await daemon.logged('"event":"started"')
            told = await rig.command(*command, "--as", "ada", WORKER_CEILING="")
            assert (told.code, told.out) == (2, "")
            assert told.err.startswith("worker: the worker was started with WORKER_CEILING observe: nothing is carried")
        async with rig.daemon(WORKER_NOTIFY_SOC=address) as daemon:
            await daemon.logged('"event":"started"')
            assert (await rig.command(*command, "--as", "ada")).code == 0
            told = await rig.command(*command, "--as", "ben")
    assert (told.code, bool(re.search(r"ada approved it \d+s ago", told.err))) == (1, True)


async def test_under_the_ceiling_approve_notices_alone_wait_for_nobody(tmp_path: Path) -> None:
    rig = Rig(tmp_path, informs=INFORMS)
    rig.environment["WORKER_CEILING"] = "approve"
    async with rig.api(), rig.daemon(WORKER_NOTIFY_SOC="log://") as daemon:
        await begins_to_wait(rig, daemon)
        await until(lambda: any(one["verb"] == "entered" for one in daemon.records))
    assert [(one["lane"], one["to"]) for one in daemon.records if one["verb"] == "entered"] == [("notice", "ready")]


async def test_without_a_channel_readyz_warns_how_many_wait(tmp_path: Path) -> None:
    rig = Rig(tmp_path, asks=ASKS.replace(', Notify("soc")', ""))
    async with rig.api(), rig.daemon() as daemon:

        async def warns() -> bool:
            return (
                f"account {ACCOUNT}: 1 decision waits for a person, and nobody is told: {SET_ONE}"
                in (await daemon.ready())["warnings"]
            )

        await begins_to_wait(rig, daemon)
        await until_it(warns)
