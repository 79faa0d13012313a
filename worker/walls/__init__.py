"""Walls: what a process gives up for good before it runs or reads what strangers wrote. None needs a privilege.

A process calls ``seal`` once, after it has loaded what it needs and before it takes up the first byte of a stranger's.
"""

from worker.walls.libraries import list_libraries
from worker.walls.process import die_with, hide
from worker.walls.sealing import BACKED_UP, WALLS, Limits, Standing, Wall, explain_missing, seal

__all__ = [
    "BACKED_UP",
    "WALLS",
    "Limits",
    "Standing",
    "Wall",
    "die_with",
    "explain_missing",
    "hide",
    "list_libraries",
    "seal",
]
