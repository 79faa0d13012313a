"""The ledger's tables. Portable types only; what is not a column to search by is JSON text."""

from collections.abc import Callable
from functools import cached_property, lru_cache

import msgspec
from sqlalchemy import (
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)

from worker.language.actions import AnyAction
from worker.language.rules import RuleInfo
from worker.ledger.entries import Look
from worker.ledger.values import Pending, RuleAnswer

OPEN_ROWS = "state IN ('ready', 'claimed', 'sent', 'unsure') AND lane != 'notice' AND review != 'accepted'"
BEHIND_ROWS = "behind != ''"


class Json(TypeDecorator[object]):
    """A value of one shape, kept as JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, shape: object) -> None:
        super().__init__()
        self.shape = shape

    @cached_property
    def _decode(self) -> Callable[[str], object]:
        # Rows repeat each other's rules, actions and looks; what is decoded is frozen, so that rows can share it.
        return lru_cache(maxsize=1024)(msgspec.json.Decoder(self.shape).decode)

    def bind_processor(self, dialect: Dialect) -> Callable[[object], str]:  # noqa: ARG002 (the library's signature)
        """Return what writes a value as text."""
        return _encode

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str], object]:  # noqa: ARG002
        """Return what reads a value from text."""
        return self._decode


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


metadata = MetaData()
NAMES = Json(tuple[str, ...])


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _time(name: str, *, key: bool = False) -> Column[float]:
    return Column(name, Double, primary_key=key, nullable=False)


def _count(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, Integer, primary_key=key, nullable=False, autoincrement=False)


def _names(name: str) -> Column[tuple[str, ...]]:
    return Column(name, NAMES, nullable=False)


def _later_text(name: str, default: str = "") -> Column[str]:
    """Return a column that a migration has added: rows from before it have the default."""
    return Column(name, Text, nullable=False, server_default=default)


def _later_time(name: str) -> Column[float]:
    return Column(name, Double, nullable=False, server_default=text("0"))


meta = Table("meta", metadata, _text("name", key=True), _text("value"))

intervals = Table(
    "intervals",
    metadata,
    _text("account", key=True),
    _text("source", key=True),
    _time("start", key=True),
    _time("end"),
    sqlite_with_rowid=False,
)

slices = Table(
    "slices",
    metadata,
    _text("account", key=True),
    _text("source", key=True),
    _text("kind", key=True),
    _time("start", key=True),
    _time("end", key=True),
    Column("cursor", Text),
    _text("why"),
    _time("opened"),
    _time("next_at"),
    sqlite_with_rowid=False,
)

# The key leads with the time: pages are read by time, so their rows lie beside each other.
sights = Table(
    "sights",
    metadata,
    _text("account", key=True),
    _text("kind", key=True),
    _time("time", key=True),
    _text("id", key=True),
    _count("number", key=True),
    _text("state"),
    _text("verdict"),
    _count("quarantined"),
    Column("rule_table", Integer, nullable=False, server_default=text("0")),
    Column("answers", Json(tuple[RuleAnswer, ...]), nullable=False, server_default="[]"),
    _later_time("seen_at"),
    sqlite_with_rowid=False,
)

# The rules as they were loaded when something was judged; sights name them by number.
rule_tables = Table(
    "rule_tables",
    metadata,
    _count("number", key=True),
    _text("fingerprint"),
    Column("rules", Json(tuple[RuleInfo, ...]), nullable=False),
    Index("rule_tables_fingerprint", "fingerprint", unique=True),
)

mails = Table(
    "mails",
    metadata,
    _count("number", key=True),
    _text("account"),
    _time("time"),
    _text("id"),
    _text("postfix_id"),
    _text("message_id"),
    _text("sender"),
    _names("recipients"),
    _count("more"),
    _text("subject"),
    Index("mails_time", "time"),
)

# What a mail can be found by, in lower case. The key leads with the day, so that a page's names lie beside each other
# however many mails there are; whoever looks a name up does so in each day.
names = Table(
    "names",
    metadata,
    _text("role", key=True),
    _count("day", key=True),
    _text("name", key=True),
    _count("mail", key=True),
    sqlite_with_rowid=False,
)

# When a field was missing from what events were judged by; what was seen then is judged again.
absences = Table(
    "absences",
    metadata,
    _text("account", key=True),
    _text("kind", key=True),
    _text("field", key=True),
    _time("start", key=True),
    _time("end"),
    sqlite_with_rowid=False,
)

maybes = Table(
    "maybes",
    metadata,
    _text("account", key=True),
    _text("kind", key=True),
    _time("time", key=True),
    _text("id", key=True),
    _text("state"),
    _time("since"),
    sqlite_with_rowid=False,
)

held = Table(
    "held",
    metadata,
    _text("account", key=True),
    _text("key", key=True),
    _text("thing"),
    Column("sight", LargeBinary, nullable=False),
    _text("why"),
    _time("since"),
    _count("tries"),
    _time("next_at"),
    Column("pending", Json(Pending), nullable=False, server_default="{}"),
    Index("held_due", "account", "next_at"),
    Index("held_thing", "account", "thing"),
)

entries = Table(
    "entries",
    metadata,
    _text("id", key=True),
    _text("account"),
    _text("kind"),
    _text("lane"),
    _text("target"),
    _text("cause"),
    Column("action", Json(AnyAction), nullable=False),
    _text("state"),
    _count("mode"),
    _names("rules"),
    _names("fingerprints"),
    _text("because"),
    _text("item"),
    _text("verdict"),
    _text("sender"),
    _names("recipients"),
    _text("subject"),
    _time("scanned_at"),
    _time("known_at"),
    _time("created_at"),
    _time("ready_at"),
    _text("approved_by"),
    _text("behind"),
    _count("attempts"),
    _text("owner"),
    _time("claimed_at"),
    _time("reached_by"),
    _time("answered_at"),
    _time("next_at"),
    Column("look", Json(Look | None), nullable=False),
    _text("remote"),
    _text("proof"),
    _text("said"),
    _time("waits_since"),
    _time("settled_at"),
    _later_text("item_kind", "decision"),
    _later_text("item_of"),
    _later_text("why"),
    _later_text("why_ref"),
    Column("shown", NAMES, nullable=False, server_default="[]"),
    _later_time("shown_before"),
    _later_text("fault"),
    _later_time("drifted_at"),
    _later_text("review"),
    _later_time("announced_at"),
    _later_text("authenticated"),
    Index("entries_open", "account", "lane", "target", unique=True, sqlite_where=text(OPEN_ROWS)),
    Index("entries_due", "account", "state", "next_at"),
    Index("entries_target", "account", "target"),
    Index("entries_item", "account", "item"),
    Index("entries_settled", "account", "lane", "settled_at"),
    Index("entries_cause", "account", "cause"),
    Index("entries_behind", "account", "behind", sqlite_where=text(BEHIND_ROWS)),
)

# Why an entry that is not settled yet stands: a row for each thing, and decision, that asked for it, until it settles.
reasons = Table(
    "reasons",
    metadata,
    Column("entry", Text, ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True, nullable=False),
    _text("thing", key=True),
    _text("item", key=True),
    _text("account"),
    _text("cause"),
    _text("because"),
    _count("mode"),
    _names("rules"),
    _names("fingerprints"),
    _later_text("item_kind", "decision"),
    _later_text("item_of"),
    _later_text("authenticated"),
    Index("reasons_thing", "account", "thing"),
    Index("reasons_item", "account", "item"),
    sqlite_with_rowid=False,
)

records = Table(
    "records",
    metadata,
    _text("account", key=True),
    _count("number", key=True),
    _time("at"),
    _text("entry"),
    _text("hash"),
    Column("line", LargeBinary, nullable=False),
    Index("records_entry", "account", "entry"),
)

# What the limits count: which target a rule touched, for whom, and when last.
counts = Table(
    "counts",
    metadata,
    _text("account", key=True),
    _text("rule", key=True),
    _text("who", key=True),
    _text("target", key=True),
    _time("at"),
    sqlite_with_rowid=False,
)

orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _text("account"),
    _text("verb"),
    _text("subject"),
    _text("who"),
    _text("because"),
    _time("at"),
    _time("taken_at"),
    _text("answer"),
    Index("orders_due", "account", "taken_at"),
)

# What an order decides about, as it was shown to the person; an order without a row here goes by its subject alone.
covered = Table(
    "covered",
    metadata,
    Column("order", Integer, ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    _text("entry", key=True),
    sqlite_with_rowid=False,
)

brakes = Table(
    "brakes",
    metadata,
    _text("account", key=True),
    _text("rule", key=True),
    _text("lane", key=True),
    _text("who"),
    _text("because"),
    _time("at"),
)

mishaps = Table(
    "mishaps",
    metadata,
    _text("account", key=True),
    _text("rule", key=True),
    _text("fingerprint", key=True),
    _text("cause", key=True),
    _text("problem"),
    Column("raw", LargeBinary, nullable=False),
    _time("at"),
)

broken = Table(
    "broken",
    metadata,
    _text("account", key=True),
    _text("digest", key=True),
    Column("raw", LargeBinary, nullable=False),
    _text("why"),
    _time("at"),
    _later_text("source"),
    _later_text("id"),
    _later_text("state", "open"),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    _later_time("next_at"),
    _later_time("start"),
    _later_time("end"),
    Index("broken_due", "account", "state", "next_at"),
    Index("broken_id", "account", "source", "id"),
)

spent = Table("spent", metadata, _text("credential", key=True), Column("buckets", Text, nullable=False), _time("at"))
