"""When people were told what waits for them."""

from alembic import op
from sqlalchemy import Column, Double, text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column. Of what waits from before nobody was told, so it is announced once."""
    op.add_column("entries", Column("announced_at", Double, nullable=False, server_default=text("0")))
