"""When a field was missing from what events were judged by."""

from alembic import op
from sqlalchemy import Column, Double, Text

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "absences",
        *(Column(name, Text, primary_key=True, nullable=False) for name in ("account", "kind", "field")),
        Column("start", Double, primary_key=True, nullable=False),
        Column("end", Double, nullable=False),
        sqlite_with_rowid=False,
    )
