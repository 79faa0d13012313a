"""A wire that does everything a wire can do: the worker waits, says what is wrong, and loses nothing."""

import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket

import msgspec
import pytest
from msgspec.structs import replace

from tests.faults.rig import MOVES, Daemon, Rig, until, until_it
from worker.escaping import BLANKS, UNSEEN
from worker.sandbox import Fault, IncomingRequest, OutgoingResponse

pytestmark = pytest.mark.slow
HTML = b"<!DOCTYPE html><title>Just a moment...</title>"
Change = Callable[[OutgoingResponse], OutgoingResponse]
STRANGE: dict[str, Change] = {
    "a page": lambda _: OutgoingResponse(200, {"content-type": "text/html"}, HTML),
    "a page of a gateway": lambda _: OutgoingResponse(502, {"content-type": "text/html"}, HTML),
    "half of a document": lambda told: replace(told, body=told.body[: len(told.body) // 2]),
    "another document": lambda told: replace(told, body=b'{"hello": "world"}'),
    "a list": lambda told: replace(told, body=b"[]"),
    "no result": lambda told: replace(told, body=b'{"success":true,"errors":[],"messages":[],"result":null}'),
    "nothing": lambda told: replace(told, body=b""),
    "a redirect": lambda _: OutgoingResponse(302, {"location": "https://elsewhere.example/login"}, b""),
    "a broken promise": lambda told: replace(told, cut="body"),
    "a fault": lambda told: replace(told, status=500, body=b'{"success":false,"errors":[],"result":null}'),
}


def searches(request: IncomingRequest) -> bool:
    """Tell whether a request is a search."""
    return request.method == "GET" and request.path.endswith("/investigate")


async def test_answers_that_make_no_sense_are_never_taken_for_empty_ones(tmp_path: Path) -> None:
    rig, coming, asked = Rig(tmp_path), list(STRANGE.values()), list[IncomingRequest]()
    outbreak = rig.world.arrive(3, "outbreak")

    def trap(request: IncomingRequest, told: OutgoingResponse) -> OutgoingResponse | None:
        if not searches(request):
            return None
        asked.append(request)
        return coming.pop(0)(told) if coming and len(asked) % 2 else None

    rig.world.trap = trap
    async with rig.api(), rig.daemon() as daemon:
        await until(lambda: not coming and len(rig.ours()) >= len(outbreak), lambda: daemon.log)
        await until(lambda: not rig.unsettled())
        await until_it(rig.has_read_all, lambda: daemon.log)
    assert sorted(rig.ours()) == sorted(mail.id for mail in outbreak)


async def test_moves_that_were_answered_with_nonsense_are_looked_for_and_not_repeated(tmp_path: Path) -> None:
    rig, coming = Rig(tmp_path), [change for name, change in STRANGE.items() if name != "no result"]
    waves = len(coming)

    def trap(request: IncomingRequest, told: OutgoingResponse) -> OutgoingResponse | None:
        return coming.pop(0)(told) if coming and request.method == "POST" else None

    rig.world.trap = trap
    async with rig.api(), rig.daemon() as daemon:
        for wave in range(waves):
            rig.world.arrive(1, "outbreak")
            await until(rig.moved(wave + 1), lambda: daemon.log)
        await until(lambda: states(daemon.records) == {"done"}, lambda: daemon.log)
    assert (coming, len(rig.ours()), len(set(rig.ours()))) == ([], waves, waves)


def states(records: list[dict[str, object]]) -> set[object]:
    """Return the states that entries are in after all these records."""
    last = {record["entry"]: record["to"] for record in records if record.get("entry") and record.get("to")}
    return set(last.values())


# -- an API that is not there --------------------------------------------------------------------------------------


def free_port() -> int:
    """Return a port where nobody listens."""
    with socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_an_api_nobody_reaches_is_waited_for_at_start_and_later(tmp_path: Path) -> None:
    rig, port = Rig(tmp_path), free_port()
    rig.environment["CLOUDFLARE_BASE_URL"] = f"http://127.0.0.1:{port}/client/v4"

    def said(event: str, count: int) -> Callable[[], bool]:
        return lambda: [one["loop"] for one in daemon.events if one["event"] == event].count("messages") == count

    async with rig.daemon() as daemon:
        for outage in (1, 2):
            await until(said("could not; tries again", outage), lambda: daemon.log)
            told = await daemon.ready()
            assert (told["ready"], "could not connect" in str(told["why"])) == (False, True)
            rig.world.arrive(2, "outbreak")
            async with rig.api(port=port):
                await until_it(daemon.is_ready, lambda: daemon.log)
                await until(rig.moved(2 * outage), lambda: daemon.log)
        await until(said("works again", 2), lambda: daemon.log)
    assert len(set(rig.ours())) == 4


async def test_others_who_spend_the_budget_are_waited_for_without_asking_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.api(), rig.daemon() as daemon:
        await until_it(daemon.is_ready, lambda: daemon.log)
        rig.world.faults.script([Fault("paced", seconds=4)])
        rig.world.arrive(3, "outbreak")
        await until(lambda: len(rig.ours()) == 3, lambda: daemon.log)
    assert rig.world.statuses("429") == 1


# -- what strangers write ------------------------------------------------------------------------------------------


NASTY = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2066\x9b31m\u200b\r\nGET / HTTP/1.1"
ASKS = MOVES.replace('Move("DeletedItems") if fits', "Move(%s) if fits") % (
    '"DeletedItems", because=f"{message.subject} from {message.from_name}"'
)


def steering(text: str) -> list[str]:
    """Return every character that would steer a terminal, or hide."""
    return [one for one in text if one != "\n" and (one in BLANKS or unicodedata.category(one) in UNSEEN)]


async def test_what_strangers_write_steers_nobodys_terminal(tmp_path: Path) -> None:
    rig = Rig(tmp_path, asks=ASKS)
    rig.world.add_message(subject=NASTY, from_name=NASTY, sender=f"{NASTY}@c0rp.example", client_recipients=[NASTY])
    rig.world.add_message(subject="x" * 5_000_000)
    async with rig.api(), rig.daemon(WORKER_CEILING="approve") as daemon:
        await until(lambda: len([one for one in daemon.records if one["verb"] == "entered"]) == 2, lambda: daemon.log)
        shown = [await rig.command(*words) for words in (("waiting",), ("audit", "query"), ("status",))]
        printed = [await rig.command(*words, "--json") for words in (("waiting",), ("audit", "query"))]
    assert [told.code for told in shown] == [0, 0, 0]
    assert [steering(told.out + told.err) for told in (*shown, *printed)] == [[]] * 5
    assert (steering(daemon.log), steering((tmp_path / "stdout").read_text())) == ([], [])
    assert all("u202E" in told.out for told in (shown[0], printed[0]))
    assert max(len(told.out) for told in (*shown, *printed)) < 20_000


@asynccontextmanager
async def told_of(rig: Rig, *records: object) -> AsyncIterator[None]:
    """Put records before the others on every page of a search."""

    def trap(request: IncomingRequest, told: OutgoingResponse) -> OutgoingResponse | None:
        if not searches(request) or told.status != 200:
            return None
        page = msgspec.json.decode(told.body)
        page["result"] = [*records, *page["result"]]
        return replace(told, body=msgspec.json.encode(page))

    rig.world.trap = trap
    async with rig.api():
        yield


async def test_a_record_that_makes_no_sense_is_kept_and_counted_and_costs_only_itself(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    bare = {"id": "4Nj-2026-01-05T12:00:00-1", "scanned_at": None, "from": None, "subject": None, "properties": None}
    new = {"id": "4Nk-2026-01-05T12:00:00-2", "final_disposition": "QUANTUM", "is_quarantined": "perhaps", "new": [1]}
    outbreak = rig.world.arrive(2, "outbreak")
    async with told_of(rig, None, 7, "text", [], {}, {"id": None}, bare, new), rig.daemon() as daemon:
        await until(lambda: len(rig.ours()) == len(outbreak), lambda: daemon.log)
        await until_it(daemon.is_ready, lambda: daemon.log)
        (account,) = msgspec.json.decode((await rig.command("status", "--json")).out)["accounts"]
        assert account["unreadable records"] == 8
        await until(lambda: broken_in(daemon) == ["messages"] * 8, lambda: daemon.log)


def broken_in(daemon: Daemon) -> list[str]:
    """Name the sources of the broken records that the worker told of."""
    return [record["source"] for record in daemon.records if record["verb"] == "broken record"]
