"""The web server, over a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from worker.errors import SettingsError
from worker.web import PATHS, Readiness, serve

pytestmark = pytest.mark.slow  # it starts a server


async def metrics() -> bytes:
    """Return one metric."""
    return b"worker_ready 1.0\n"


@asynccontextmanager
async def serving(readiness: Readiness) -> AsyncIterator[str]:
    """Serve with a given readiness and give the address."""
    async with serve("127.0.0.1", 0, readiness=lambda: readiness, metrics=metrics) as url:
        yield url


async def test_a_process_that_answers_is_alive_even_when_it_is_not_ready() -> None:
    unready = Readiness(ready=False, why=("the API cannot be reached",))
    async with serving(unready) as url, ClientSession() as web, web.get(url + "/livez") as answer:
        assert (answer.status, await answer.json()) == (200, {"alive": True})


async def test_a_worker_that_is_not_ready_says_why() -> None:
    sources = {"messages": {"covered_seconds_ago": 900.0}}
    async with (
        serving(Readiness(ready=False, reasons=("late",), why=("messages are late",), sources=sources)) as url,
        ClientSession() as web,
        web.get(url + "/readyz") as answer,
    ):
        assert answer.status == 503
        assert await answer.json() == {
            "ready": False,
            "reasons": ["late"],
            "why": ["messages are late"],
            "warnings": [],
            "sources": sources,
        }


async def test_a_worker_that_is_ready_says_so() -> None:
    async with serving(Readiness(ready=True)) as url, ClientSession() as web, web.get(url + "/readyz") as answer:
        assert (answer.status, (await answer.json())["ready"]) == (200, True)


async def test_metrics_are_text_that_prometheus_reads() -> None:
    async with serving(Readiness(ready=True)) as url, ClientSession() as web, web.get(url + "/metrics") as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert await answer.read() == b"worker_ready 1.0\n"


async def test_any_other_path_names_those_there_are() -> None:
    async with serving(Readiness(ready=True)) as url, ClientSession() as web, web.post(url + "/ready") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"] == f"try one of {', '.join(PATHS)}"


async def test_an_address_that_is_taken_is_a_setting_to_change() -> None:
    async with serving(Readiness(ready=True)) as url:
        with pytest.raises(SettingsError, match=r"WORKER_LISTEN is 127\.0\.0\.1:\d+, where nothing can listen"):
            async with serve(
                "127.0.0.1", urlsplit(url).port or 0, readiness=lambda: Readiness(ready=True), metrics=metrics
            ):
                pass
