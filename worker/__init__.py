"""The front door for rule authors: nouns, verbs, and how to make a sentence of them."""

from worker import samples as sample
from worker.actions import BlockSender, Keep, Move, Notify, Reclassify, Release, Unblock
from worker.models import ActionLog, BlockedSender, Detection, Message, Now, Policies, Report, Submission
from worker.rules import APPROVE, ENFORCE, OBSERVE, OFF, example, limit, per_hour, rule

__all__ = [
    "APPROVE",
    "ENFORCE",
    "OBSERVE",
    "OFF",
    "ActionLog",
    "BlockSender",
    "BlockedSender",
    "Detection",
    "Keep",
    "Message",
    "Move",
    "Notify",
    "Now",
    "Policies",
    "Reclassify",
    "Release",
    "Report",
    "Submission",
    "Unblock",
    "example",
    "limit",
    "per_hour",
    "rule",
    "sample",
]
