"""What is open about held events: rules that have not answered, and what waits for them."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; events that were held before wait whole."""
    op.add_column("held", Column("pending", Text, nullable=False, server_default="{}"))
