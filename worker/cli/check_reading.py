"""`worker check --live`: one page of whatever the worker reads, read as it reads it, to see what has changed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Raw

from worker import wording
from worker.api import Client, Urgency
from worker.api.clock import format_time
from worker.api.investigate import WireLogEntry
from worker.api.models import AccountDomain, RawMail, TrustedDomain
from worker.cli.findings import Finding, Refusals, ask
from worker.daemon.usage import OWN, is_own, may_use
from worker.errors import NotEntitled, NotFound
from worker.escaping import escape
from worker.judging.presence import Lacking, find_lacking
from worker.language.base import Noun, get_keys
from worker.language.models import (
    DISPOSITIONS,
    FACTS,
    MESSAGE_FACTS,
    TRIGGERS,
    Detection,
    Message,
    Report,
    Submission,
    Trace,
)
from worker.language.policies import AllowPolicy, BlockedSender, Registrant
from worker.language.reading import Unreadable, read
from worker.ledger.presence import FieldMemory, Memories, Track
from worker.observations import read_message

if TYPE_CHECKING:
    from worker.language.rules import RuleInfo

DAY = 86400.0
PAGE = 100
"""Records of each kind that are read."""
ENOUGH = 5
"""Records of which none can lack by chance what practically all had."""
ABSENT: Refusals = {NotEntitled: None, NotFound: None}
"""What the subscription lacks is said elsewhere, and clean mail has no detection."""
PLACING, LISTING = (
    frozenset({"Move", "Release", "Reclassify"}),
    frozenset({"AllowSender", "BlockSender", "Disallow", "Distrust", "TrustDomain", "Unblock"}),
)
"""Actions that are judged by reading mail, and by reading the account's lists."""


class Part(NamedTuple):
    """Something the worker reads: what people call it, where it is, and by what rules depend on it."""

    words: tuple[str, str]
    path: str
    kind: type[Noun]
    nouns: frozenset[str]
    """Triggers and facts that it becomes."""
    actions: frozenset[str] = frozenset()
    timed: bool = False


class Sample(NamedTuple):
    """What one page came to: the records, why each of the others is lost, and which fields none of the records has."""

    records: tuple[Noun, ...]
    lost: tuple[str, ...]
    lacking: tuple[Lacking, ...]


def _list(words: tuple[str, str], name: str, kind: type[Noun], *nouns: str) -> Part:
    return Part(words, f"/settings/{name}", kind, frozenset(nouns), LISTING)


def _fact(words: tuple[str, str], name: str, kind: type[Noun], noun: str) -> Part:
    return Part(words, f"/investigate/{{id}}/{name}", kind, frozenset({noun}))


MESSAGES = Part(("message", "messages"), "/investigate", Message, frozenset({"Message"}), PLACING, timed=True)
OTHERS = (
    Part(("report", "reports"), "/phishguard/reports", Report, frozenset({"Report"}), timed=True),
    Part(
        ("submission", "submissions"),
        "/submissions",
        Submission,
        frozenset({"Submission"}),
        frozenset({"Reclassify"}),
        timed=True,
    ),
    _list(("blocked sender", "blocked senders"), "block_senders", BlockedSender, "BlockedSender"),
    _list(("allow policy", "allow policies"), "allow_policies", AllowPolicy, "AllowPolicy", "Policies"),
    _list(("trusted domain", "trusted domains"), "trusted_domains", TrustedDomain, "Policies"),
    _list(("own domain", "own domains"), "domains", AccountDomain, "Policies"),
    Part(
        ("protected person", "protected people"),
        "/settings/impersonation_registry",
        Registrant,
        frozenset({"Registry"}),
    ),
)
OF_A_MESSAGE = (
    _fact(("detection", "detections"), "detections", Detection, "Detection"),
    _fact(("raw mail", "raw mails"), "raw", RawMail, "Raw"),
    _fact(("trace", "traces"), "trace", Trace, "Trace"),
    _fact(("line of an action log", "lines of an action log"), "action_log", WireLogEntry, "ActionLog"),
)
READ_AS_IT_IS = frozenset({*TRIGGERS.values(), *FACTS.values()})
"""Records whose fields rules read by the same names."""
UNTRIED = Finding("remarks", "no mail was detected within a day, so the facts about a message could not be tried")
Rules = Sequence["RuleInfo"]


async def find_drift(client: Client, now: float, rules: Rules, memories: Memories) -> list[Finding]:
    """Read one page of every source and list, and every fact of one message; say what of it cannot be read."""
    findings, known = list[Finding](), list[str]()

    def judge(part: Part, found: Sequence[Raw]) -> None:
        sample = read_sample(part, found)
        known.extend(one.id for one in sample.records if isinstance(one, Message))
        findings.extend(describe(part, sample, rules, memories.get(part.words[1], FieldMemory())))

    async def look(part: Part, ident: str = "") -> None:
        refusal = await ask(fetch(client, part, now, ident), ABSENT, partial(judge, part))
        findings.extend([refusal] if refusal else [])

    for part in (MESSAGES, *OTHERS):
        await look(part)
    for part in OF_A_MESSAGE if known else ():
        await look(part, known[0])
    asking = any(MESSAGE_FACTS.keys() & set(rule.facts) for rule in rules)
    return [*findings, UNTRIED] if asking and not known else findings


async def fetch(client: Client, part: Part, now: float, ident: str = "") -> Sequence[Raw]:
    """Return the records of one page as they come; a fact is one record."""
    span = (("start", format_time(now - DAY)), ("end", format_time(now))) if part.timed else ()
    query = (*span, ("per_page", str(PAGE))) if "{id}" not in part.path else ()
    where = {"id": ident} if ident else None
    answer = await client.call("GET", part.path, _split, urgency=Urgency.FACTS, where=where, query=query)
    return (await client.poll(answer, _split, urgency=Urgency.FACTS)).result


def read_sample(part: Part, found: Sequence[Raw]) -> Sample:
    """Read records as the worker does."""
    records, lost, sound = list[Noun](), list[str](), list[bytes]()
    for raw in found[:PAGE]:
        try:
            if part is MESSAGES:
                read_message(raw, 0.0)  # the worker needs more of mail than rules do
            records.append(read(part.kind, raw))
            sound.append(bytes(raw))
        except Unreadable as problem:
            lost.append(str(problem))
    return Sample(tuple(records), tuple(lost), find_lacking(part.kind, sound))


def describe(part: Part, sample: Sample, rules: Rules, memory: FieldMemory) -> list[Finding]:
    """Say what could not be read, or has gone as far as the worker remembers, and which rules depend on it."""
    total = wording.count(len(sample.records) + len(sample.lost), *part.words)
    findings = []
    if sample.lost:
        needing = _name(rule for rule in rules if _depends(rule, part))
        why = f"{len(sample.lost):,} of {total} cannot be read ({escape(sample.lost[0], 200)})"
        findings.append(_judge(why, needing, anyway=part is MESSAGES))
    for field, count in Counter(field for one in sample.records for field in one.unread).items():
        needing = _name(rule for rule in rules if _uses(rule, part, field))
        findings.append(_judge(f"{field} cannot be read in {count:,} of {total}", needing))
    return [*findings, *_find_new_verdicts(sample, total, rules), *_find_gone(part, sample, total, rules, memory)]


def _judge(why: str, needing: str, *, anyway: bool = False) -> Finding:
    """Tell a problem from what hurts no rule."""
    if needing or anyway:
        return Finding(
            "problems", f"the API has changed: {why}, which {needing or 'the worker'} needs: update the worker"
        )
    return Finding("remarks", f"the API has changed: {why}, which no rule needs")


def _find_new_verdicts(sample: Sample, total: str, rules: Rules) -> Iterator[Finding]:
    """Yield that mail has verdicts for which no rule can ask by name."""
    verdicts = [one.final_disposition for one in sample.records if isinstance(one, Message)]
    if new := [verdict for verdict in verdicts if verdict not in DISPOSITIONS]:
        words = escape(", ".join(sorted(set(new))), 200)
        why = f"{len(new):,} of {total} {'has' if len(verdicts) == 1 else 'have'} a verdict"
        naming = _name(rule for rule in rules if rule.trigger == "Message" and rule.dispositions is not None)
        yield _judge(f"{why} that this version does not know ({words})", naming)


def _find_gone(part: Part, sample: Sample, total: str, rules: Rules, memory: FieldMemory) -> Iterator[Finding]:
    """Yield each field that no record has: a problem if it was always there and is needed, or nothing goes without it.

    For what rules read otherwise it is a remark: it may be optional, or have another name now.
    """
    enough, kind = len(sample.records) >= ENOUGH, part.kind.__name__
    for field in sample.lacking if part.kind in READ_AS_IT_IS else ():
        using = _name(rule for rule in rules if _uses(rule, part, field.path))
        own = kind in OWN and is_own(kind, field.path)
        was_usual = (memory.filled if field.is_null else memory.there).get(field.path, Track()).usual_at > 0
        has = f"{field.written}{' but as null' * field.is_null}"
        if enough and (using or own) and (was_usual or field.path in get_keys(part.kind)):
            before = ", which practically all had before" * was_usual
            needing = " and ".join(filter(None, ("the worker itself" * own, using)))
            yield _judge(f"none of {total} has {has}{before}", needing)
        elif using and "." not in field.path and not field.is_null:
            yield Finding("remarks", f"none of {total} has {field.path}, so it is empty for {using}")


def _name(rules: Iterator["RuleInfo"]) -> str:
    return ", ".join(rule.name for rule in rules)


def _depends(rule: "RuleInfo", part: Part) -> bool:
    """Tell whether a rule is triggered by it, asks for it, or does what is judged by it."""
    return bool(part.nouns & {rule.trigger, *rule.facts}) or bool(part.actions & set(rule.actions))


def _uses(rule: "RuleInfo", part: Part, field: str) -> bool:
    """Tell whether a rule depends on one field; of a record that rules read as it is, whether its file names it."""
    if part.kind not in READ_AS_IT_IS:
        return _depends(rule, part)
    return bool(part.nouns & {rule.trigger, *rule.facts}) and may_use(rule, part.kind, field)


def _split(result: Raw) -> Sequence[Raw]:
    """Return the records in a result, which is a list of them or a single one."""
    return _records(result) if bytes(result).startswith(b"[") else [result]


_records = msgspec.json.Decoder(list[Raw]).decode
