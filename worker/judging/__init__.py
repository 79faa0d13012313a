"""Judging: ask the rules, fetch the facts they use, and decide what to do."""
