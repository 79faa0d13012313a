"""Unreadable records by their state and by their id: when nothing can be read, there are as many as mails."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("broken_due", "broken", ["account", "state", "next_at"])
    op.create_index("broken_id", "broken", ["account", "source", "id"])
