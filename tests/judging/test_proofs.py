"""Proofs: a block is entered with what its mail proved, and waits for a person where that does not cover it."""

from collections.abc import Callable

import msgspec
import pytest

from tests.cells import each
from tests.hostile import forge
from tests.reading import Room, says
from worker import BlockSender, Message
from worker.language.reading import read
from worker.ledger.entries import Entry
from worker.rulehost.evaluation import Event, Said

PASS = {"validation": {"spf": "none", "dkim": "none", "dmarc": "pass"}}
FAIL = {"validation": {"spf": "pass", "dkim": "pass", "dmarc": "fail"}}


def blocks(make: Callable[[Message], BlockSender], kind: str = "Message") -> Callable[[Event], Said]:
    """Return a rule that blocks, or says nothing about events of another kind."""
    message = Message(id="-")

    def answer(event: Event) -> Said:
        if event.kind != kind:
            return Said(key=event.key)
        return says(event, make(read(Message, event.raw) if kind == "Message" else message))

    return answer


async def judge(room: Room, **fields: object) -> Entry:
    """Let a mail be judged; return what came of it."""
    room.world.add_message(**fields)  # type: ignore[arg-type]  # fields of a message
    await room.read()
    return (await room.entries())[-1]


@each(
    ("fields", "proved"),
    [
        ({"sender": "x@mail.evil.example", **PASS}, "evil.example"),
        ({"sender": "Bob@Gmail.com", **PASS}, "bob@gmail.com"),
        ({"sender": "x@evil.example", **FAIL}, ""),
        ({"sender": "x@evil.example", "validation": None}, ""),
        ({"sender": "x@evil.example, carol@partner.example", **PASS}, ""),
    ],
)
async def test_a_block_is_entered_with_what_its_mail_proved(fields: dict[str, object], proved: str) -> None:
    entry = await judge(Room(blocks(lambda message: BlockSender(message.sender))), **fields)
    assert entry.authenticated == proved
    assert (entry.state, entry.why) == (("ready", "") if proved else ("waiting", "unproved"))


@each(
    ("action", "why"),
    [
        (BlockSender("192.0.2.7", "IP"), ""),
        (BlockSender("192.0.2.0/24", "IP"), ""),
        (BlockSender("192.0.2.8", "IP"), "unproved"),
        (BlockSender("192.0.0.0/16", "IP"), "too_wide"),
        (BlockSender("evil.example", "DOMAIN"), ""),
        (BlockSender("y@evil.example"), ""),
        (BlockSender("carol@partner.example"), "unproved"),
    ],
)
async def test_a_pattern_must_lie_within_what_the_mail_proved(action: BlockSender, why: str) -> None:
    fields = {"sender": "x@evil.example", "smtp_helo_server_ip": "192.0.2.7", **PASS}
    assert (await judge(Room(blocks(lambda _: action)), **fields)).why == why


@each(("checks", "why"), [(PASS, ""), (FAIL, "unproved")])
async def test_the_message_that_a_report_names_is_what_proves_its_block(checks: dict[str, object], why: str) -> None:
    room = Room(blocks(lambda _: BlockSender("x@evil.example"), "Report"))
    mail = room.world.add_message(
        disposition="NONE",
        sender="x@evil.example",
        client_recipients=["ada@corp.example"],
        **checks,  # type: ignore[arg-type]
    )
    room.world.add_report(mail)
    await room.reports.read_head()
    assert await room.entries() == ()
    await room.held.step()
    (entry,) = await room.entries()
    assert (entry.why, entry.sender) == (why, "x@evil.example")


@pytest.mark.slow
async def test_no_forged_address_is_blocked_without_a_person() -> None:
    room = Room(blocks(lambda message: BlockSender(message.sender[:1000] or "x")))
    for mail in forge(("ada@partner.example", "bob@gmail.com", "carol@b.co.uk"), 1000):
        told = msgspec.to_builtins(mail)
        wanted = ("from", "envelope_from", "validation")
        room.world.add_message(**{name: told[name] for name in wanted})
    await room.read()
    entries = await room.entries()
    assert len(entries) > 100
    assert {entry.state for entry in entries} == {"waiting"}
    assert {entry.why for entry in entries} == {"unproved"}
