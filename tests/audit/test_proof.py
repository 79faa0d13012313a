"""Signed heads prove what the records were, and each forgery of them is named."""

from collections.abc import Callable

import pytest

from tests.audit.test_verify import chain, forged
from tests.cells import each
from tests.ledger.desk import ME, T0, Desk
from tests.support import Memory
from worker.audit.heads import BrokenHeadError, SignedHead, open_head, seal
from worker.audit.keys import KeyPair
from worker.audit.proof import Proof, list_signed, verify_heads
from worker.audit.signers import COMMAND, KeySigner
from worker.audit.signing import HeadChain
from worker.audit.sinks import ON_STDOUT, StreamSink
from worker.audit.verify import ChainVerifier, Verdict
from worker.ledger.records import NOTHING, NewRecord

PAIR, OTHER = KeyPair.make(), KeyPair.make()


async def signed(desk: Desk, length: int, every: int, pair: KeyPair = PAIR) -> tuple[list[bytes], list[bytes]]:
    """Write records and sign each so many; return both."""
    out = Memory()
    maker = HeadChain(desk.ledger, ME, KeySigner(pair), {ON_STDOUT: StreamSink(out)}, lambda: T0 + 60)
    for _ in range(0, length, every):
        await desk.ledger.write(ME, [NewRecord("started", {"n": n}) for n in range(every)], T0)
        await maker.step(0, at_once=True)
    return await desk.ledger.records(ME, limit=10_000), out.getvalue().splitlines(keepends=True)


def proved(lines: list[bytes], heads: list[bytes], *pairs: KeyPair, cut: bool = False) -> Verdict:
    keys = [pair.public for pair in pairs or (PAIR,)]
    verifier = ChainVerifier(cut=cut, proof=Proof(verify_heads(heads, ME, keys)))
    for line in lines:
        verifier.take(line)
    return verifier.finish()


def remade(line: bytes, pair: KeyPair = PAIR, **change: object) -> bytes:
    """Change a head and sign it anew."""
    head, _, _ = open_head(line.rstrip())
    body = SignedHead(**{name: getattr(head, name) for name in head.__struct_fields__} | change).to_body()
    return seal(body, pair.sign(body)) + b"\n"


async def test_heads_prove_the_records_up_to_the_last_one_signed() -> None:
    desk = Desk()
    lines, heads = await signed(desk, 10, 5)
    more = await chain(desk, 2)
    found = proved(more, heads)
    assert (found.problem, found.records, found.signed, found.signed_by) == ("", 12, 10, PAIR.public.id)
    assert proved(lines, heads[:1]).signed == 5
    assert (
        proved(lines, [heads[0], heads[0], *lines, b"{torn\n", b"<110>1 - - worker - head - " + heads[1]]).signed == 10
    )
    assert list_signed([*lines, *heads]) == {ME}


async def test_a_chain_that_was_written_anew_is_found_at_the_next_head() -> None:
    lines, heads = await signed(Desk(), 10, 5)
    anew = lines[:2]
    for line in lines[2:]:
        previous = anew[-1][-66:-2].decode()
        anew.append(forged(line, previous=previous, who="ciso"))
    found = proved(anew, heads)
    assert (found.broken_at, found.problem) == (
        5,
        "record 5 is not what head 1 signed on 2023-11-14T22:14:20.000Z: it was changed, or one from record 1 on was",
    )


async def test_what_was_signed_and_is_gone_is_missed() -> None:
    lines, heads = await signed(Desk(), 10, 5)
    for left in (0, 1, 5, 9):
        found = proved(lines[:left], heads)
        assert f"record {left + 1} is missing: head {1 if left < 5 else 2} signed record" in found.problem
    assert proved(lines[3:], heads, cut=True).problem == ""
    assert "names another record before it" in proved([forged(lines[5], previous="1" * 64)], heads, cut=True).problem


FORGERIES: list[tuple[str, Callable[[list[bytes]], list[bytes]]]] = [
    ("head 2 does not match its signature", lambda h: [h[0], h[1].replace(b'"number":4', b'"number":3'), h[2]]),
    ("head 2 does not match its signature", lambda h: [h[0], remade(h[1], OTHER, key=PAIR.public.id), h[2]]),
    ("head 1 is signed by key", lambda h: [remade(line, OTHER, key=OTHER.public.id) for line in h]),
    ("head 1 does not match its signature", lambda h: [remade(line, OTHER, key=COMMAND) for line in h]),
    ("head 3 does not follow head 1", lambda h: [h[0], h[2]]),
    ("head 1 does not follow head 2", lambda h: [h[1], h[0], h[2]]),
    ("head 1 does not follow head 2", lambda h: [h[0], h[1], h[0], h[2]]),
    ("head 2 names another head than 1", lambda h: [h[0], remade(h[1], previous=NOTHING), h[2]]),
    ("a line among the heads was changed", lambda h: [h[0], h[1].replace(b'"head":2', b'"head":"2"'), h[2]]),
    ("a line among the heads was changed", lambda h: [h[0], h[1].replace(b'{"account"', b'{"account":1,"account"')]),
]


@each(("problem", "forge"), FORGERIES)
async def test_each_forgery_of_a_head_is_named(problem: str, forge: Callable[[list[bytes]], list[bytes]]) -> None:
    lines, heads = await signed(Desk(), 6, 2)
    found = proved(lines, forge(heads))
    assert problem in found.problem, found


async def test_a_command_signs_with_any_of_the_keys_that_are_named() -> None:
    lines, heads = await signed(Desk(), 4, 2)
    told = remade(heads[0], OTHER, key=COMMAND)
    assert proved(lines[:2], [told], PAIR, OTHER).signed == 2


async def test_a_new_key_is_trusted_on_the_word_of_the_old_one_alone() -> None:
    desk = Desk()
    _, old = await signed(desk, 2, 1)
    for after, trusted in ((PAIR, True), (OTHER, False)):
        new = KeyPair.make(after)
        lines, heads = await signed(desk, 1, 1, new)
        found = proved(lines, [*old, *heads])
        assert (found.problem == "") == trusted
        assert trusted or "which nobody vouches for" in found.problem
        assert proved(lines, [*old, *heads], PAIR, new).problem == ""
        desk = Desk()
        _, old = await signed(desk, 2, 1)


async def test_a_forged_checkpoint_cannot_cut_off_what_was_signed_lately() -> None:
    desk = Desk()
    await signed(desk, 6, 2)
    await desk.ledger.prune(ME, T0 + 10, {}, T0 + 10)
    lines = await desk.ledger.records(ME)
    _, heads = await signed(Desk(), 6, 2)
    assert lines
    early = forged(lines[-1], before="2020-01-01T00:00:00.000Z", until="2019-01-01T00:00:00.000Z")
    found = proved([*lines[:-1], early], heads)
    assert "was cut off, but head 2 signed record 4, which was from 2023-11-14T22:13:20.000Z" in found.problem


def test_heads_that_cannot_be_told_apart_from_forged_ones_name_no_account() -> None:
    with pytest.raises(BrokenHeadError, match="a line among the heads was changed"):
        list_signed([b'{"account":1,"signature":"' + b"A" * 88 + b'"}'])
