"""Every edit of a chain shows at its record."""

import msgspec

from tests.ledger.desk import ME, T0, Desk
from worker.audit.verify import verify
from worker.ledger.records import Json, NewRecord, canonical, hash_record


async def chain(desk: Desk, length: int = 5) -> list[bytes]:
    await desk.ledger.write(ME, [NewRecord("started", {"n": n}) for n in range(length)], T0)
    return await desk.ledger.records(ME)


def changed(line: bytes, **change: Json) -> bytes:
    return canonical({**msgspec.json.decode(line), **change})


def forged(line: bytes, **change: Json) -> bytes:
    """Change a record and give it a hash that fits."""
    record = {**msgspec.json.decode(line), **change}
    record.pop("hash")
    return canonical({**record, "hash": hash_record(str(record["previous"]), record)})


def hash_of(line: bytes, name: str = "hash") -> str:
    return str(msgspec.json.decode(line)[name])


async def test_an_untouched_chain_holds() -> None:
    lines = await chain(Desk())
    held = verify(lines)
    assert (held.records, held.first, held.last, held.broken_at, held.problem) == (5, 1, 5, 0, "")
    assert held.hash == hash_of(lines[-1])
    assert verify([]).records == 0


async def test_every_kind_of_edit_shows_at_its_record() -> None:
    lines = await chain(Desk())
    edits = [
        ([*lines[:2], changed(lines[2], n=9), *lines[3:]], 3, "was changed"),
        ([*lines[:2], forged(lines[2], n=9), *lines[3:]], 4, "names another record than 3"),
        ([*lines[:2], *lines[3:]], 4, "missing, repeated or out of order"),
        ([*lines[:2], *lines[1:]], 2, "missing, repeated or out of order"),
        ([lines[1], lines[0]], 1, "out of order"),
        (lines[1:], 2, "no checkpoint says"),
        ([forged(lines[0], previous="1" * 64), *lines[1:]], 2, "names another record"),
        ([forged(lines[0], previous="1" * 64)], 1, "names another one before it"),
        ([*lines[:3], b"{", *lines[4:]], 4, "is not a record"),
        ([*lines[:3], b"{}", *lines[4:]], 4, "is not a record"),
        ([*lines[:3], changed(lines[3], previous="zz"), *lines[4:]], 4, "is not a record"),
    ]
    for edited, number, problem in edits:
        found = verify(edited)
        assert (found.broken_at, problem in found.problem) == (number, True), found


async def test_of_a_stream_without_its_beginning_what_is_there_is_proved_and_the_rest_named() -> None:
    lines = await chain(Desk())
    held = verify(lines[2:], cut=True)
    assert (held.records, held.first, held.last, held.problem) == (3, 3, 5, "")
    assert (held.unchecked, held.previous) == (2, hash_of(lines[1]))
    assert verify(lines, cut=True) == verify(lines)
    assert verify(lines).unchecked == 0


async def test_every_kind_of_edit_shows_in_a_stream_without_its_beginning_too() -> None:
    lines = (await chain(Desk(), 7))[2:]
    edits = [
        ([*lines[:2], changed(lines[2], n=9), *lines[3:]], 5),
        ([*lines[:2], forged(lines[2], n=9), *lines[3:]], 6),
        ([*lines[:2], *lines[3:]], 6),
        ([*lines[:2], *lines[1:]], 4),
        ([lines[1], lines[0], *lines[2:]], 3),
        ([forged(lines[0], previous="1" * 64), *lines[1:]], 4),
        ([*lines[:3], b"{}", *lines[4:]], 6),
        ([forged(lines[0], number=1)], 1),
        ([forged(lines[0], number=1, verb="pruned", through=0, cut=hash_of(lines[0], "previous"))], 1),
    ]
    assert [verify(edited, cut=True).broken_at for edited, _ in edits] == [number for _, number in edits]


async def test_a_checkpoint_binds_a_stream_without_its_beginning() -> None:
    desk = Desk()
    await chain(desk)
    await desk.ledger.prune(ME, T0 + 10, {}, T0 + 10)
    *some, checkpoint = await desk.ledger.records(ME)
    assert verify([*some, checkpoint], cut=True).unchecked == 0
    assert verify([*some, forged(checkpoint, cut="0" * 64)], cut=True).broken_at == 5
    assert verify([forged(checkpoint, through="x")], cut=True).problem


async def test_a_checkpoint_with_another_hash_does_not_hold() -> None:
    desk = Desk()
    await chain(desk)
    desk.now = T0 + 10
    await desk.wish()
    await desk.ledger.prune(ME, desk.now, {}, desk.now)
    lines = await desk.ledger.records(ME)
    assert (verify(lines).first, verify(lines).problem) == (6, "")
    assert verify([*lines[:-1], forged(lines[-1], cut="0" * 64)]).broken_at == 6
