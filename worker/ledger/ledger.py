"""The ledger as the loops see it: each method is one transaction, committed when it returns."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from worker.errors import StoreError
from worker.ledger import (
    absences,
    block_review,
    claiming,
    heads,
    integrations,
    orders,
    pages,
    presence,
    retention,
    settling,
    sights,
    spending,
    unreadable,
    views,
    waiting,
)
from worker.ledger.cascade import open_unit_of_work
from worker.ledger.db.dialects import upsert
from worker.ledger.db.lock import hold_lock, prepare_file
from worker.ledger.db.place import check_rights, choose_reading, may_write, place_of
from worker.ledger.db.runner import MEMORY, AsyncRunner, Runner
from worker.ledger.db.schema import NEWEST, bring_up, copy_beside, version
from worker.ledger.db.tables import meta
from worker.ledger.entries import Answered, Brake, Claim, Entry, Order, Outcome, Question, Standing
from worker.ledger.heads import KeptHead
from worker.ledger.presence import Memories
from worker.ledger.reader import LedgerReader
from worker.ledger.records import NewRecord
from worker.ledger.unit_of_work import Mint, UnitOfWork, chain_records
from worker.ledger.unreadable import UnreadableRecord
from worker.ledger.values import Absence, Entered, Held, NewSights, Page, Reading, Spent

T = TypeVar("T")
P = ParamSpec("P")


class Ledger(LedgerReader):
    """Everything that was seen, decided and done. All times are API time; StoreError when the database cannot."""

    def __init__(self, runner: Runner, owner: str, latest: Callable[[], float] = lambda: 0.0) -> None:
        """Keep the runner; ``owner`` is a random token of this process, ``latest`` the later of two clocks.

        What is made for a time ends so long after the time of its transaction, or after ``latest`` if that is later.
        """
        super().__init__(runner)
        self.owner, self._latest = owner, latest
        self._mint = Mint(owner)

    async def news(self, account: str, readings: Sequence[Reading], now: float, settle: float) -> NewSights:
        """Tell what readings hold that the ledger has not seen; nothing is written."""
        return await self._read(sights.news, account, readings, now, settle)

    async def enter(self, page: Page) -> Entered:
        """Enter a page; raises Temporary, with nothing written, when another page told of the same things first."""
        return await self._write(page.account, page.now, pages.enter, page)

    async def end_absences(self, account: str, source: str, stride: float, over: Sequence[Absence], now: float) -> None:
        """Let what was seen of a source while fields were missing be read and judged again, each once."""
        await self._write(account, now, absences.end_absences, source, stride, over)

    async def mend_future(self, account: str, source: str, now: float) -> bool:
        """Take back what was noted as read of a time that is still to come; return whether there was any."""
        return await self._write(account, now, pages.mend_future, source)

    async def due_held(self, account: str, now: float, in_hand: Collection[str] = ()) -> tuple[Held, ...]:
        """Return at most 50 held events that are to be tried again and are not being tried."""
        return await self._read(pages.due_held, account, now, in_hand)

    async def hasten_held(self, account: str, now: float, keys: Sequence[str] = ()) -> None:
        """Let all held events be tried again now, or only some, of which a person wanted it."""
        await self._put(pages.hasten_held, account, now, keys)

    async def due_kinds(self, account: str, now: float, past: float | None = None) -> frozenset[str]:
        """Return the kinds of actions of which entries are ready to be carried out; ``past`` as for ``due``."""
        return await self._read(claiming.due_kinds, account, now, past)

    async def due(
        self, account: str, now: float, limit: int = 5000, kinds: Collection[str] = (), *, past: float | None = None
    ) -> tuple[Entry, ...]:
        """Return the entries that may be claimed now, in key order; list entries end by ``past``, or else by now."""
        return await self._read(claiming.due, account, now, limit, kinds, past=past)

    async def claim(
        self, account: str, wanted: Sequence[Claim], standing: Standing, now: float, reached_by: float
    ) -> tuple[Entry, ...]:
        """Claim entries; return those that may now be carried out. The rest waits, or stays as it is."""
        return await self._write(account, now, claiming.claim, wanted, standing, reached_by)

    async def retire(self, account: str, moots: Sequence[tuple[str, str]], now: float) -> None:
        """End ready or waiting entries without a call: (entry id, why)."""
        await self._write(account, now, settling.retire, moots)

    async def postpone(self, account: str, questions: Sequence[Question], now: float) -> None:
        """Let ready entries wait for a person, who is asked these questions."""
        await self._write(account, now, settling.postpone, questions)

    async def answer(
        self, account: str, answers: Sequence[Answered], now: float, spent: Sequence[tuple[float, int]] = ()
    ) -> None:
        """Write down what came of sending; raises LeaseLost when another process has taken over."""
        await self._write(account, now, settling.answer, answers, tuple(spent))

    async def review_blocks(
        self, account: str, now: float, proofs: Mapping[str, str] | None = None
    ) -> tuple[Entry, ...]:
        """Return the standing blocks that no mail is known to prove; with ``proofs`` by entry, ask about them once."""
        return await self._write(account, now, block_review.review_blocks, proofs)

    async def open(
        self, account: str, now: float, states: Sequence[str] = ("sent", "unsure"), *, due: bool = True
    ) -> tuple[Entry, ...]:
        """Return entries of some states in key order: those that are due, or all."""
        return await self._read(claiming.open_entries, account, states, now if due else None)

    async def next_claim(self, account: str) -> float | None:
        """Return when the first entry that is ready may be claimed, None when none is."""
        return await self._read(claiming.next_claim, account)

    async def next_look(self, account: str) -> float | None:
        """Return when the first entry that is sent or unsure is to be looked at."""
        return await self._read(claiming.next_look, account)

    async def find_tried(
        self, account: str, lane: str, targets: Sequence[str], *, ready: bool = False
    ) -> tuple[Entry, ...]:
        """Return what was ever claimed of a lane on some targets, oldest first, and what is ``ready``, if wanted."""
        return await self._read(claiming.find_tried, account, lane, targets, ready=ready)

    async def find_asked(self, account: str, remotes: Collection[str]) -> tuple[Entry, ...]:
        """Return requests for another verdict that are under way: on record by one of these ids, or by none yet."""
        return await self._read(claiming.find_asked, account, remotes)

    async def is_asking(self, account: str) -> bool:
        """Tell whether any request for another verdict has no end yet."""
        return await self._read(claiming.is_asking, account)

    async def settle(self, account: str, outcomes: Sequence[Outcome], now: float) -> None:
        """Write down what looks have shown of entries that are sent or unsure."""
        await self._write(account, now, settling.settle, outcomes)

    async def abandon(self, account: str, now: float, reached_by: float) -> int:
        """Make unsure what other processes had claimed; return how many entries that were."""
        return await self._write(account, now, settling.abandon, reached_by)

    async def next_due(self, account: str, now: float) -> float | None:  # noqa: ARG002 (callers think in now)
        """Return when the first entry or held event wants attention, None when nothing does."""
        return await self._read(claiming.next_due, account)

    async def order(  # noqa: PLR0917 (as a person would say it)
        self,
        account: str,
        verb: str,
        subject: str,
        who: str,
        because: str,
        now: float,
        *,
        answer: str = "",
        covers: Collection[str] = (),
    ) -> int:
        """Order something as a person; the daemon takes it up: it obeys ``orders.OBEY``.

        With ``covers``, ids of entries or digests of unreadable records, it is about these; else about its subject.
        A cancel of a bulk job is carried out by who orders it, and only recorded here, with what the API answered.
        """
        wanted = Order(
            id=0, verb=verb, subject=subject, who=who, because=because, at=now, answer=answer, covers=frozenset(covers)
        )
        return await self._put(orders.order, account, wanted)

    async def take_orders(self, account: str, now: float, *, may_approve: bool = True) -> tuple[Order, ...]:
        """Carry out what people ordered, unless nothing may be approved; return it with its answers."""
        return await self._write(account, now, orders.take_orders, may_approve=may_approve)

    async def list_pending(self, account: str) -> tuple[Order, ...]:
        """Return what people ordered and the daemon has not taken up yet, oldest first."""
        return await self._read(orders.list_pending, account)

    async def brakes(self, account: str) -> tuple[Brake, ...]:
        """Return the brakes that are on."""
        return await self._read(orders.read_brakes, account)

    async def list_braked(self, account: str) -> frozenset[str]:
        """Return what is braked once all orders are taken up: rule:NAME, lane:NAME, or "" for everything."""
        return await self._read(orders.list_braked, account)

    async def write(self, account: str, records: Sequence[NewRecord], now: float) -> None:
        """Write records that belong to no entry."""
        await self._write(account, now, chain_records, records)

    async def lapse(self, account: str, now: float, lapse: float) -> int:
        """End what has waited for a person longer than ``lapse`` seconds."""
        return await self._write(account, now, waiting.lapse, lapse)

    async def list_unannounced(self, account: str, now: float, again_after: float) -> tuple[waiting.Waiting, ...]:
        """Return what waits for a person and is to be announced: never told of, or once more after so many seconds."""
        return await self._read(waiting.list_unannounced, account, now, again_after)

    async def count_unannounced(self, account: str, now: float, again_after: float) -> int:
        """Return how many decisions of an account are to be announced."""
        return await self._read(waiting.count_unannounced, account, now, again_after)

    async def mark_announced(self, told: Sequence[waiting.Waiting], now: float) -> None:
        """Write down that people were told that these wait."""
        await self._put(waiting.mark_announced, told, now)

    async def count_undecided(self, account: str) -> int:
        """Return how many decisions wait for a person."""
        return await self._read(waiting.count_undecided, account)

    async def prune(self, account: str, now: float, sights_before: Mapping[str, float], keep_before: float) -> None:
        """Delete what is older than it is kept: sights by kind of thing, everything else alike."""
        await self._write(account, now, retention.prune, sights_before, keep_before)

    async def list_unreadable(self, account: str, now: float, limit: int) -> tuple[UnreadableRecord, ...]:
        """Return records that nobody has judged and that are to be read again."""
        return await self._read(unreadable.list_due, account, now, limit)

    async def find_settled_records(self, account: str, digests: Iterable[str]) -> frozenset[str]:
        """Return which of some unreadable records are judged or closed by now, by their digests."""
        return await self._read(unreadable.find_settled, account, digests)

    async def count_unreadable(self, account: str) -> int:
        """Return how many records nobody has judged."""
        return await self._read(unreadable.count_open, account)

    async def end_unreadable(self, account: str, record: UnreadableRecord, now: float) -> None:
        """Note that a record is judged after all."""
        await self._write(account, now, unreadable.end, record)

    async def put_off_unreadable(
        self, account: str, record: UnreadableRecord, now: float, leaves_at: float = inf
    ) -> None:
        """Note that a record still cannot be read; it is tried again at the latest when it leaves the sweep."""
        await self._write(account, now, unreadable.put_off, record, leaves_at)

    async def leave_unreadable(self, account: str, record: UnreadableRecord, kind: str, now: float) -> None:
        """Put a record before a person that nobody could judge while it was swept."""
        await self._write(account, now, unreadable.leave, record, kind)

    async def read_spent(self, credential: str) -> Spent:
        """Return what a budget had spent lately; pages and answers keep theirs under their account."""
        return await self._read(spending.read_spent, credential)

    async def keep_spent(self, credential: str, buckets: Sequence[tuple[float, int]], now: float) -> None:
        """Write down what a budget has spent lately."""
        await self._put(spending.keep_spent, credential, tuple(buckets), now)

    async def read_integrated(self, account: str) -> dict[str, float]:
        """Return when each domain's mailboxes could last be reached."""
        return await self._read(integrations.read_integrated, account)

    async def keep_integrated(self, account: str, domains: dict[str, float]) -> None:
        """Write down when each domain's mailboxes could last be reached."""
        await self._put(integrations.keep_integrated, account, domains)

    async def read_presence(self, account: str) -> Memories:
        """Return what is remembered of the fields that records have."""
        return await self._read(presence.read_presence, account)

    async def keep_presence(self, account: str, kept: str) -> None:
        """Write down what is remembered of the fields that records have, as ``presence.encode`` writes it."""
        await self._put(presence.keep_presence, account, kept)

    async def cursor(self, account: str, sink: str) -> int:
        """Return the number of the last audit record that a sink has taken."""
        return await self._read(views.read_cursor, account, sink)

    async def keep_cursor(self, account: str, sink: str, number: int) -> None:
        """Write down the last audit record that a sink has taken."""
        row = {"name": views.cursor_name(account, sink), "value": str(number)}
        await self._put(upsert, meta, [row], ("value",))

    async def keep_head(self, account: str, head: KeptHead) -> None:
        """Keep a signed head until it is handed on."""
        await self._put(heads.keep_head, account, head)

    async def forget_heads(self, account: str, before: int) -> None:
        """Forget the signed heads before a number."""
        await self._put(heads.forget_heads, account, before)

    async def _write(
        self,
        account: str,
        now: float,
        fn: Callable[Concatenate[UnitOfWork, P], T],
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        def transaction(conn: Connection) -> T:
            with open_unit_of_work(conn, account, now, self._mint, self._latest()) as work:
                return fn(work, *args, **named)

        return await self._runner.run(transaction)

    async def _put(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs) -> T:
        return await self._runner.run(lambda conn: fn(conn, *args, **named))


def find_ledger(url: str) -> Path:
    """Return the file of a ledger that is there; raise StoreError when none is."""
    place = place_of(url)
    if place is None or not place.exists():
        raise StoreError(f"there is no ledger at {place or MEMORY}: start `worker run` first, or set WORKER_STORE_URL")
    return place


@asynccontextmanager
async def read_ledger(url: str, *, owner: str) -> AsyncIterator[Ledger]:
    """Open a ledger to look at it. Where this user may not write, nothing is written, not even beside it.

    Raises StoreError when there is none, or when it cannot be read.
    """
    place = find_ledger(url)
    if may_write(place):
        async with open_ledger(url, owner=owner, exclusive=False) as ledger:
            yield ledger
    else:
        async with _open_read_only(place, owner) as ledger:
            yield ledger


@asynccontextmanager
async def _open_read_only(place: Path, owner: str) -> AsyncIterator[Ledger]:
    check_rights(place, writes=False)
    runner = AsyncRunner.reading(place, choose_reading(place))
    try:
        stored = await runner.read(version)
        if stored is None:
            raise StoreError(f"the ledger {place} is empty: `worker run` makes its tables, or change WORKER_STORE_URL")
        if stored != NEWEST:
            raise _refuse_older(place, stored)
        yield Ledger(runner, owner)
    finally:
        await runner.close()


@asynccontextmanager
async def open_ledger(
    url: str,
    *,
    owner: str,
    exclusive: bool,
    on_migration: Callable[[Path], None] = lambda _: None,
    latest: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[Ledger]:
    """Open the ledger at ``sqlite:///path`` or ``sqlite:///:memory:``; raise StoreError with what to do.

    The daemon is exclusive: a second one is refused, and only the daemon migrates a ledger of an older version, after
    copying it beside itself; ``on_migration`` hears of the copy. ``latest`` is as for ``Ledger``.
    """
    place = place_of(url)
    if place:
        check_rights(place, writes=True)
        prepare_file(place, exclusive=exclusive)
    with hold_lock(place if exclusive else None):
        runner = AsyncRunner.at(str(place or MEMORY))
        try:
            stored = await runner.run(version)
            if stored is None:
                with hold_lock(None if exclusive else place):
                    await runner.run(bring_up)
            elif stored != NEWEST:
                await _migrate(runner, place, stored, exclusive=exclusive, on_migration=on_migration)
            yield Ledger(runner, owner, latest)
        finally:
            await runner.close()


async def _migrate(
    runner: AsyncRunner, place: Path | None, stored: str, *, exclusive: bool, on_migration: Callable[[Path], None]
) -> None:
    """Bring an older ledger to this version, and keep what it was."""
    if not exclusive:
        raise _refuse_older(place, stored)
    copy = copy_beside(place, stored) if place else None
    await runner.run(bring_up)
    if copy:
        on_migration(copy)


def _refuse_older(place: Path | None, stored: str) -> StoreError:
    return StoreError(
        f"the ledger {place} was written by an older version of worker (revision {stored}, this one needs {NEWEST}): "
        "start `worker run` in this version once, which copies the ledger beside itself and migrates it"
    )
