"""Mail is taken apart in a process that knows nothing else, and no mail keeps the next one waiting."""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.msgpack import decode, encode
from msgspec.structs import replace

from tests.serving import find_children
from tests.support import open_mail
from worker.errors import Temporary
from worker.mime.child import OOM_SCORE, serve, warm_up, without_data
from worker.mime.letter import Letter, enclose
from worker.mime.process import UNLINKED, UNREAD, LetterOpener, _Exchange
from worker.mime.protocol import FRAME_LIMIT, HEAD
from worker.walls import WALLS, Standing

MAIL = "Subject: a\nContent-Type: text/html; charset=gb2312\n\n<a href=https://evil.example>b</a> evil.com"


@pytest.fixture
async def opener() -> AsyncIterator[LetterOpener]:
    """Open mail in processes."""
    with LetterOpener() as made:
        yield made


def answer(*frames: bytes, standing: Standing | None = None) -> _Exchange:
    """Let the other side of a socket answer with these bytes, and then end."""
    ours, theirs = socket.socketpair()
    found = _Exchange()
    wall = encode({"seccomp": ""} if standing is None else standing)

    def write() -> None:
        with theirs:
            for frame in (HEAD.pack(len(wall)) + wall, *frames):
                theirs.sendall(frame)
            theirs.recv(1 << 16)

    writer = threading.Thread(target=write)
    writer.start()
    with ours:
        found.run(ours, b"mail")
    writer.join()
    return found


def frame(value: object) -> bytes:
    body = encode(value)
    return HEAD.pack(len(body)) + body


@pytest.mark.slow
async def test_a_mail_reads_the_same_in_a_process_of_its_own(opener: LetterOpener) -> None:
    assert await opener.open(MAIL) == await open_mail(MAIL)
    file = f"Content-Type: image/png; name=a\n\n{MAIL}"
    assert await opener.open(file) == without_data(await open_mail(file))
    both = await asyncio.gather(*(opener.open(f"Subject: {n}\n\n") for n in range(20)))
    assert [one.header("Subject") for one in both] == [str(n) for n in range(20)]


@pytest.mark.slow
async def test_every_wall_stands_around_a_mail_and_is_told_once() -> None:
    told = list[Standing]()
    with LetterOpener(on_start=told.append) as opener:
        await opener.open(MAIL)
        await opener.open(MAIL)
    assert told == [dict.fromkeys(WALLS, "")]


@pytest.mark.slow
async def test_a_process_that_has_gone_is_started_again(opener: LetterOpener) -> None:
    await opener.open(MAIL)
    os.kill(children()[0], signal.SIGKILL)
    whole = await open_mail(MAIL)
    assert await asyncio.gather(*(opener.open(MAIL) for _ in range(4))) == [whole] * 4


@pytest.mark.slow
async def test_where_memory_ends_what_takes_mail_apart_ends_first(opener: LetterOpener) -> None:
    await opener.open(MAIL)
    assert (Path("/proc") / str(children()[0]) / OOM_SCORE.name).read_text() == "1000\n"


def test_a_mail_is_sent_without_its_links_and_then_whole() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as answer:
        ours.sendall(frame((MAIL, True)))
        serve(theirs.fileno())
        half, whole = (decode(answer.read(HEAD.unpack(answer.read(HEAD.size))[0]), type=Letter) for _ in range(2))
    assert (len(half.links), len(whole.links)) == (0, 2)
    assert half.problems == whole.problems == (f"only the first {len(MAIL)} bytes were read",)


def test_all_that_mail_needs_is_loaded_before_the_walls_are_up() -> None:
    warm_up()
    gc.unfreeze()
    assert {"encodings.cp874", "encodings.gbk", "encodings.euc_jp"} <= sys.modules.keys()


@pytest.mark.slow
async def test_no_process_is_left_behind(opener: LetterOpener) -> None:
    await opener.open(MAIL)
    assert len(children()) == 1
    opener.__exit__()
    assert children() == []


def children() -> list[int]:
    """Return the processes that this one has started."""
    return find_children(os.getpid())


@pytest.mark.slow
async def test_without_a_process_a_mail_is_told_to_be_unread() -> None:
    with LetterOpener(python="/bin/false") as opener:
        assert await opener.open(MAIL) == Letter(problems=(UNREAD,))


@pytest.mark.slow
async def test_where_no_process_can_be_started_a_mail_is_tried_again_later() -> None:
    why = "cannot start a process that takes mail apart"
    with LetterOpener(python="/no/python") as opener, pytest.raises(Temporary, match=why):
        await opener.open(MAIL)


def test_a_mail_that_ends_its_process_is_given_as_far_as_it_was_read() -> None:
    half = Letter(text="a", problems=("b",))
    assert answer().choose() == Letter(problems=(UNREAD,))
    assert answer(frame(half)).choose() == replace(half, problems=("b", UNLINKED))
    assert answer(frame(half), frame(half)).choose() == half


@pytest.mark.parametrize(
    "bad",
    [HEAD.pack(FRAME_LIMIT + 1), HEAD.pack(9) + b"a", b"a", frame({"text": 1}), frame({"files": [{"name": "a"}]})],
)
def test_what_is_no_mail_is_not_taken_for_one(bad: bytes) -> None:
    assert answer(bad).choose() == Letter(problems=(UNREAD,))


def test_the_bytes_of_files_stay_where_they_are() -> None:
    file = enclose("a", "b/c", b"data")
    [sent] = without_data(Letter(files=(file,))).files
    assert (sent.data, sent.sha256, sent.size) == (b"", file.sha256, 4)
