"""The rule process, run in a thread: how it answers each frame."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from threading import Thread

from msgspec.msgpack import decode

from tests.rule_files import GOOD, mail, rule_files
from worker.rulehost.child import Stopwatch, send, serve
from worker.rulehost.evaluation import NOBODY
from worker.rulehost.loader import Sources, read
from worker.rulehost.protocol import HEAD, MORE, NOTE, Declared, EventPage, Loaded, Parsed, Verdicts


@contextmanager
def served(sources: Sources, memory: mmap) -> Iterator[socket.socket]:
    """Serve in a thread, and check that it ends when the socket is closed."""
    ours, theirs = socket.socketpair()
    thread = Thread(target=serve, args=(theirs.fileno(), memory))
    thread.start()
    with theirs:
        with ours:
            send(ours.fileno(), sources)
            yield ours
            ours.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert not thread.is_alive()


def answer(link: socket.socket) -> bytes:
    """Read one frame."""
    size = HEAD.unpack(link.recv(HEAD.size, socket.MSG_WAITALL))[0] & ~MORE
    return link.recv(size, socket.MSG_WAITALL)


def test_sources_are_answered_with_rules_and_pages_with_what_was_said(tmp_path: Path) -> None:
    with mmap(-1, NOTE.size) as memory, served(read(rule_files(tmp_path, good=GOOD)), memory) as link:
        assert decode(answer(link), type=Parsed).fingerprints.keys() == {"good.py"}
        declared, loaded = decode(answer(link), type=Declared), decode(answer(link), type=Loaded)
        assert (declared.file, declared.rules) == ("good.py", loaded.rules)
        assert [rule.name for rule in loaded.rules] == ["good"]
        for keys in (["1", "2"], ["3"]):
            send(link.fileno(), EventPage(tuple(mail(key) for key in keys)))
            verdicts = decode(answer(link), type=Verdicts)
            assert [said.key for said in verdicts.said] == keys
            assert [calls for calls, _ in verdicts.calls.values()] == [len(keys)]
        calls, event, rule = NOTE.unpack_from(memory)
    assert (event, rule) == (1, NOBODY)
    assert calls == 1 + 5 + 3


def test_a_refusal_names_the_problems() -> None:
    with mmap(-1, NOTE.size) as memory, served(Sources("rules", {"a.py": b"import os"}), memory) as link:
        assert decode(answer(link), type=Parsed).fingerprints == {}
        loaded = decode(answer(link), type=Loaded)
    assert [(one.file, one.line) for one in loaded.problems] == [("rules/a.py", 1)]


def test_a_daemon_that_goes_before_it_says_anything_is_no_error() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs, mmap(-1, NOTE.size) as memory:
        serve(theirs.fileno(), memory)
        assert NOTE.unpack_from(memory)[0] == 0


def test_a_call_lasts_until_the_next_thing_begins_and_counts_for_its_rule() -> None:
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0])
    stopwatch = Stopwatch(lambda: next(now))
    for rule in (NOBODY, 0, 1, 0, NOBODY):
        stopwatch.begin(rule)
    assert stopwatch.take() == {0: (2, 2.0 + 4.0), 1: (1, 3.0)}
    assert stopwatch.take() == {}
