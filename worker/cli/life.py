"""The life of a mail as `worker show --json` prints it: typed, with the reason of each rule that did not speak."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from worker.cli.output import to_datetime
from worker.rulehost.evaluation import is_triggered

if TYPE_CHECKING:
    from worker.language.rules import RuleInfo
    from worker.ledger.entries import Entry
    from worker.ledger.lives import Life, SeenMail, SeenSight
    from worker.ledger.values import RuleAnswer

Silence = Literal["off", "other_trigger", "other_verdict", "returned_nothing"]
"""Why a rule said nothing."""
DECIDED = ("approved", "refused", "lapsed")
DASHBOARD = "https://one.dash.cloudflare.com/{account}/email-security"
"""Cloudflare documents no address of a single mail there."""


class FoundMail(Struct, frozen=True, kw_only=True):
    """A mail, and who sent it to whom."""

    account: str
    id: str
    postfix_id: str
    message_id: str
    scanned_at: datetime | None
    sender: str
    recipients: tuple[str, ...]
    more_recipients: int
    subject: str


class SpokenAnswer(Struct, frozen=True, kw_only=True):
    """A rule that spoke, and what came of that."""

    rule: str
    result: str
    by: tuple[str, ...]
    needs: tuple[str, ...]
    lowered: str
    problem: str
    """Why it failed."""


class SilentRule(Struct, frozen=True, kw_only=True):
    """A rule that did not speak, and why."""

    rule: str
    why: Silence
    trigger: str
    hears: tuple[str, ...] | None
    """The verdicts that it hears; nothing when that is every detection."""


class ShownSight(Struct, frozen=True, kw_only=True):
    """One state of the mail; ``rules_known`` says whether it is on record which rules were asked."""

    number: int
    verdict: str
    quarantined: bool
    seen_at: datetime | None
    rules_known: bool
    spoke: tuple[SpokenAnswer, ...]
    silent: tuple[SilentRule, ...]
    judged_without: tuple[str, ...]
    """Fields that were missing then; it is judged again since they are back."""
    held_for: str
    """What is in the way of rules that have not answered."""
    next_try_at: datetime | None


class UsedFacts(Struct, frozen=True, kw_only=True):
    """The facts that a rule which spoke may use."""

    rule: str
    facts: tuple[str, ...]


class ShownEntry(Struct, frozen=True, kw_only=True):
    """What was wanted, and what became of it."""

    id: str
    action: dict[str, Any]
    target: str
    state: str
    rules: tuple[str, ...]
    because: str
    said: str
    proof: str
    review: str
    attempts: int
    created_at: datetime | None
    claimed_at: datetime | None
    settled_at: datetime | None
    drifted_at: datetime | None


class PersonsAct(Struct, frozen=True, kw_only=True):
    """What a person decided, or that nobody did."""

    at: str
    who: str
    verb: str
    because: str
    entry: str


class ShownLife(FoundMail, frozen=True, kw_only=True):
    """Everything that the ledger knows of a mail."""

    sights: tuple[ShownSight, ...]
    facts: tuple[UsedFacts, ...]
    entries: tuple[ShownEntry, ...]
    people: tuple[PersonsAct, ...]
    dashboard: str


def describe_mail(mail: "SeenMail") -> FoundMail:
    """Describe a mail that was found."""
    return FoundMail(
        account=mail.account,
        id=mail.id,
        postfix_id=mail.postfix_id,
        message_id=mail.message_id,
        scanned_at=to_datetime(mail.time),
        sender=mail.sender,
        recipients=mail.recipients,
        more_recipients=mail.more,
        subject=mail.subject,
    )


def describe_life(life: "Life") -> ShownLife:
    """Describe everything that is on record of a mail."""
    spoke = {answer.rule for sight in life.sights for answer in sight.answers}
    rules = {rule.name: rule for table in life.rule_tables.values() for rule in table.rules}
    facts = [UsedFacts(rule=name, facts=rules[name].facts) for name in sorted(spoke & rules.keys())]
    return ShownLife(
        **asdict(describe_mail(life.mail)),
        sights=tuple(_describe_sight(life, sight) for sight in life.sights),
        facts=tuple(one for one in facts if one.facts),
        entries=tuple(map(_describe_entry, life.entries)),
        people=tuple(_list_people(life.records)),
        dashboard=DASHBOARD.format(account=life.mail.account),
    )


def _describe_sight(life: "Life", sight: "SeenSight") -> ShownSight:
    """Describe a sight; of one that nobody judged, no rule is silent."""
    table = life.rule_tables.get(sight.rule_table)
    spoke = {answer.rule for answer in sight.answers}
    silent = [rule for rule in table.rules if rule.name not in spoke] if table and "" not in spoke else []
    held = next((one for one in life.held if one.number == sight.number), None)
    return ShownSight(
        number=sight.number,
        verdict=sight.verdict,
        quarantined=bool(sight.quarantined),
        seen_at=to_datetime(sight.seen_at),
        rules_known=table is not None,
        spoke=tuple(_describe_answer(life, sight, answer) for answer in sight.answers),
        silent=tuple(_describe_silence(rule, sight.verdict) for rule in silent),
        judged_without=sight.lacked,
        held_for=held.why if held else "",
        next_try_at=to_datetime(held.next_at) if held else None,
    )


def _describe_answer(life: "Life", sight: "SeenSight", answer: "RuleAnswer") -> SpokenAnswer:
    problems = [one.problem for one in life.failures if (one.rule, one.number) == (answer.rule, sight.number)]
    problem = problems[-1] if answer.result == "failed" and problems else ""
    told = msgspec.structs.asdict(answer)
    return SpokenAnswer(**told, problem=problem)


def _describe_silence(rule: "RuleInfo", verdict: str) -> SilentRule:
    return SilentRule(rule=rule.name, why=explain_silence(rule, verdict), trigger=rule.trigger, hears=rule.dispositions)


def explain_silence(rule: "RuleInfo", verdict: str) -> Silence:
    """Say why a rule that was loaded said nothing of a mail with this verdict."""
    if not rule.mode:
        return "off"
    if rule.trigger != "Message":
        return "other_trigger"
    return "returned_nothing" if is_triggered(rule, "Message", verdict) else "other_verdict"


def _describe_entry(entry: "Entry") -> ShownEntry:
    return ShownEntry(
        id=entry.id,
        action=msgspec.to_builtins(entry.action),
        target=entry.target,
        state=entry.state,
        rules=entry.rules,
        because=entry.because,
        said=entry.said,
        proof=entry.proof,
        review=entry.review,
        attempts=entry.attempts,
        created_at=to_datetime(entry.created_at),
        claimed_at=to_datetime(entry.claimed_at),
        settled_at=to_datetime(entry.settled_at),
        drifted_at=to_datetime(entry.drifted_at),
    )


def _list_people(lines: Iterable[bytes]) -> Iterator[PersonsAct]:
    """Yield who decided about entries, from their records."""
    for record in map(msgspec.json.decode, lines):
        if record["verb"] in DECIDED:
            yield PersonsAct(
                at=record["at"],
                who=record.get("who", ""),
                verb=record["verb"],
                because=record.get("because", "") if record.get("who") else "",
                entry=record["entry"],
            )
