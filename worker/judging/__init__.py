"""Judging: facts are fetched when a rule touches one, and proposals become one decision."""
