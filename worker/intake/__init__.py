"""Loop 1: sources are read slice by slice into the ledger."""
