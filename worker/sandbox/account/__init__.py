"""The account's state: its mail, its lists, and what becomes of them as time passes."""
