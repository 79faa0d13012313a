"""The ledger: what was seen, decided, done and proved, in one table between the two loops."""
