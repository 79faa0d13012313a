"""Loop 2: entries of the ledger are carried out, proved and settled."""
