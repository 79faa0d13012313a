"""What people and metrics ask of the ledger: each method is one transaction that only reads."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from math import inf
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from worker.ledger import crowding, decided, heads, lives, pages, queue, standstill, unreadable, views
from worker.ledger.db.dialects import sizes
from worker.ledger.db.runner import Runner
from worker.ledger.decided import Decided
from worker.ledger.entries import Entry, Review
from worker.ledger.evidence import Evidence, list_chains
from worker.ledger.heads import KeptHead, Newest
from worker.ledger.lives import Life, MailSearch, SeenMail
from worker.ledger.queue import WaitingQuery, WaitingSummary
from worker.ledger.records import Verb
from worker.ledger.standstill import Standstill
from worker.ledger.unreadable import OpenRecord
from worker.ledger.values import Broken, Coverage, Held, Mishap, Reading
from worker.ledger.views import RecordQuery

T = TypeVar("T")
P = ParamSpec("P")


class LedgerReader:
    """The part of the ledger that nothing is changed by."""

    def __init__(self, runner: Runner) -> None:
        """Keep the runner."""
        self._runner = runner

    async def coverage(self, account: str, source: str) -> Coverage:
        """Return what is read of a source, and what is being read."""
        return await self._read(pages.coverage, account, source)

    async def find_newest_end(self) -> float:
        """Return up to when anything has been read, of any account; 0 when nothing has."""
        return await self._read(pages.find_newest_end)

    async def find_standstill(
        self, account: str, now: float, lowered: Collection[str] = (), *, past: float | None = None
    ) -> Standstill:
        """Return what is held, and what a brake, a lowered rule or a clock keeps back; ``past`` is as for ``due``."""
        return await self._read(standstill.find_standstill, account, now, lowered, now if past is None else past)

    async def find_unheard(self, account: str, readings: Sequence[Reading], now: float) -> tuple[Held, ...]:
        """Return the sights about which rules have not been heard and that are not held, as they are to be held."""
        return await self._read(crowding.find_unheard, account, readings, now)

    async def entries(
        self, account: str, *, states: Sequence[str] = (), rule: str = "", since: float = 0.0, limit: int = 1000
    ) -> tuple[Entry, ...]:
        """Return the newest entries, newest first."""
        wanted = views.Wanted(states=tuple(states), rule=rule, since=since, limit=limit)
        return await self._read(views.list_entries, account, wanted)

    async def find_waiting(self, wanted: WaitingQuery, limit: int) -> WaitingSummary:
        """Return how much waits for a person, and the groups with the newest decisions."""
        return await self._read(queue.find_groups, wanted, limit)

    async def list_waiting(self, wanted: WaitingQuery, limit: int = -1) -> tuple[Entry, ...]:
        """Return the newest entries that wait for a person, or all, newest first."""
        return await self._read(queue.list_waiting, wanted, limit)

    async def list_decision(self, account: str, name: str) -> tuple[Entry, ...]:
        """Return what waits of a decision, by its item or the id of an entry."""
        return await self._read(queue.list_decision, account, name)

    async def find_decided(self, account: str, name: str) -> Decided | None:
        """Return what became of something that a person may have decided about, None for what nobody knows."""
        return await self._read(decided.find_decided, account, name)

    async def list_decided(self, account: str, items: Collection[str]) -> tuple[Entry, ...]:
        """Return the entries of some decisions, by the names of their items, but for notices."""
        return await self._read(views.list_decided, account, items)

    async def unsettled(self, account: str, now: float) -> tuple[Entry, ...]:
        """Return what is under way: neither settled nor ready only later, nor left to Cloudflare's decision."""
        return await self._read(views.list_unsettled, account, now)

    async def counts(self, account: str, now: float = inf) -> dict[str, dict[str, int]]:
        """Return {kind of action: {state: how many entries}}.

        What is ready only after ``now`` is counted as later, and a request by how far Cloudflare is with it.
        """
        return await self._read(views.count_entries, account, now)

    async def count_reviews(self, account: str) -> dict[str, Counter[Review]]:
        """Return {rule: {how far Cloudflare is: how many requests}}, as far back as entries are kept."""
        return await self._read(views.count_reviews, account)

    async def records(self, account: str, *, after: int = 0, limit: int = 1000) -> list[bytes]:
        """Return audit records after a number as canonical JSON, in order."""
        return await self._read(views.list_records, account, after, limit)

    async def find_records(self, wanted: RecordQuery, beyond: int, limit: int) -> list[bytes]:
        """Return audit records from the one beyond this number on, in the order that is asked for."""
        return await self._read(views.find_records, wanted, beyond, limit)

    async def find_last(self, account: str, verb: Verb) -> bytes:
        """Return the last audit record of a kind that belongs to no entry, nothing when none is kept."""
        return await self._read(views.find_last, account, verb)

    async def find_wanted(self, account: str) -> tuple[Held, ...]:
        """Return at most 50 held events of which a person wants the records to be read again."""
        return await self._read(pages.find_wanted, account)

    async def list_held(self, account: str, limit: int = -1) -> tuple[Held, ...]:
        """Return the events that are held, or the newest of them, newest first."""
        return await self._read(pages.list_held, account, limit)

    async def find_mails(self, account: str, search: MailSearch) -> tuple[SeenMail, ...]:
        """Return the mail that is looked for, newest first."""
        return await self._read(lives.find_mails, account, search)

    async def read_life(self, mail: SeenMail) -> Life:
        """Return everything that is on record of a mail."""
        return await self._runner.read(partial(lives.read_life, mail=mail))

    async def list_broken(self, account: str) -> tuple[Broken, ...]:
        """Return records of the API that could not be read."""
        return await self._read(views.list_broken, account)

    async def list_open_records(self, account: str) -> tuple[OpenRecord, ...]:
        """Return the records that nobody has judged, those that came last first."""
        return await self._read(unreadable.list_open, account)

    async def list_mishaps(self, account: str) -> tuple[Mishap, ...]:
        """Return events on which a rule failed."""
        return await self._read(views.list_mishaps, account)

    async def sizes(self) -> dict[str, int]:
        """Return the bytes that each table takes."""
        return await self._runner.read(sizes)

    async def examine(self, account: str, examine: Callable[[Evidence], T]) -> T:
        """Let a function examine what lies in the file for an account, all of it as of one moment."""
        return await self._runner.read(lambda conn: examine(Evidence(conn, account)))

    async def list_chains(self) -> tuple[str, ...]:
        """Return every account that has audit records."""
        return await self._runner.read(list_chains)

    async def find_newest(self, account: str) -> Newest | None:
        """Return the newest audit record of an account, None when there is none."""
        return await self._read(heads.find_newest, account)

    async def list_heads(self, account: str) -> tuple[KeptHead, ...]:
        """Return the signed heads that are kept: the last one, and what is not handed on everywhere yet."""
        return await self._read(heads.list_heads, account)

    async def accounts(self) -> tuple[str, ...]:
        """Return every account that the ledger knows."""
        return await self._runner.read(views.list_accounts)

    async def _read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs) -> T:
        return await self._runner.read(lambda conn: fn(conn, *args, **named))
