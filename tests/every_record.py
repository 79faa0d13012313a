"""Writes a ledger whose records show every verb, action, state and key, except for what only a daemon writes."""

from datetime import timedelta
from functools import partial

from tests.ledger.desk import JUNK, ME, T0, TRASH, Desk, reading
from worker import (
    APPROVE,
    OBSERVE,
    AllowSender,
    BlockSender,
    Disallow,
    Distrust,
    Escalate,
    Move,
    Notify,
    Reclassify,
    Release,
    TrustDomain,
    Unblock,
)
from worker.ledger.entries import DENIED, Answered, Entry, Outcome, Proof, Question, Review
from worker.ledger.ledger import open_ledger
from worker.ledger.records import NewRecord
from worker.ledger.values import Absence, Broken, Held, Mishap, Page, Sight, Slice

DAY = 86_400.0
BLOCK = BlockSender("evil@example.net", for_=timedelta(hours=1))
EVERY_ACTION = (
    Move("Inbox"),
    Release(),
    Reclassify("SPAM"),
    Escalate("SPAM", submission_id="s1"),
    BlockSender("a@example.net"),
    Unblock("a@example.net"),
    AllowSender("a@example.net"),
    Disallow("a@example.net"),
    TrustDomain("example.net"),
    Distrust("example.net"),
    Notify("soc"),
)
page = partial(Page, account=ME, now=T0, source="messages", generation=1)


async def write_every_record(url: str) -> None:
    """Write to the ledger at an address, as two processes one after the other."""
    desk = Desk()
    async with open_ledger(url, owner="first", exclusive=False) as desk.ledger:
        await _let_time_pass(desk)
        await _enter_pages(desk)
        await _let_wishes_meet(desk)
        await _ask_cloudflare(desk)
        await _change_sights(desk)
        await _end_blocks(desk)
        await _decide(desk)
        await desk.claim(await desk.wish(message="left"))
    async with open_ledger(url, owner="second", exclusive=False) as desk.ledger:
        await desk.ledger.abandon(ME, T0, T0)


async def _let_time_pass(desk: Desk) -> None:
    """Nobody decides in time, and what is old is cut off."""
    desk.now = T0 - 401 * DAY
    await desk.wish(message="old", state="waiting")
    desk.now = T0
    await desk.ledger.lapse(ME, T0, 3600)
    await desk.ledger.prune(ME, T0, {}, T0 - 400 * DAY)


async def _enter_pages(desk: Desk) -> None:
    """Every action is wanted, a rule fails, a record cannot be read; one gap is closed, and one is left.

    For a while all mailboxes refuse what is to be done.
    """
    said = {"in_lane": "placement", "because": "20 mailboxes in a row refused"}
    await desk.ledger.write(ME, [NewRecord("circuit opened", said), NewRecord("circuit closed", said)], T0)
    drafts = tuple(desk.draft(action, "all", state="observed", mode=OBSERVE, subject="hi") for action in EVERY_ACTION)
    mishap = Mishap(rule="r", fingerprint="f", cause="c/1", problem="KeyError: 'x'", raw=b"{}")
    broken = tuple(Broken(f"{{{name}".encode(), "cut", id=name) for name in ("read", "left", "closed", "tried"))
    await desk.ledger.enter(page(drafts=drafts, mishaps=(mishap,), broken=broken, since=T0 - 90))
    by_id = {record.id: record for record in await desk.ledger.list_unreadable(ME, T0 + DAY, 9)}
    await desk.ledger.end_unreadable(ME, by_id["read"], T0)
    await desk.ledger.leave_unreadable(ME, by_id["left"], "Message", T0)
    for verb, name in (("close gap", "closed"), ("retry gap", "tried")):
        await desk.ledger.order(ME, verb, name, "ada", "looked at it", T0)
    gap = Slice(source="messages", kind="gap", start=T0 - 90, end=T0 - 60, why="downtime", opened=T0)
    for read in (gap, Slice(source="messages", kind="head", start=T0 - 30, end=T0)):
        await desk.ledger.enter(page(slice=read, closes=True))
    ahead = Slice(source="reports", kind="head", start=T0 - 30, end=T0 + DAY)
    await desk.ledger.enter(page(source="reports", slice=ahead, closes=True))
    await desk.ledger.mend_future(ME, "reports", T0)
    absence = Absence(kind="Message", field="from_name", start=T0 - 60, end=T0 - 30)
    await desk.ledger.end_absences(ME, "messages", 3600.0, [absence], T0)


async def _let_wishes_meet(desk: Desk) -> None:
    """Equal wishes join, a stronger one lets a waiting one go, and another has its turn behind them."""
    await desk.wish(TRASH, "met", cause="a/1", state="waiting")
    first = await desk.wish(JUNK, "met", cause="b/1")
    await desk.wish(JUNK, "met", cause="c/1")
    await desk.wish(TRASH, "met", cause="d/1")
    await desk.wish(JUNK, "asked", state="waiting", why_waiting="the ceiling is approve")
    await desk.wish(JUNK, "asked", cause="b/1")
    await desk.wish(BlockSender("unproved@example.net"), state="waiting", why="unproved", authenticated="")
    for cause in ("f/1", "g/1"):
        await desk.wish(BlockSender("joined@example.net"), "twice", cause=cause, state="waiting", authenticated="")
    await _carry_out(desk, first, "log")
    await desk.wish(TRASH, "met", cause="e/1")
    await desk.ledger.enter(page(failing=("met",)))
    touched = await desk.wish(message="touched")
    await desk.ledger.postpone(ME, [Question(id=touched.id, said="somebody else released it")], T0)


async def _carry_out(desk: Desk, entry: Entry, proof: Proof = "seen") -> None:
    """Claim, answer and prove an entry, with all that can be said of it."""
    await desk.claim(entry)
    await desk.ledger.answer(ME, [Answered(id=entry.id, state="sent", said="taken", remote="17")], T0)
    await desk.ledger.settle(ME, [Outcome(id=entry.id, state="done", proof=proof, said="it is there")], T0)


async def _ask_cloudflare(desk: Desk) -> None:
    """Requests for another verdict are accepted, and end in every way."""
    ends: list[Review] = ["granted", *sorted(DENIED)]
    for review in ends:
        entry = await desk.wish(Reclassify("SPAM"), review)
        await desk.claim(entry)
        await desk.ledger.answer(ME, [Answered(id=entry.id, state="sent", said="taken")], T0)
        told = partial(Outcome, id=entry.id, proof="seen", said="it says so", remote="s1")
        for shown in (
            told(state="sent", review="accepted"),
            told(state="done" if review == "granted" else "failed", review=review),
        ):
            await desk.ledger.settle(ME, [shown], T0)


async def _change_sights(desk: Desk) -> None:
    """A newer sight takes back what an older one asked for, or was put aside for; one is given up."""
    await desk.read(reading("anew"), reading("never"))
    for message in ("anew", "another"):
        await desk.wish(BlockSender("b@example.net"), message, state="waiting")
    await desk.wish(JUNK, "anew")
    put_aside = partial(Held, why="no answer", since=T0, next_at=T0)
    anew, never = (Sight(reading(message), 1) for message in ("anew", "never"))
    await desk.ledger.enter(page(held=(put_aside(sight=anew, tries=0), put_aside(sight=never, tries=0))))
    await desk.ledger.enter(page(held=(put_aside(sight=never, tries=3, last=True),)))
    await desk.read(reading("anew", "NONE|-"))


async def _end_blocks(desk: Desk) -> None:
    """A block is made for a time, prolonged, and taken back before its end; another one is made to last."""
    await _carry_out(desk, await desk.wish(BLOCK, "block"), "answered")
    await desk.wish(BlockSender(BLOCK.pattern, for_=timedelta(hours=2)), "block", cause="b/1")
    await _carry_out(desk, await desk.wish(Unblock(BLOCK.pattern), "block", cause="c/1"))
    await _carry_out(desk, await desk.wish(BLOCK, "block", cause="d/1"))
    for number, state in enumerate(("waiting", "ready")):
        await desk.wish(BlockSender(BLOCK.pattern), "block", cause=f"e/{number}", state=state)


async def _decide(desk: Desk) -> None:
    """Something is approved, at once or behind something else, something refused; a brake goes off, and one stays.

    What is approved at once is tried again: by then, its claim says why.
    """
    asks = partial(desk.wish, state="waiting", mode=APPROVE, why_waiting="the ceiling is approve")
    approved, refused = [await asks(message=name) for name in ("approved", "refused")]
    behind = await desk.wish(TRASH, "behind", state="waiting")
    await desk.wish(JUNK, "behind", cause="b/1")
    ordered = [("approve", approved.id), ("approve", behind.id), ("refuse", refused.id)]
    brakes = [("brake", "rule:r"), ("unbrake", "rule:r"), ("unbrake", "lane:allow"), ("brake", "lane:block")]
    for verb, subject in (*ordered, *brakes, ("cancel", "bulk:1")):
        await desk.ledger.order(ME, verb, subject, "ada", "a newsletter", T0)
    await desk.ledger.take_orders(ME, T0)
    for answer in ("ready", "unsure"):
        await desk.claim(await desk.now_of(approved))
        await desk.answer(approved, answer, "the API answered 429")
    await desk.settle(approved, "ready", "no move is shown")
    await desk.claim(await desk.now_of(approved))
    await desk.answer(approved, "failed", "the API answered 400")
