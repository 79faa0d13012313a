"""Alembic's entry: migrates over the connection, and in the transaction, that the ledger hands in."""

from alembic import context

from worker.ledger.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
