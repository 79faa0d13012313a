"""When a sight was seen first; of those from before, nobody knows."""

from alembic import op
from sqlalchemy import Column, Double, text

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column."""
    op.add_column("sights", Column("seen_at", Double, nullable=False, server_default=text("0")))
