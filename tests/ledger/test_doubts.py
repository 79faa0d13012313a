"""Doubts: a block goes without a person only if its pattern is narrow and its cause proved it."""

from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from tests.ledger.desk import Desk, reading
from tests.ledger.test_entering import see_again
from worker.language.actions import AllowSender, BlockSender, Move, Unblock
from worker.ledger.doubts import covers, find_doubt

BLOCK = BlockSender("x@evil.example")
WORD = st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True)
PROOFS = ("", "evil.example", "bob@gmail.com", "192.0.2.7", "2001:db8::7")


@each(
    ("proved", "target"),
    [
        ("evil.example", "EMAIL:x@evil.example"),
        ("evil.example", "EMAIL:x@mail.evil.example"),
        ("evil.example", "DOMAIN:evil.example"),
        ("evil.example", "DOMAIN:mail.evil.example"),
        ("xn--bcher-kva.example", "EMAIL:x@bücher.example"),
        ("bob@gmail.com", "EMAIL:bob@gmail.com"),
        ("192.0.2.7", "IP:192.0.2.7"),
        ("192.0.2.7", "IP:192.0.2.0/24"),
        ("2001:db8::7", "IP:2001:db8::/48"),
    ],
)
def test_what_lies_within_what_was_proved_is_covered(proved: str, target: str) -> None:
    assert covers(proved, target)
    assert not covers("another.example", target)


@each(
    "target",
    [
        "EMAIL:x@evil.example.de",
        "EMAIL:x@notevil.example",
        "DOMAIN:example",
        "EMAIL:alice@gmail.com",
        "DOMAIN:gmail.com",
        "EMAIL:evil.example",
        "IP:192.0.2.8",
        "IP:2001:db8::8",
        "IP:evil.example",
        "EMAIL:",
    ],
)
@each("proved", PROOFS)
def test_nothing_beyond_what_was_proved_is_covered(proved: str, target: str) -> None:
    assert not covers(proved, target)


@given(WORD, WORD, st.sampled_from(["EMAIL", "DOMAIN", "IP"]), st.text())
def test_no_pattern_of_another_domain_is_covered(one: str, other: str, kind: str, local: str) -> None:
    pattern = f"{local}@{other}x.example" if kind == "EMAIL" else f"{other}x.example"
    assert not covers(f"{one}.example", f"{kind}:{pattern}")


@each(
    ("action", "why"),
    [
        (BlockSender("gmail.com", "DOMAIN"), "too_wide"),
        (BlockSender("mail.gmx.de", "DOMAIN"), "too_wide"),
        (BlockSender("co.uk", "DOMAIN"), "too_wide"),
        (BlockSender("github.io", "DOMAIN"), "too_wide"),
        (BlockSender("example", "DOMAIN"), "too_wide"),
        (BlockSender("192.0.2.0/23", "IP"), "too_wide"),
        (BlockSender("0.0.0.0/0", "IP"), "too_wide"),
        (BlockSender("2001:db8::/47", "IP"), "too_wide"),
        (BlockSender("x@gmail.com"), "unproved"),
        (BlockSender("192.0.2.0/24", "IP"), "unproved"),
        (BLOCK, "unproved"),
        (AllowSender("x@evil.example"), ""),
        (Unblock("x@evil.example"), ""),
        (Move("JunkEmail"), ""),
    ],
)
def test_a_block_of_many_or_of_what_nothing_proves_is_doubted(action: BlockSender, why: str) -> None:
    doubt = find_doubt(Desk().draft(action, authenticated="other.example"))
    assert (doubt.why if doubt else "") == why


async def test_the_claim_asks_again_what_was_proved() -> None:
    desk = Desk()
    entry = await desk.wish(BLOCK, authenticated="")
    assert await desk.claim(entry) == []
    waits = await desk.now_of(entry)
    assert (waits.state, waits.why) == ("waiting", "unproved")
    assert waits.said == "the mail proves no sender, and anybody can write x@evil.example into one"


async def test_a_later_mail_that_proves_the_pattern_lets_the_block_go() -> None:
    desk = Desk()
    waits = await desk.wish(BLOCK, state="waiting", why="unproved", authenticated="")
    await desk.enter(desk.draft(BLOCK, cause="b/1", authenticated="", state="waiting", why="unproved"))
    assert await desk.state(waits) == "waiting"
    await desk.enter(desk.draft(BLOCK, cause="c/1"))
    assert (await desk.now_of(waits)).authenticated == "evil.example"
    assert await desk.claim(waits) == [waits.id]


async def test_a_block_stands_on_the_mails_that_are_left_to_ask_for_it() -> None:
    desk = Desk()
    await desk.read(reading())
    entry = await desk.wish(BLOCK)
    await desk.enter(desk.draft(BLOCK, cause="c/1", authenticated="", item="c/1#r"))
    await see_again(desk)
    assert (await desk.now_of(entry)).authenticated == ""
    assert await desk.claim(entry) == []
    assert await desk.state(entry) == "waiting"


async def test_no_further_mail_answers_whether_everybody_at_a_provider_is_blocked() -> None:
    desk = Desk()
    whole = BlockSender("gmail.com", "DOMAIN")
    waits = await desk.wish(whole, state="waiting", why="too_wide")
    await desk.enter(desk.draft(whole, cause="c/1"))
    assert await desk.state(waits) == "waiting"
