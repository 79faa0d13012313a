"""Usage: who depends on a field of what a source, a fact or a list brings, as far as the code of the rules says so."""

from collections.abc import Iterable
from functools import cache

from msgspec.structs import fields

from worker.intake.sources import ReportKey, SubmissionKey
from worker.judging.people import People
from worker.judging.presence import describe_shape
from worker.judging.watches import KINDS
from worker.language.base import Noun, get_keys
from worker.language.models import DISPOSITION_OF, TRIGGERS
from worker.language.policies import ListEntry
from worker.language.rules import OFF, RuleInfo
from worker.observations import MessageKey, NamesKey


def _name_fields(*kinds: type[Noun]) -> frozenset[str]:
    return frozenset(field.name for kind in kinds for field in fields(kind))


LISTED = frozenset({"id", "comments", "pattern", "pattern_type", "is_regex"})
"""What the worker reads of a list that it changes: what an entry stands for, and whose it is."""
OWN: dict[str, frozenset[str]] = {
    "Message": _name_fields(MessageKey, NamesKey, People) | {"validation.spf", "validation.dmarc"},
    "Report": _name_fields(ReportKey),
    "Submission": _name_fields(SubmissionKey),
    "BlockedSender": _name_fields(ListEntry) | LISTED,
    "AllowPolicy": _name_fields(ListEntry) | LISTED,
    "TrustedDomain": LISTED,
    "AccountDomain": frozenset({"status", "authorization", "authorization.authorized", "integration_id"}),
}
"""By what is read: what the worker itself reads of it."""
MADE_OF: dict[str, dict[str, frozenset[str]]] = {
    "Policies": {
        "AccountDomain": frozenset({"domain"}),
        "AllowPolicy": frozenset(
            {"pattern", "is_regex", "is_acceptable_sender", "is_trusted_sender", "is_exempt_recipient"}
        ),
        "TrustedDomain": frozenset({"pattern", "is_regex"}),
    },
    "Registry": {"Registrant": frozenset({"name", "email", "is_email_regex"})},
}
"""By fact: the fields of the lists that it is made of."""


@cache
def is_own(kind: str, path: str) -> bool:
    """Tell whether the worker itself needs a field: to judge what is read, or to look at lists before it acts."""
    protecting = MADE_OF["Policies"].get(kind, frozenset()) | MADE_OF["Registry"].get(kind, frozenset())
    keys = get_keys(KINDS[kind]) if kind in OWN else ()
    return path in OWN.get(kind, frozenset()) | protecting | {*keys}


def find_users(rules: Iterable[RuleInfo], kind: str, path: str) -> tuple[str, ...]:
    """Return the rules that may use a field of their event, or of what a fact that they ask for is made of."""
    running = (rule for rule in rules if rule.mode is not OFF)
    return tuple(rule.name for rule in running if _reads(rule, kind, path))


def find_judged(rules: Iterable[RuleInfo], kind: str, path: str) -> frozenset[str]:
    """Return the kinds of events that are judged by a field: by a rule, or by the worker itself."""
    running = (rule for rule in rules if rule.mode is not OFF)
    own = {kind} if kind in TRIGGERS and is_own(kind, path) else set[str]()
    return frozenset({rule.trigger for rule in running if _reads(rule, kind, path)} | own)


def _reads(rule: RuleInfo, kind: str, path: str) -> bool:
    is_part = any(path in MADE_OF.get(fact, {}).get(kind, ()) for fact in rule.facts)
    return is_part or (kind in {rule.trigger, *rule.facts} and may_use(rule, KINDS[kind], path))


def may_use(rule: RuleInfo, kind: type[Noun], path: str) -> bool:
    """Tell whether the code of a rule names a field of an event or fact, or what is read from it."""
    judged_by = DISPOSITION_OF.get(rule.trigger, "") if rule.dispositions is not None else ""
    is_heard_by = path == judged_by and kind is TRIGGERS[rule.trigger]
    return is_heard_by or not _list_names(kind, path).isdisjoint(rule.reads)


@cache
def _list_names(kind: type[Noun], path: str) -> frozenset[str]:
    """Return the names by which a rule reads a field: its own, those of the properties that read it, and what it holds.

    What the line of an action log holds, rules read as fields of the line.
    """
    own, shape = path.rpartition(".")[2], describe_shape(kind)
    members = ((name, getattr(kind, name)) for name in dir(kind))
    reading = (name for name, one in members if isinstance(one, property) and own in _list_reads(one))
    held = shape.held[path].written if path in shape.held else ()
    return frozenset({own, *reading, *(inner.rpartition(".")[2] for inner in held)})


def _list_reads(member: property) -> tuple[str, ...]:
    """Return the names in the code of a property."""
    names: tuple[str, ...] = getattr(member.fget, "__code__").co_names  # noqa: B009 (every function has one)
    return names
