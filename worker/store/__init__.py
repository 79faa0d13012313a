"""The ledger: what was seen, decided, done and proved; tables, transactions and migrations."""
