"""How far a request is about which Cloudflare decides later; while it decides, its target is free."""

from alembic import op
from sqlalchemy import Column, Text, text

revision = "0004"
down_revision = "0003"

OPEN_ROWS = "state IN ('ready', 'claimed', 'sent', 'unsure') AND lane != 'notice' AND review != 'accepted'"


def upgrade() -> None:
    """Add the column. Of requests from before, nobody knows what became of them."""
    op.add_column("entries", Column("review", Text, nullable=False, server_default=""))
    op.drop_index("entries_open", "entries")
    where = text(OPEN_ROWS)
    key = ["account", "lane", "target"]
    op.create_index("entries_open", "entries", key, unique=True, sqlite_where=where, postgresql_where=where)
