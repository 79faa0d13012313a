"""Heads are made when something new has waited a minute, and reach every sink whole, in order, at least once."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.ledger.desk import ME, T0, Desk
from tests.support import Memory
from worker.audit.heads import BrokenHeadError, SignedHead, hash_head, open_head
from worker.audit.keys import KeyPair
from worker.audit.signers import KeySigner, Signer
from worker.audit.signing import HeadChain
from worker.audit.sinks import ON_STDOUT, FileSink, Sink, StreamSink
from worker.errors import Temporary
from worker.ledger.records import NOTHING, NewRecord

PAIR = KeyPair.make()


class Failing(KeySigner):
    """Signs as long as it works."""

    works = True

    async def sign(self, body: bytes) -> bytes:
        """Sign, or say that it cannot."""
        if not self.works:
            raise Temporary("the key is elsewhere")
        return await super().sign(body)


class Bench:
    """A ledger in memory, and what signs it."""

    def __init__(self, signer: Signer | None = None, **more: Sink) -> None:
        self.desk, self.memory = Desk(), Memory()
        self.sinks: dict[str, Sink] = {ON_STDOUT: StreamSink(self.memory), **more}
        self.begin(signer or KeySigner(PAIR))

    def begin(self, signer: Signer) -> None:
        """Begin as a process does."""
        self.chain = HeadChain(self.desk.ledger, ME, signer, self.sinks, lambda: T0)

    async def write(self, count: int = 1) -> None:
        """Write some records."""
        await self.desk.ledger.write(ME, [NewRecord("started", {"n": n}) for n in range(count)], T0)

    @property
    def out(self) -> list[bytes]:
        """The lines that came to stdout."""
        return self.memory.getvalue().splitlines(keepends=True)

    @property
    def heads(self) -> list[SignedHead]:
        """What came to stdout."""
        return [open_head(line.rstrip(b"\n"))[0] for line in self.out]


async def test_a_head_is_made_a_minute_after_the_first_new_record_and_none_while_nothing_happens() -> None:
    bench = Bench()
    await bench.chain.step(0)
    await bench.write()
    for now in (100, 130, 159):
        await bench.chain.step(now)
        await bench.write()
    assert bench.heads == []
    await bench.chain.step(160)
    for now in (161, 300, 9000):
        await bench.chain.step(now)
    assert [(head.head, head.number, head.previous) for head in bench.heads] == [(1, 4, NOTHING)]
    await bench.write()
    for now in (9001, 9061):
        await bench.chain.step(now)
    assert [(head.head, head.number) for head in bench.heads] == [(1, 4), (2, 5)]
    assert bench.heads[1].previous == hash_head(bench.out[0].rstrip(b"\n"))


async def test_a_thousand_records_are_signed_at_once_and_everything_when_that_is_asked_for() -> None:
    bench = Bench()
    await bench.write(999)
    await bench.chain.step(0)
    await bench.write()
    await bench.chain.step(1)
    await bench.write()
    await bench.chain.step(2, at_once=True)
    assert [head.number for head in bench.heads] == [1000, 1001]


async def test_a_head_is_signed_over_its_bytes_and_names_its_key() -> None:
    bench = Bench()
    await bench.write()
    await bench.chain.step(0, at_once=True)
    line = bench.out[0].rstrip(b"\n")
    head, body, signature = open_head(line)
    assert (PAIR.public.has_signed(body, signature), head.key) == (True, PAIR.public.id)
    for change in (line.replace(b'"head":1', b'"head": 1'), line[:-3], line.replace(b'{"a', b'{"b":1,"a'), b"[", b""):
        with pytest.raises(BrokenHeadError):
            open_head(change)


async def test_what_a_failing_signer_leaves_is_covered_by_the_next_head() -> None:
    signer = Failing(PAIR)
    bench = Bench(signer)
    signer.works = False
    await bench.write()
    for now in (0, 60, 120):
        with pytest.raises(Temporary, match="elsewhere") if now else nullcontext():
            await bench.chain.step(now)
        await bench.write()
    signer.works = True
    await bench.chain.step(121)
    assert [(head.head, head.number) for head in bench.heads] == [(1, 4)]


async def test_a_new_key_brings_the_word_of_the_old_one_with_its_first_head() -> None:
    bench = Bench()
    new = KeySigner(KeyPair.make(PAIR))
    for signer in (KeySigner(PAIR), new, new):
        bench.begin(signer)
        await bench.write()
        await bench.chain.step(0, at_once=True)
    assert [head.succession for head in bench.heads] == [None, new.succession, None]


async def test_each_sink_goes_on_where_it_was_and_only_the_last_head_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "away" / "heads.jsonl"
    bench = Bench(file=FileSink(file))
    for _ in range(3):
        await bench.write()
        with pytest.raises(Temporary, match=r"cannot be written to file \(No such file or directory\): they wait"):
            await bench.chain.step(0, at_once=True)
    assert (len(bench.out), len(await bench.desk.ledger.list_heads(ME))) == (3, 3)
    file.parent.mkdir()
    file.write_bytes(b'{"torn')
    bench.begin(KeySigner(PAIR))
    await bench.chain.step(0)
    assert file.read_bytes() == b'{"torn\n' + b"".join(bench.out)
    assert len(await bench.desk.ledger.list_heads(ME)) == 1
    assert len(bench.out) == 3


async def test_a_signed_record_that_is_gone_is_told() -> None:
    bench = Bench()
    await bench.write(3)
    await bench.chain.step(0, at_once=True)
    bench.desk.runner.transact(lambda conn: conn.exec_driver_sql("delete from records where number = 3"))
    with pytest.raises(Temporary, match="record 3 was signed and is not in the ledger any more"):
        await bench.chain.step(0)
