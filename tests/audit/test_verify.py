"""Every edit of a chain shows at its record."""

import msgspec
import pytest

from tests.ledger.desk import ME, T0, Desk
from worker.audit.verify import verify
from worker.ledger.records import Json, NewRecord, canonical, hash_bytes, hash_record


async def chain(desk: Desk, length: int = 5) -> list[bytes]:
    await desk.ledger.write(ME, [NewRecord("started", {"n": n}) for n in range(length)], T0)
    return await desk.ledger.records(ME)


def changed(line: bytes, **change: Json) -> bytes:
    """Change a record and leave its hash as it was."""
    body, told = split(line)
    return sealed({**body, **change}, told)


def forged(line: bytes, **change: Json) -> bytes:
    """Change a record and give it a hash that fits."""
    body = {**split(line)[0], **change}
    return sealed(body, hash_record(str(body["previous"]), body))


def respelled(line: bytes, body: bytes) -> bytes:
    """Write a record in another way and give it a hash that fits."""
    return body[:-1] + b',"hash":"' + hash_bytes(hash_of(line, "previous"), body).encode() + b'"}'


def split(line: bytes) -> tuple[dict[str, Json], str]:
    body: dict[str, Json] = msgspec.json.decode(line)
    return body, str(body.pop("hash"))


def sealed(body: dict[str, Json], told: str) -> bytes:
    return canonical(body)[:-1] + b',"hash":"' + told.encode() + b'"}'


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
        ([forged(lines[0], at=9), *lines[1:]], 1, "has no at"),
        ([*lines[:3], b"{", *lines[4:]], 4, "is not a record"),
        ([*lines[:3], b"{}", *lines[4:]], 4, "is not a record"),
        ([*lines[:3], lines[3].replace(b'"hash"', b'"hush"'), *lines[4:]], 4, "does not end with"),
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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"account"', b'{"verb":"approved","account"'),
        (b'{"account"', b'{ "account"'),
        (b'"started"', b'"\\u0073tarted"'),
        (b'"n":3', b'"n":3.0e0'),
        (b'{"account":"account","at"', b'{"at"'),
        (b'"verb":"started"}', b'"verb":"started","account":"account"}'),
    ],
)
async def test_a_record_written_in_another_way_is_found_although_its_hash_fits(old: bytes, new: bytes) -> None:
    lines = await chain(Desk())
    body = canonical(split(lines[3])[0])
    assert old in body
    found = verify([*lines[:3], respelled(lines[3], body.replace(old, new)), lines[4]])
    assert (found.broken_at, found.records) == (4, 3)
    assert "two readers may differ" in found.problem or "has no account" in found.problem


async def test_a_checkpoint_must_say_that_what_it_cut_off_was_old() -> None:
    desk = Desk()
    await chain(desk)
    await desk.ledger.prune(ME, T0 + 10, {}, T0 + 10)
    *some, checkpoint = await desk.ledger.records(ME)
    assert verify([*some, checkpoint], keep=0.0).problem == ""
    assert (
        "record 6 says that what was older than 2023-11-14T22:13:30.000Z was"
        in verify([*some, checkpoint], keep=60.0).problem
    )
    for change in ({"until": "2026-01-01T00:00:00.000Z"}, {"before": "2026-01-01T00:00:00.000Z"}):
        assert verify([*some, forged(checkpoint, **change)], keep=0.0).broken_at == 6
    assert "does not say what" in verify([*some, forged(checkpoint, until=7)], cut=True).problem
