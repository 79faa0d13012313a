"""Bringing a ledger up: which version it has, and its tables, made or migrated under the lock."""

import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from worker.errors import StoreError
from worker.ledger.db.tables import metadata
from worker.walls.private_files import make_private

NEWEST = "0012"
"""The revision that the tables of this code are; revisions sort as text."""
REVISION = re.compile(r"(?!0000)\d{4}", re.ASCII)
MEGABYTE = 1 << 20


def version(conn: Connection) -> str | None:
    """Return the revision of the database, None when it is empty.

    Raises StoreError for a ledger newer than this code, and for a database of something else.
    """
    tables = inspect(conn).get_table_names()
    if not tables:
        return None
    stored = (
        str(conn.scalar(text("SELECT version_num FROM alembic_version")) or "") if "alembic_version" in tables else ""
    )
    if not REVISION.fullmatch(stored) or stored == "0000":
        raise StoreError(
            f"{conn.engine.url.database} is the database of another program: give WORKER_STORE_URL a file of its own"
        )
    if stored > NEWEST:
        raise StoreError(
            f"the ledger {conn.engine.url.database} was written by a newer version of worker (revision {stored}, this "
            f"one knows {NEWEST}): install that version, or give WORKER_STORE_URL another file"
        )
    return stored


def bring_up(conn: Connection) -> None:
    """Make the tables of an empty database, or migrate those of an older version, in this one transaction."""
    stored = version(conn)
    if stored is None:
        metadata.create_all(conn)
        conn.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        conn.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": NEWEST})
    elif stored != NEWEST:
        _migrate(conn)


def copy_beside(ledger: Path, stored: str) -> Path:
    """Copy a ledger to a file beside it that is named after its revision; return that file.

    An older copy of this revision is replaced once the new one is whole. Raises StoreError, with nothing changed.
    """
    copy = ledger.with_name(f"{ledger.name}.{stored}")
    half = copy.with_name(copy.name + ".partial")
    try:
        _need_space(ledger)
        half.unlink(missing_ok=True)
        os.close(make_private(half))
        with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(half)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file is the whole copy
        shutil.copymode(ledger, half)
        half.replace(copy)
    except (OSError, sqlite3.Error) as error:
        half.unlink(missing_ok=True)
        raise StoreError(
            f"the ledger {ledger} is of revision {stored} and cannot be copied to {copy} before it is migrated "
            f"({error}): make room on its disk, or its folder writable; nothing was changed"
        ) from error
    return copy


def _need_space(ledger: Path) -> None:
    """Raise OSError when the disk has no room for a copy and for what the migration writes."""
    parts = [ledger, ledger.with_name(ledger.name + "-wal")]
    needed = 2 * sum(part.stat().st_size for part in parts if part.exists())
    free = shutil.disk_usage(ledger.parent).free
    if free < needed:
        raise OSError(
            f"that needs {needed / MEGABYTE:.1f} MB of free space on its disk, which has {free / MEGABYTE:.1f}"
        )


def _migrate(conn: Connection) -> None:
    """Let Alembic, which few starts need, bring the tables to the newest revision."""
    from alembic import command  # noqa: PLC0415 (slow to import, rarely needed)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
