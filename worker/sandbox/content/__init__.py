"""What a message says: its text, its raw form, and what is detected in it."""
