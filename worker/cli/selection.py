"""What a person decides about, and why there is nothing left to decide."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from worker import wording
from worker.cli.context import NothingDone
from worker.errors import SettingsError, WorkerError
from worker.language.rules import OBSERVE

if TYPE_CHECKING:
    from worker.ledger.decided import Decided
    from worker.ledger.entries import Entry, Order
    from worker.ledger.ledger import Ledger
    from worker.ledger.matching import MailFilter
    from worker.ledger.queue import WaitingQuery
    from worker.settings import Settings

NAME = re.compile(r"([0-9A-Z]{26})(@[1-9][0-9]{0,9})?(?:\+([1-9][0-9]{0,8}))?")
"""What was shown of a decision: its id, and since when it asks that; of a group, its newest and how many others."""
NOTHING_IS_DONE = (
    "nothing is carried out under it, so nothing was approved; set it to approve or enforce, restart the worker, and "
    "approve then"
)


class Selection(NamedTuple):
    """What a person decides about: a decision or a group by its id, and what a filter lets through."""

    id: str
    filter: "MailFilter"
    since: float = 0.0
    """Only what began to wait after this time."""

    @property
    def subject(self) -> str:
        """What an order and its record call this; the entries that it covers are named with it."""
        return self.id or " ".join(f"{name}:{value}" for name, value in self._list_options())

    @property
    def name(self) -> str:
        """What a person reads of it."""
        return repr(self.id) if self.id else ", ".join(f"{name} {value}" for name, value in self._list_options())

    @property
    def is_group(self) -> bool:
        """Whether the id is of a group, which says how much was shown."""
        return self.others > 0

    @property
    def entry(self) -> str:
        """The id without what was shown: of an entry, or of the newest in a group."""
        name = NAME.fullmatch(self.id)
        return name[1] if name else self.id

    @property
    def shown(self) -> str:
        """What was shown of that entry."""
        return self.id.rpartition("+")[0] if self.is_group else self.id

    @property
    def others(self) -> int:
        """How many more decisions were shown with that of the entry."""
        name = NAME.fullmatch(self.id)
        return int(name[3] or 0) if name else 0

    def ask(self, account: str, newest: str = "") -> "WaitingQuery":
        """Ask the ledger for what waits of an account, or only of the group of which this is the newest decision."""
        from worker.ledger.queue import WaitingQuery

        return WaitingQuery(account, self.filter, self.since, newest)

    def describe(self, count: int) -> str:
        """Say how much is decided, and why so much."""
        of = "this group" if self.is_group else "this decision"
        narrowed = "".join(f", {name} {value}" for name, value in self._list_options()) if self.id else ""
        return f"all {count:,} entries of {of if self.id else self.name}{narrowed}"

    def _list_options(self) -> "list[tuple[str, str]]":
        from worker.ledger.records import instant

        since = {"since": instant(self.since)} if self.since else {}
        return [(name, value) for name, value in (msgspec.structs.asdict(self.filter) | since).items() if value]


async def find_chosen(ledger: "Ledger", account: str, selection: Selection) -> "Sequence[Entry]":
    """Return what waits of a selection, the newest first; of a group, no more than was shown."""
    if not selection.id:
        return await ledger.list_waiting(selection.ask(account))
    if not selection.is_group:
        return _leave_later(await ledger.list_decision(account, selection.entry), selection.entry)
    found = await ledger.list_waiting(selection.ask(account, selection.entry))
    _require_unchanged(found, selection)
    number = len({(entry.item, entry.cause) for entry in found})
    if number > selection.others + 1:
        raise SettingsError(
            f"{selection.id} was shown with {selection.others + 1:,} decisions, and {number:,} are in that group: use "
            "the options with which `worker waiting` showed it, or look again"
        )
    return found


def _leave_later(found: "Sequence[Entry]", id_: str) -> "Sequence[Entry]":
    """Leave out of a decision what began to wait after the entry that names it, as it is left out of a group."""
    same = _find_same(found, id_)
    since = max((entry.waits_since for entry in same), default=0.0)
    return [entry for entry in found if entry.waits_since <= since] if same else found


def _find_same(found: "Sequence[Entry]", id_: str) -> "list[Entry]":
    """Return what waits because of the same event as an entry, that first; nothing for what is no entry's id."""
    named = next((entry for entry in found if entry.id == id_), None)
    if named is None:
        return []
    rest = (entry for entry in found if (entry.item, entry.cause) == (named.item, named.cause))
    return [named, *(entry for entry in rest if entry is not named)]


def _require_unchanged(found: "Sequence[Entry]", selection: Selection) -> None:
    """Refuse to go on with what asks something else than what was shown under its name."""
    from worker.ledger.waiting import name_decision

    same = _find_same(found, selection.entry)
    if same and not same[0].approved_by and (now := name_decision(same[0], same)) != selection.shown:
        asked = max(same, key=attrgetter("waits_since")).said
        ways = "" if selection.is_group else f", or if you approve of that, type {now}"
        changed = f"what {selection.shown} waits for has changed: {asked}"
        raise NothingDone(f"{changed}; look at `worker waiting` again{ways}")


async def choose(
    ledger: "Ledger", accounts: Sequence[str], verb: str, selection: Selection
) -> "dict[str, list[Entry]]":
    """Return what is left to decide in each account; raise NothingDone when that is nothing, and say who decided."""
    meant: dict[str, list[Entry]] = {}
    said = ""
    for account in accounts:
        orders = await ledger.list_pending(account)
        waiting = await find_chosen(ledger, account, selection)
        left = [entry for entry in waiting if not (_find_order(orders, entry) or _has_approval(entry, verb))]
        if left:
            if verb == "approve" and selection.id:
                _require_unchanged(left, selection)
            meant[account] = left
        elif waiting:
            said = await _explain_order(ledger, account, orders, waiting)
    if not meant:
        raise NothingDone(said) if said else await explain_end(ledger, accounts, selection)
    return meant


async def keep_unchanged(ledger: "Ledger", shown: "Mapping[str, Sequence[Entry]]") -> "dict[str, list[Entry]]":
    """Leave out what was decided, or waits with another question, since it was shown; raise NothingDone for all."""
    from worker.ledger.queue import WaitingQuery

    left: dict[str, list[Entry]] = {}
    for account, entries in shown.items():
        now = {entry.id: entry.waits_since for entry in await ledger.list_waiting(WaitingQuery(account))}
        if same := [entry for entry in entries if now.get(entry.id) == entry.waits_since]:
            left[account] = same
    if not left:
        raise NothingDone("nothing of this waits any more as it was shown: look again with `worker waiting`")
    return left


def _find_order(orders: "Iterable[Order]", entry: "Entry") -> "Order | None":
    """Return the order that decides about an entry once a worker takes it up."""
    from worker.ledger.decided import DECIDED

    return next((order for order in orders if order.verb in DECIDED and _is_about(order, entry)), None)


def _is_about(order: "Order", entry: "Entry") -> bool:
    """Tell whether an order covers an entry, or names it where it says nothing of what it covers."""
    if order.covers:
        return entry.id in order.covers
    return order.subject in {entry.id, entry.item, *(f"rule:{rule}" for rule in entry.rules)}


def _has_approval(entry: "Entry", verb: str) -> bool:
    """Tell whether an entry is approved and waits for its turn only; it may still be refused."""
    return verb == "approve" and bool(entry.approved_by)


async def _explain_order(ledger: "Ledger", account: str, orders: "Iterable[Order]", waiting: "Sequence[Entry]") -> str:
    """Say who decided about entries that still wait, when, and what they wait for."""
    from worker.ledger.decided import DECIDED

    given = [order for entry in waiting if (order := _find_order(orders, entry))]
    if given:
        last = max(given, key=attrgetter("id"))
        said = _tell(last.who, DECIDED[last.verb], last.at)
        return f"this is decided: {said}, and a worker takes that up within a second, or at its next start"
    word = await ledger.find_decided(account, waiting[0].id)
    said = _tell(word.who, word.verb, word.at) if word and word.who else f"{waiting[0].approved_by} approved it"
    return f"this is decided: {said}, and it takes place once another action on the same target has ended"


async def explain_end(ledger: "Ledger", accounts: Iterable[str], selection: Selection) -> WorkerError:
    """Say that nothing is waiting, and what became of it: who decided about it, and when."""
    for account in accounts:
        if ended := await ledger.find_decided(account, selection.entry or selection.subject):
            return NothingDone(f"nothing is waiting for {selection.name}: {_tell_end(ended)}")
    return SettingsError(f"nothing is waiting for {selection.name}: `worker waiting` lists what is")


def _tell_end(ended: "Decided") -> str:
    """Tell what became of something that waits no longer."""
    if ended.who:
        return _tell(ended.who, ended.verb, ended.at)
    ago = f" {_describe_ago(ended.at)}" if ended.at else ""
    return f"nobody decided in time, so it lapsed{ago}" if ended.verb == "lapsed" else f"it is {ended.verb}{ago}"


def _tell(who: str, decided: str, at: float) -> str:
    return f"{who} {decided} it {_describe_ago(at)}"


def _describe_ago(at: float) -> str:
    return f"{wording.format_duration(max(1.0, time.time() - at))} ago"


async def require_ceiling(ledger: "Ledger", accounts: Iterable[str], settings: "Settings") -> None:
    """Refuse an approval under a ceiling that lets nothing be carried out: it would wait again at once."""
    if "ceiling" in settings.model_fields_set and settings.ceiling == OBSERVE:
        raise SettingsError(f"WORKER_CEILING is observe: {NOTHING_IS_DONE}")
    for account in accounts:
        line = await ledger.find_last(account, "started")
        if line and msgspec.json.decode(line).get("ceiling") == OBSERVE.name.lower():
            raise SettingsError(f"the worker was started with WORKER_CEILING observe: {NOTHING_IS_DONE}")
