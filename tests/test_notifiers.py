"""Notifiers, with a real receiver behind apprise."""

import asyncio
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import StringIO

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import SettingsError, Temporary
from worker.escaping import DOTS
from worker.notifiers import MARKDOWN, Channels, disarm, open_channels
from worker.telemetry import open_log

Notices = list[tuple[str, str]]
NOTIFIES = """
import asyncio, sys
from worker.errors import Temporary
from worker.notifiers import open_channels
try:
    asyncio.run(open_channels({"soc": sys.argv[1]}, print, deadline=0.3).notify("soc", "x"))
except Temporary:
    sys.exit(0)
sys.exit(1)
"""


async def broadcast(channels: Channels, text: str) -> dict[str, BaseException]:
    """Deliver a notice to every channel; return the errors of those that did not take it."""
    names = sorted(channels.names)
    came = await asyncio.gather(*(channels.notify(name, text) for name in names), return_exceptions=True)
    return {name: error for name, error in zip(names, came, strict=True) if error}


@asynccontextmanager
async def receiver(status: int = 200) -> AsyncIterator[tuple[str, list[str]]]:
    """Run a web hook; give an apprise address for it, and what it was told."""
    told: list[str] = []

    async def take(request: web.Request) -> web.Response:
        told.append((await request.json())["message"])
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"json://127.0.0.1:{runner.addresses[0][1]}/hook", told
    await runner.cleanup()


def nowhere(_channel: str, _text: str) -> None:
    """Drop what goes to the log."""


@pytest.mark.slow
async def test_a_notice_reaches_the_address_of_its_channel() -> None:
    async with receiver() as (address, told):
        channels = open_channels({"soc": address}, nowhere)
        await channels.notify("soc", "3 messages were moved [n-17]")
    assert told == ["3 messages were moved [n-17]"]


@pytest.mark.slow
async def test_a_subject_neither_calls_everybody_nor_hides_a_link() -> None:
    async with receiver() as (address, told):
        channels = open_channels({"soc": address}, nowhere)
        await channels.notify(
            "soc", "- 06HX '[open](https://x.example) @Everyone <!channel> @here.' from a@here.example"
        )
    assert told == ["- 06HX '[open] (https[:]//x[.]example) @ Everyone < !channel> @ here.' from a@ here[.]example"]


LINK = re.compile(
    rf"(?<![\w{DOTS}@-])(?:https?:|file:|[a-z][a-z0-9+-]*://|ms-[a-z]+:\w|www[{DOTS}]|[\w-]+[{DOTS}][a-z]{{2,}})",
    re.IGNORECASE,
)
CALL = re.compile(r"@(everyone|here|(channel|all)(?![a-z0-9]))|<[@#!]", re.IGNORECASE)
pieces = st.sampled_from(
    ["http://evil.example/a", "[click](", ")", "<https://evil.example|pay>", "@everyone", "@HERE", "<!channel>",
     "<@U1>", "evil.example", "a@evil.example", "**", "__", "~~", "||", "`", "# ", "> ", "-", " ", "x",
     "WWW.evil.example", "evil\u3002example", "www\uff0eevil\uff61example", "file://evil.example/a",
     "tg://resolve?a=b", "vscode://x/y", "ms-word:ofe|u|x"]
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["json", "slack", "gchat", *sorted(MARKDOWN)])
@given(st.lists(pieces, max_size=12).map("".join))
def test_no_channel_is_given_a_live_link_a_call_or_formatting_of_a_stranger(scheme: str, text: str) -> None:
    shown = disarm(text, scheme)
    assert not LINK.search(shown.replace("\\", ""))
    assert not CALL.search(shown)
    assert "](" not in shown
    if scheme in MARKDOWN:
        assert not re.search(r"(?<!\\)(?:\\\\)*[*_~|`>#]", shown)


@pytest.mark.slow
async def test_a_service_that_formats_is_given_backslashes() -> None:
    told: list[str] = []

    async def take(request: web.Request) -> web.Response:
        told.append(str(await request.json()))
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"mmost://127.0.0.1:{runner.addresses[0][1]}/{'t' * 26}"
    await open_channels({"soc": address}, nowhere).notify("soc", "*pay* ~~not~~ http://evil.example")
    await runner.cleanup()
    assert r"\\*pay\\*" in told[0]
    assert "http://" not in told[0]


@pytest.mark.slow
async def test_a_notice_that_was_not_taken_is_to_be_tried_again() -> None:
    async with receiver(500) as (address, told):
        with pytest.raises(Temporary, match="'soc' did not take the notice"):
            await open_channels({"soc": address}, nowhere).notify("soc", "text")
    assert told == ["text"]


@pytest.mark.slow
async def test_a_channel_that_cannot_be_reached_is_to_be_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Temporary):
            await open_channels({"soc": f"json://127.0.0.1:{taken.getsockname()[1]}"}, nowhere).notify("soc", "text")


@pytest.mark.slow
async def test_a_channel_that_fails_does_not_keep_a_notice_from_the_others() -> None:
    notices: Notices = []
    async with receiver(500) as (address, _):
        addresses = {"broken": address, "soc": "log://"}
        channels = open_channels(addresses, lambda channel, text: notices.append((channel, text)))
        errors = await broadcast(channels, "text")
    assert ([*errors], notices) == (["broken"], [("soc", "text")])


@asynccontextmanager
async def silence() -> AsyncIterator[tuple[str, asyncio.Event, list[int]]]:
    """Run a server that takes connections and answers once it may; count the connections."""
    may, came, served = asyncio.Event(), list[int](), set[asyncio.Task[None] | None]()

    async def keep_waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        served.add(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        await may.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(keep_waiting, "127.0.0.1", 0) as server:
        yield f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/?rto=60", may, came
        may.set()
        await asyncio.gather(*filter(None, served))


@pytest.mark.slow
async def test_a_channel_that_hangs_is_given_up_in_time_and_not_asked_again_before_it_has_answered() -> None:
    notices: Notices = []
    async with silence() as (address, may, came):
        addresses = {"hangs": address, "soc": "log://"}
        channels = open_channels(addresses, lambda channel, text: notices.append((channel, text)), deadline=0.3)
        for number in range(3):
            errors = await broadcast(channels, str(number))
            assert "channel 'hangs' did not answer whole in" in str(errors["hangs"])
        assert ([text for _, text in notices], len(came)) == (["0", "1", "2"], 1)
        may.set()
        while await broadcast(channels, "3"):
            pass
        assert len(came) >= 2


@pytest.mark.slow
async def test_a_process_that_ends_does_not_wait_for_a_channel_that_hangs() -> None:
    async with silence() as (address, _, _):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", NOTIFIES, address)
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_the_operations_log_is_a_channel_too() -> None:
    notices: Notices = []
    channels = open_channels({"soc": "log://"}, lambda channel, text: notices.append((channel, text)))
    await channels.notify("soc", "text")
    assert notices == [("soc", "text")]
    assert channels.names == {"soc"}


async def test_the_lines_of_a_notice_are_one_in_the_operations_log_and_nobody_can_add_to_them() -> None:
    out = StringIO()
    log = open_log(out)
    channels = open_channels({"soc": "log://"}, lambda channel, text: log.info("notice", channel=channel, text=text))
    await channels.notify("soc", "rule: 2 notices\n- bad · 'Hi | all is well\x1b[2J'\n- worse")
    told = msgspec.json.decode(out.getvalue())["text"]
    assert told == r"rule: 2 notices | bad · 'Hi \u007C all is well\u001B[2J' | worse"


async def test_a_channel_without_an_address_names_the_setting() -> None:
    with pytest.raises(Temporary, match="set WORKER_NOTIFY_ON_CALL"):
        await open_channels({}, nowhere).notify("on_call", "text")


@pytest.mark.slow
def test_an_address_that_nobody_knows_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError, match="WORKER_NOTIFY_SOC") as caught:
        open_channels({"soc": "carrier-pigeon://user:s3cret@loft"}, nowhere)
    assert "s3cret" not in str(caught.value)
