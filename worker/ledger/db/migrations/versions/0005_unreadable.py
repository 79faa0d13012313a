"""When what nobody could read happened: such a record is a gap of its own until somebody has judged it."""

from alembic import op
from sqlalchemy import Column, Double, text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; of records from before, the time is that at which they came."""
    for name in ("start", "end"):
        op.add_column("broken", Column(name, Double, nullable=False, server_default=text("0")))
    op.execute('UPDATE broken SET start = at, "end" = at')
