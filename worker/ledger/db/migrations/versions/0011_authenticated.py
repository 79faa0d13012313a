"""What the mail that asks for something proved to come from."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns. What mail from before proved, nobody knows any more."""
    for table in ("entries", "reasons"):
        op.add_column(table, Column("authenticated", Text, nullable=False, server_default=""))
