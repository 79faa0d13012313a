"""What a message says: its text, its raw form, its picture, and what is detected in it."""
