"""HTTP transport: one request out, one whole answer back, and the error when that fails."""

import asyncio
import gzip
import socket
import traceback
from contextlib import suppress

import pytest

from tests.api.desk import Server, http, serving
from tests.cells import each
from worker.api import Credential, HttpTransport, Request, Response
from worker.api.transport import _find_proxy
from worker.errors import SettingsError, TooLong, Unreachable, Unsure, WorkerError

pytestmark = pytest.mark.slow  # it starts a server

SECRET = "s3cr3t-token"  # noqa: S105 (looked for where it must not be)
READ = Request(method="GET", path="/accounts/a/x%2Fy%3Az", query=(("start", "2026-01-01T00:00:00Z"), ("q", "a b&c")))
WRITE = Request(method="POST", path="/accounts/a/move", body=b'{"ids":[]}')
DELETE = Request(method="DELETE", path="/accounts/a/entry")
REUSED = http("200 OK", b"{}")


def transport(url: str, deadline: float = 5.0) -> HttpTransport:
    return HttpTransport(url + "/client/v4", Credential.from_text(SECRET), deadline)


async def sent(server: Server, *requests: Request, deadline: float = 5.0) -> list[Response]:
    async with transport(server.url, deadline) as line:
        return [await line.send(request) for request in requests]


async def test_a_request_is_sent_as_it_was_written_with_its_credential() -> None:
    async with serving(http("200 OK", b"{}", "X-Told: Yes")) as server:
        (response,) = await sent(server, READ)
    first, *headers = server.heard[0].decode().split("\r\n")
    assert first == "GET /client/v4/accounts/a/x%2Fy%3Az?start=2026-01-01T00%3A00%3A00Z&q=a+b%26c HTTP/1.1"
    assert f"Authorization: Bearer {SECRET}" in headers
    assert any(header.startswith("Accept-Encoding: gzip") for header in headers)
    assert (response.status, response.headers["x-told"], response.body) == (200, "Yes", b"{}")
    assert response.url.startswith(server.url + "/client/v4/accounts/a/x%2Fy%3Az?")


async def test_a_packed_body_is_unpacked() -> None:
    packed = gzip.compress(b'{"success":true}')
    async with serving(http("200 OK", packed, "Content-Encoding: gzip")) as server:
        assert (await sent(server, WRITE))[0].body == b'{"success":true}'
    assert server.heard[0].endswith(b'\r\n\r\n{"ids":[]}')
    assert b"Content-Type: application/json" in server.heard[0]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_an_answer_and_not_followed(status: str) -> None:
    async with serving(http(status, b"", "Location: /elsewhere")) as server:
        assert (await sent(server, WRITE))[0].status == int(status[:3])
    assert len(server.heard) == 1


@pytest.mark.parametrize("request_", [READ, WRITE, DELETE], ids=["read", "write", "delete"])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "but no answer came: "),
        (http("200 OK", b'{"result":', length=99) + b"close", "its answer did not come whole: "),
        (http("200 OK", b"no gzip", "Content-Encoding: gzip"), "its answer did not come whole: "),
        (b"SSH-2.0-nonsense close\r\n\r\n", "but no answer came: "),
    ],
    ids=["reset", "cut", "garbled", "not http"],
)
async def test_a_request_whose_answer_is_lost_was_sent_once_and_is_unsure(
    request_: Request, answer: bytes, told: str
) -> None:
    async with serving(REUSED, answer, REUSED, REUSED) as server:
        with pytest.raises(Unsure, match=told):
            await sent(server, READ, request_)
    assert len(server.heard) == 2


async def test_a_deadline_that_passes_is_unsure() -> None:
    async with serving(http("200 OK", b"half", length=99), REUSED) as server:
        with pytest.raises(Unsure, match=r"its answer did not come whole within 0\.2 s$"):
            await sent(server, WRITE, deadline=0.2)


async def test_where_nothing_comes_in_time_that_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with transport(f"http://127.0.0.1:{deaf.getsockname()[1]}", 0.2) as line:
            with pytest.raises(Unsure, match=r"but no answer came within 0\.2 s$"):
                await line.send(WRITE)


async def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with transport(url) as line:
        with pytest.raises(Unreachable, match="could not connect"):
            await line.send(WRITE)


async def test_where_what_and_what_to_do_are_one_sentence_without_the_libraries_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    async with transport(f"http://{place}") as line:
        with pytest.raises(Unreachable) as caught:
            await line.send(READ)
    said = f"could not connect to the API at {place} (Connection refused): check the network and CLOUDFLARE_BASE_URL"
    assert str(caught.value) == said


async def test_a_name_that_nobody_knows_is_told_in_the_words_for_names() -> None:
    async with transport("https://nowhere.invalid") as line:
        with pytest.raises(Unreachable, match=r"at nowhere\.invalid:443 \([A-Z][\w ]+\): check") as caught:
            await line.send(READ)
    assert "Unknown error" not in str(caught.value)


async def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:{SECRET}@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    async with HttpTransport("http://api.example/v4", Credential.from_text("t")) as line:
        with pytest.raises(Unreachable, match=r"api\.example:80 through the proxy 127\.0\.0\.1:1 ") as caught:
            await line.send(READ)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("form", ["me:{}@127.0.0.1:1", "http://me:{}@127.0.0.1:1"])
async def test_a_proxy_may_be_named_without_its_scheme(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("http_proxy", form.format(SECRET))
    monkeypatch.setenv("no_proxy", "")
    async with HttpTransport("http://api.example/v4", Credential.from_text("t")) as line:
        with pytest.raises(Unreachable, match=r"through the proxy 127\.0\.0\.1:1 "):
            await line.send(READ)


@pytest.mark.parametrize("proxy", ["socks5://me:{}@host:1080", "http://me:{}@host:port", "http://me:{}@", "://{}"])
async def test_a_proxy_that_is_none_is_refused_without_a_word_of_it(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("https_proxy", proxy.format(SECRET))
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(SettingsError, match="https_proxy is not a valid proxy") as refused:
        await HttpTransport("https://api.example/v4", Credential.from_text("t")).__aenter__()
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "answer", [http("407 Login"), http("403 No"), b"garbage\r\n\r\n"], ids=["407", "403", "garbage"]
)
async def test_a_proxy_that_refuses_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    async with serving(answer) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", f"//me:{SECRET}@"))
        monkeypatch.setenv("no_proxy", "")
        async with HttpTransport("https://api.example/v4", Credential.from_text("t")) as line:
            with pytest.raises((Unreachable, Unsure)) as caught:
                await line.send(READ)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


async def test_an_answer_in_between_shows_that_the_api_is_there() -> None:
    answered = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if b"slow" in asked:
            await answered.wait()
        if b"good" in asked:
            writer.write(REUSED)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, transport(url) as line:
        with pytest.raises(Unsure):
            await line.send(Request(method="GET", path="/bad"))
        slow = asyncio.ensure_future(line.send(Request(method="GET", path="/slow")))
        await line.send(Request(method="GET", path="/good"))
        answered.set()
        with pytest.raises(Unsure):
            await slow
        assert line.lost == ""


@pytest.mark.parametrize("answer", [b"", http("200 OK", b"half", length=99) + b"close"], ids=["reset", "cut"])
async def test_the_api_is_lost_when_two_in_a_row_fail_and_back_at_the_first_answer(answer: bytes) -> None:
    async with serving(answer, REUSED, answer, answer, REUSED) as server, transport(server.url) as line:
        lost = []
        for _ in range(5):
            with suppress(Unsure):
                await line.send(READ)
            lost.append(bool(line.lost))
    assert lost == [False, False, False, True, False]


async def test_two_that_fail_side_by_side_are_one_failure() -> None:
    async with transport("http://127.0.0.1:1") as line:
        await asyncio.gather(line.send(READ), line.send(READ), return_exceptions=True)
        assert line.lost == ""
        await asyncio.gather(line.send(READ), return_exceptions=True)
        assert "could not connect" in line.lost


async def test_a_server_that_does_not_speak_tls_was_sent_nothing() -> None:
    async with serving(b"this is no handshake") as server, transport(server.url.replace("http", "https")) as line:
        with pytest.raises(Unreachable, match="could not connect"):
            await line.send(WRITE)


async def test_a_connection_that_is_not_made_in_time_was_not_made() -> None:
    async with serving(REUSED) as silent, transport(silent.url.replace("http", "https"), 0.4) as line:
        with pytest.raises(Unreachable, match="the deadline passed"):
            await line.send(WRITE)


async def test_no_error_knows_the_credential_not_even_in_its_causes() -> None:
    async with serving(b"", b"SSH-2.0-nonsense close\r\n\r\n") as server, transport(server.url) as line:
        for _ in range(3):
            caught: BaseException | None = None
            try:
                await line.send(WRITE)
            except WorkerError as error:
                caught = error
            assert caught
            assert caught.__cause__ is None
            assert caught.__context__ is None
            shown = "".join(traceback.TracebackException.from_exception(caught, capture_locals=True).format())
            assert "no answer came" in shown or "could not connect" in shown
            assert SECRET not in shown + repr(line) + repr(vars(line)["_credential"])


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(http("200 OK", b"{}")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with HttpTransport("http://api.example/v4", Credential.from_text(SECRET)) as line:
            await line.send(READ)
        assert proxy.heard[0].startswith(b"GET http://api.example/v4/accounts/a/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with serving(http("200 OK", b"{}")) as direct:
            await sent(direct, READ)
            assert len(direct.heard) == 1


@each(
    ("named", "spared", "used"),
    [
        ({"https_proxy": "http://p:1"}, "", "http://p:1"),
        ({"all_proxy": "http://p:1"}, "", None),
        ({"https_proxy": "http://p:1"}, "10.0.0.0/8", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "10.1.2.3", None),
    ],
)
def test_proxies_are_chosen_as_the_documentation_says(named: dict[str, str], spared: str, used: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            patch.delenv(name, raising=False)
        for name, value in {**named, "no_proxy": spared}.items():
            patch.setenv(name, value)
        assert _find_proxy("https://10.1.2.3/v4") == used


async def test_no_proxy_stands_between_the_worker_and_its_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    async with serving(http("200 OK", b"{}")) as server:
        await sent(server, READ)
        assert len(server.heard) == 1


@pytest.mark.parametrize(
    "base",
    [
        "",
        "api.cloudflare.com",
        "ftp://x/",
        "https://",
        "https://me:pw@x",
        "https://x/?q=1",
        "http://[::1",
        "http://x:y",
    ],
)
def test_a_base_url_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(SettingsError, match="CLOUDFLARE_BASE_URL must look like"):
        HttpTransport(base, Credential.from_text(SECRET))


async def test_an_answer_beyond_all_measure_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.api.transport.MOST_BYTES", 3 << 20)
    answers = http("200 OK", b"x" * (3 << 20)), http("200 OK", b"x" * (3 << 20) + b"x", "Connection: close")
    async with serving(*answers) as server, transport(server.url) as line:
        assert len((await line.send(READ)).body) == 3 << 20
        with pytest.raises(TooLong, match="the answer of the API is longer than 3 MB"):
            await line.send(READ)
