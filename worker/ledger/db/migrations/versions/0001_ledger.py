"""The first tables."""

from alembic import op
from sqlalchemy import Column, Double, ForeignKeyConstraint, Integer, LargeBinary, PrimaryKeyConstraint, Text, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables as they were at this revision."""
    op.create_table(
        "brakes",
        Column("account", Text, nullable=False),
        Column("rule", Text, nullable=False),
        Column("lane", Text, nullable=False),
        Column("who", Text, nullable=False),
        Column("because", Text, nullable=False),
        Column("at", Double, nullable=False),
        PrimaryKeyConstraint("account", "rule", "lane"),
    )
    op.create_table(
        "broken",
        Column("account", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("raw", LargeBinary, nullable=False),
        Column("why", Text, nullable=False),
        Column("at", Double, nullable=False),
        PrimaryKeyConstraint("account", "digest"),
    )
    op.create_table(
        "counts",
        Column("account", Text, nullable=False),
        Column("rule", Text, nullable=False),
        Column("who", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("at", Double, nullable=False),
        PrimaryKeyConstraint("account", "rule", "who", "target"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entries",
        Column("id", Text, nullable=False),
        Column("account", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("lane", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("cause", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("mode", Integer, autoincrement=False, nullable=False),
        Column("rules", Text, nullable=False),
        Column("fingerprints", Text, nullable=False),
        Column("because", Text, nullable=False),
        Column("item", Text, nullable=False),
        Column("verdict", Text, nullable=False),
        Column("sender", Text, nullable=False),
        Column("recipients", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("scanned_at", Double, nullable=False),
        Column("known_at", Double, nullable=False),
        Column("created_at", Double, nullable=False),
        Column("ready_at", Double, nullable=False),
        Column("approved_by", Text, nullable=False),
        Column("behind", Text, nullable=False),
        Column("attempts", Integer, autoincrement=False, nullable=False),
        Column("owner", Text, nullable=False),
        Column("claimed_at", Double, nullable=False),
        Column("reached_by", Double, nullable=False),
        Column("answered_at", Double, nullable=False),
        Column("next_at", Double, nullable=False),
        Column("look", Text, nullable=False),
        Column("remote", Text, nullable=False),
        Column("proof", Text, nullable=False),
        Column("said", Text, nullable=False),
        Column("waits_since", Double, nullable=False),
        Column("settled_at", Double, nullable=False),
        PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "entries_behind",
        "entries",
        ["account", "behind"],
        unique=False,
        sqlite_where=text("behind != ''"),
        postgresql_where=text("behind != ''"),
    )
    op.create_index("entries_due", "entries", ["account", "state", "next_at"], unique=False)
    op.create_index("entries_item", "entries", ["account", "item"], unique=False)
    op.create_index(
        "entries_open",
        "entries",
        ["account", "lane", "target"],
        unique=True,
        sqlite_where=text("state IN ('ready', 'claimed', 'sent', 'unsure') AND lane != 'notice'"),
        postgresql_where=text("state IN ('ready', 'claimed', 'sent', 'unsure') AND lane != 'notice'"),
    )
    op.create_index("entries_settled", "entries", ["account", "lane", "settled_at"], unique=False)
    op.create_index("entries_target", "entries", ["account", "target"], unique=False)
    op.create_table(
        "held",
        Column("account", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("thing", Text, nullable=False),
        Column("sight", LargeBinary, nullable=False),
        Column("why", Text, nullable=False),
        Column("since", Double, nullable=False),
        Column("tries", Integer, autoincrement=False, nullable=False),
        Column("next_at", Double, nullable=False),
        PrimaryKeyConstraint("account", "key"),
    )
    op.create_index("held_due", "held", ["account", "next_at"], unique=False)
    op.create_index("held_thing", "held", ["account", "thing"], unique=False)
    op.create_table(
        "intervals",
        Column("account", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("start", Double, nullable=False),
        Column("end", Double, nullable=False),
        PrimaryKeyConstraint("account", "source", "start"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "maybes",
        Column("account", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("time", Double, nullable=False),
        Column("id", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("since", Double, nullable=False),
        PrimaryKeyConstraint("account", "kind", "time", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "meta",
        Column("name", Text, nullable=False),
        Column("value", Text, nullable=False),
        PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "mishaps",
        Column("account", Text, nullable=False),
        Column("rule", Text, nullable=False),
        Column("fingerprint", Text, nullable=False),
        Column("cause", Text, nullable=False),
        Column("problem", Text, nullable=False),
        Column("raw", LargeBinary, nullable=False),
        Column("at", Double, nullable=False),
        PrimaryKeyConstraint("account", "rule", "fingerprint", "cause"),
    )
    op.create_table(
        "orders",
        Column("id", Integer, autoincrement=True, nullable=False),
        Column("account", Text, nullable=False),
        Column("verb", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("who", Text, nullable=False),
        Column("because", Text, nullable=False),
        Column("at", Double, nullable=False),
        Column("taken_at", Double, nullable=False),
        Column("answer", Text, nullable=False),
        PrimaryKeyConstraint("id"),
    )
    op.create_index("orders_due", "orders", ["account", "taken_at"], unique=False)
    op.create_table(
        "records",
        Column("account", Text, nullable=False),
        Column("number", Integer, autoincrement=False, nullable=False),
        Column("at", Double, nullable=False),
        Column("entry", Text, nullable=False),
        Column("hash", Text, nullable=False),
        Column("line", LargeBinary, nullable=False),
        PrimaryKeyConstraint("account", "number"),
    )
    op.create_index("records_entry", "records", ["account", "entry"], unique=False)
    op.create_table(
        "sights",
        Column("account", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("time", Double, nullable=False),
        Column("id", Text, nullable=False),
        Column("number", Integer, autoincrement=False, nullable=False),
        Column("state", Text, nullable=False),
        Column("verdict", Text, nullable=False),
        Column("quarantined", Integer, autoincrement=False, nullable=False),
        PrimaryKeyConstraint("account", "kind", "time", "id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "slices",
        Column("account", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("start", Double, nullable=False),
        Column("end", Double, nullable=False),
        Column("cursor", Text, nullable=True),
        Column("why", Text, nullable=False),
        Column("opened", Double, nullable=False),
        Column("next_at", Double, nullable=False),
        PrimaryKeyConstraint("account", "source", "kind", "start", "end"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spent",
        Column("credential", Text, nullable=False),
        Column("buckets", Text, nullable=False),
        Column("at", Double, nullable=False),
        PrimaryKeyConstraint("credential"),
    )
    op.create_table(
        "reasons",
        Column("entry", Text, nullable=False),
        Column("thing", Text, nullable=False),
        Column("item", Text, nullable=False),
        Column("account", Text, nullable=False),
        Column("cause", Text, nullable=False),
        Column("because", Text, nullable=False),
        Column("mode", Integer, autoincrement=False, nullable=False),
        Column("rules", Text, nullable=False),
        Column("fingerprints", Text, nullable=False),
        ForeignKeyConstraint(["entry"], ["entries.id"], ondelete="CASCADE"),
        PrimaryKeyConstraint("entry", "thing", "item"),
        sqlite_with_rowid=False,
    )
    op.create_index("reasons_item", "reasons", ["account", "item"], unique=False)
    op.create_index("reasons_thing", "reasons", ["account", "thing"], unique=False)
