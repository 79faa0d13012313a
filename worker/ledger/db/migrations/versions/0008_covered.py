"""What an order decides about: the entries that the person was shown, and none that came later."""

from alembic import op
from sqlalchemy import Column, ForeignKey, Integer, Text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table; orders from before go by their subjects."""
    op.create_table(
        "covered",
        Column(
            "order",
            Integer,
            ForeignKey("orders.id", ondelete="CASCADE"),
            primary_key=True,
            nullable=False,
            autoincrement=False,
        ),
        Column("entry", Text, primary_key=True, nullable=False),
        sqlite_with_rowid=False,
    )
