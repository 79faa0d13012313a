"""Long mail: of an answer that is too long, as much of the mail is read as came."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.desk import Line, client, http, page, quickly, serving
from tests.cells import each
from tests.support import open_mail
from worker.api import Credential, HttpTransport, Request, Response
from worker.api.long_mail import LONGEST, close_mail
from worker.api.models import LoadedMail
from worker.errors import ServerFault
from worker.language.mending import mend
from worker.language.reading import read


def cut(body: bytes) -> Response:
    """Make an answer of which the rest was not read."""
    return msgspec.structs.replace(page(200, "", "application/json"), body=body, is_cut=True)


@pytest.mark.slow
async def test_of_an_answer_that_may_be_cut_only_the_beginning_is_read() -> None:
    body = b"x" * (3 << 20)
    answers = http("200 OK", body), http("200 OK", body, "Connection: close")
    async with serving(*answers) as server, HttpTransport(server.url, Credential.from_text("a-token")) as line:
        whole = await line.send(Request(method="GET", path="/a", cut_at=3 << 20))
        part = await line.send(Request(method="GET", path="/a", cut_at=1 << 20))
    assert (len(whole.body), whole.is_cut) == (3 << 20, False)
    assert (len(part.body), part.is_cut) == (1 << 20, True)


def test_a_mail_that_is_too_long_is_given_as_far_as_it_came() -> None:
    line = Line(cut(b'{"result":{"raw":"Subject: a\\r\\n\\r\\nsee https://evil.example/'))
    found = quickly(lambda: client(line).investigate.raw("i"))
    assert found == LoadedMail(raw="Subject: a\r\n\r\nsee https://evil.example/", is_cut=True)
    assert line.asked[0].cut_at == LONGEST
    mail = quickly(lambda: open_mail(found.raw or "", is_cut=found.is_cut))
    assert (len(mail.links), mail.problems) == (1, ("only the first 39 bytes were read",))


@each("mail", ["a", ""])
def test_a_mail_that_came_whole_is_not_cut(mail: str) -> None:
    line = Line(page(200, f'{{"success":true,"result":{{"raw":"{mail}"}}}}', "application/json"))
    assert quickly(lambda: client(line).investigate.raw("i")) == LoadedMail(raw=mail)


@each("body", [b'{"result":{"name":"', b'{"result":{"raw":null', b" " * 5_000 + b'{"result":{"raw":"a'])
def test_what_holds_no_mail_is_a_fault(body: bytes) -> None:
    with pytest.raises(ServerFault):
        quickly(lambda: client(Line(*[cut(body)] * 5)).investigate.raw("i"))


@each("written", [b"a\\ud800b", b"a\xffb", "a\ufffdb".encode()])
def test_what_is_no_text_in_a_mail_takes_nothing_else_away(written: bytes) -> None:
    body = b'{"success":true,"result":{"raw":"' + written + b'"}}'
    line = Line(msgspec.structs.replace(page(200, "", "application/json"), body=body))
    assert quickly(lambda: client(line).investigate.raw("i")) == LoadedMail(raw="a\ufffdb")


@given(st.text(), st.integers(0), st.booleans())
def test_wherever_an_answer_is_cut_the_mail_is_a_beginning_of_it(mail: str, at: int, is_ascii: bool) -> None:  # noqa: FBT001
    written = json.dumps(mail, ensure_ascii=is_ascii).encode("utf-8", "replace")
    begin = b'{"success":true,"result": {"raw" : '
    closed = close_mail(begin + written[: 1 + at % len(written)])
    found = msgspec.json.decode(mend(closed), type=dict[str, msgspec.Raw])
    raw = read(LoadedMail, found["result"]).raw
    assert mail.encode("utf-8", "replace").decode().startswith((raw or "").rstrip("\ufffd")[:-1])
