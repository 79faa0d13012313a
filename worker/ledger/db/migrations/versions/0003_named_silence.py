"""What is open: rules that have not answered about held events, and records that nobody could read."""

from alembic import op
from sqlalchemy import Column, Double, Integer, Text, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; events that were held before wait whole, and what could not be read is tried again."""
    op.add_column("held", Column("pending", Text, nullable=False, server_default="{}"))
    for name, default in (("source", ""), ("id", ""), ("state", "open")):
        op.add_column("broken", Column(name, Text, nullable=False, server_default=default))
    op.add_column("broken", Column("tries", Integer, nullable=False, server_default=text("0")))
    op.add_column("broken", Column("next_at", Double, nullable=False, server_default=text("0")))
