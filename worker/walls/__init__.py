"""Walls: what a process gives up for good before it runs or reads what strangers wrote. None needs a privilege.

A process calls ``seal`` once, after it has loaded what it needs and before it takes up the first byte of a stranger's.
"""

from worker.walls.libraries import list_libraries
from worker.walls.process import die_with, hide, is_hidden
from worker.walls.sealing import SANDBOXES, WALLS, Limits, Sandbox, Standing, Wall, explain_missing, seal

__all__ = [
    "SANDBOXES",
    "WALLS",
    "Limits",
    "Sandbox",
    "Standing",
    "Wall",
    "die_with",
    "explain_missing",
    "hide",
    "is_hidden",
    "list_libraries",
    "seal",
]
