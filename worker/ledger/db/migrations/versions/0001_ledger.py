"""The first tables: version 0.1 made them whole, so no ledger is ever brought here from an earlier revision."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Leave everything as it is."""
