"""What rule files import: triggers, facts, actions, samples, and the decorators that make a rule."""

from worker.language import samples as sample
from worker.language.actions import (
    AllowSender,
    BlockSender,
    Disallow,
    Distrust,
    Escalate,
    Keep,
    Move,
    Notify,
    Reclassify,
    Release,
    TrustDomain,
    Unblock,
)
from worker.language.lookalikes import lookalike
from worker.language.models import ActionLog, Detection, History, Message, Now, Raw, Report, Submission, Trace
from worker.language.policies import AllowPolicy, BlockedSender, Policies, Registry
from worker.language.rules import APPROVE, ENFORCE, OBSERVE, OFF, example, limit, per_hour, rule

__all__ = [
    "APPROVE",
    "ENFORCE",
    "OBSERVE",
    "OFF",
    "ActionLog",
    "AllowPolicy",
    "AllowSender",
    "BlockSender",
    "BlockedSender",
    "Detection",
    "Disallow",
    "Distrust",
    "Escalate",
    "History",
    "Keep",
    "Message",
    "Move",
    "Notify",
    "Now",
    "Policies",
    "Raw",
    "Reclassify",
    "Registry",
    "Release",
    "Report",
    "Submission",
    "Trace",
    "TrustDomain",
    "Unblock",
    "example",
    "limit",
    "lookalike",
    "per_hour",
    "rule",
    "sample",
]
