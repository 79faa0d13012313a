"""Bringing a ledger up: where it lies, which version it has, and its tables, made or migrated under the lock."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from worker.errors import StoreError
from worker.ledger.db.tables import metadata

NEWEST = "0001"
"""The revision that the tables of this code are; revisions sort as text."""


def place_of(url: str) -> Path | None:
    """Return the file of a store URL, None for a ledger in memory; raise StoreError for any other URL."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"WORKER_STORE_URL {url!r} is not a URL; write sqlite:///worker.db") from error
    if parsed.drivername != "sqlite" or parsed.host or parsed.query:
        shown = parsed.render_as_string(hide_password=True)
        raise StoreError(f"WORKER_STORE_URL {shown} is not supported; write sqlite:/// and the path of a file")
    if parsed.database in {None, "", ":memory:"}:
        return None
    path = Path(str(parsed.database)).absolute()
    if path.is_dir():
        raise StoreError(f"WORKER_STORE_URL names the folder {path}; name a file in it, such as {path}/worker.db")
    if not path.parent.is_dir():
        raise StoreError(f"WORKER_STORE_URL names {path}, but {path.parent} is not a folder; make it first")
    return path


def version(conn: Connection) -> str | None:
    """Return the revision of the database, None when it is empty; raise StoreError for one newer than this code."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    stored = conn.scalar(text("SELECT version_num FROM alembic_version")) or ""
    if stored > NEWEST:
        raise StoreError(
            f"the ledger {conn.engine.url.database} was written by a newer version of worker (revision {stored}, this "
            f"one knows {NEWEST}): install that version, or give WORKER_STORE_URL another file"
        )
    return str(stored)


def bring_up(conn: Connection) -> None:
    """Make the tables of an empty database, or migrate those of an older version."""
    stored = version(conn)
    if stored is None:
        metadata.create_all(conn)
        conn.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        conn.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": NEWEST})
    elif stored != NEWEST:
        _migrate(conn)


def _migrate(conn: Connection) -> None:
    """Let Alembic, which few starts need, bring the tables to the newest revision."""
    from alembic import command  # noqa: PLC0415 (slow to import, rarely needed)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
