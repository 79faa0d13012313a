"""Verdicts: what a rule process answers is taken only as far as it can be true.

A rule can write to the socket of its process. So every answer is compared with what was asked, and with what the marks
and the signature of each rule said when it was loaded. The daemon calls this; nothing here runs a rule.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, json
from msgspec.msgpack import Decoder

from worker.escaping import escape
from worker.language.actions import ACTIONS
from worker.language.models import DISPOSITION_OF, DISPOSITIONS, FACTS, TRIGGERS
from worker.language.reading import HOSTILE, Unreadable, read
from worker.language.rules import Ask, Proposal, RuleInfo
from worker.rulehost.evaluation import ACTIONS_LIMIT, REASON_LIMIT, Event, Failure, Said, Skip, is_triggered
from worker.rulehost.fingerprints import identify_bundle, identify_rule
from worker.rulehost.loader import Sources, is_neighbour
from worker.rulehost.protocol import Declared, Loaded, Verdicts
from worker.rulehost.validation import LONGEST, READABLE, SHORTEST

UNREAD_LIMIT, NAME_LIMIT = 1000, 200
"""Unread fields that a rule may name, and characters of any name."""
LINES = 10_000_000
DAY = 86400.0
"""Seconds that the calls of one page last at most."""
_DECLARED, _LOADED, _VERDICTS = Decoder(Declared), Decoder(Loaded), Decoder(Verdicts)


class Untrue(Exception):
    """A rule process has answered what cannot be; the text says what."""


class Asked(Struct, frozen=True):
    """What a rule process was asked about a page, and of which rules and files it may speak."""

    events: Sequence[Event]
    skip: Mapping[tuple[str, str], Failure]
    rules: Mapping[str, RuleInfo]
    files: frozenset[str]


def describe_asked(events: Sequence[Event], skip: Sequence[Skip], rules: Sequence[RuleInfo], sources: Sources) -> Asked:
    """Return what an answer about a page is compared with."""
    skipped = {(one.key, one.failure.rule): one.failure for one in skip}
    return Asked(events, skipped, {rule.name: rule for rule in rules}, list_places(sources))


def list_places(sources: Sources) -> frozenset[str]:
    """Return the paths in which a rule can fail."""
    return frozenset(f"{sources.folder}/{name}" for name in sources.files)


def read_verdicts(frame: bytes, asked: Asked, answered: int) -> Verdicts:
    """Return one frame of an answer, of which so many events were answered before; raise Untrue."""
    try:
        verdicts = _VERDICTS.decode(frame)
    except HOSTILE as problem:
        raise Untrue(f"its answer cannot be read: {escape(str(problem))}") from None
    events = asked.events[answered : answered + len(verdicts.said)]
    _demand([one.key for one in verdicts.said] == [event.key for event in events], "it answers what was not asked")
    for said, event in zip(verdicts.said, events, strict=True):
        if not said.is_nothing:
            _check_said(said, event, asked)
    for number, (calls, seconds) in verdicts.calls.items():
        _demand(0 <= number < len(asked.rules), "it counts calls of a rule that there is not")
        _demand(0 <= calls <= len(asked.events), "it counts more calls than there were")
        _demand(math.isfinite(seconds) and 0 <= seconds <= DAY, "it measures a time that cannot be")
    return verdicts


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 (an assertion that Python never leaves out)
    """Raise Untrue unless something holds."""
    if not holds:
        raise Untrue(otherwise)


def _check_said(said: Said, event: Event, asked: Asked) -> None:
    """Raise Untrue unless rules can have said this about an event."""
    if said.unreadable:
        _demand(not (said.proposals or said.asks or said.failed), "it judges what it cannot read")
        _demand(_is_sentence(said.unreadable), "it explains at length what it cannot read")
        return
    speakers = [*(p.rule for p in said.proposals), *(a.rule for a in said.asks), *(f.rule for f in said.failed)]
    _demand(len(set(speakers)) == len(speakers), "a rule speaks twice about one event")
    disposition = read_disposition(event)
    for name in speakers:
        rule = asked.rules.get(name)
        _demand(rule is not None and is_triggered(rule, event.kind, disposition), "a rule speaks that was not asked")
    for proposal in said.proposals:
        _check_proposal(proposal, asked.rules[proposal.rule])
    for ask in said.asks:
        _check_ask(ask, asked.rules[ask.rule], event)
    for failure in said.failed:
        known = asked.skip.get((event.key, failure.rule))
        _demand(failure == known if known else _is_failure(failure, asked), "it tells of a failure that cannot be")


def read_disposition(event: Event) -> str:
    """Return the disposition of an event, as a rule would read it; raise Untrue for an event that cannot be read."""
    if event.kind not in DISPOSITION_OF:
        return ""
    try:
        return _peek(event) or str(getattr(read(TRIGGERS[event.kind], event.raw), DISPOSITION_OF[event.kind]))
    except Unreadable:
        raise Untrue("it judges what cannot be read") from None


class _Dispositions(Struct):
    """The fields that say it, of any trigger."""

    final_disposition: str = ""
    disposition: str = ""


_DECODE_DISPOSITIONS: Callable[[bytes], _Dispositions] = json.Decoder(_Dispositions).decode


def _peek(event: Event) -> str:
    """Return the disposition of an ordinary record, without reading the rest; empty for any other."""
    try:
        found = getattr(_DECODE_DISPOSITIONS(event.raw), DISPOSITION_OF[event.kind])
    except HOSTILE:
        return ""
    return found if found in DISPOSITIONS else ""


def _check_proposal(said: Proposal, rule: RuleInfo) -> None:
    """Raise Untrue unless a rule may propose this."""
    marks = (said.mode, said.priority, said.fingerprint, said.lowered)
    _demand(marks == (rule.mode, rule.priority, rule.fingerprint, ""), "a proposal is not marked as its rule is")
    _demand(1 <= len(said.actions) <= ACTIONS_LIMIT, "a proposal has no action, or too many")
    names = {type(action).__name__ for action in said.actions}
    _demand(names <= set(rule.actions), "an action is not in the return type of its rule")
    _demand(all(len(action.because) <= REASON_LIMIT for action in said.actions), "a reason is too long")


def _check_ask(said: Ask, rule: RuleInfo, event: Event) -> None:
    """Raise Untrue unless a rule may ask for this."""
    marks = (said.mode, said.priority, said.actions)
    _demand(marks == (rule.mode, rule.priority, rule.actions), "a question is not marked as its rule is")
    _demand(bool(said.facts or said.unread) and not said.stopped, "a rule asks for nothing")
    _demand(set(said.facts) <= set(rule.facts) - event.facts.keys(), "a rule asks for a fact that it does not lack")
    _demand(len(said.facts) <= len(rule.facts), "a rule asks twice for one fact")
    _demand(len(said.unread) <= UNREAD_LIMIT and all(map(_is_name, said.unread)), "a field has an impossible name")


def _is_failure(said: Failure, asked: Asked) -> bool:
    """Tell whether a rule can have failed like this."""
    own = said.fingerprint == asked.rules[said.rule].fingerprint
    return (
        own and not said.spared and said.file in asked.files and 0 <= said.line <= LINES and _is_sentence(said.problem)
    )


def _is_sentence(text: str) -> bool:
    """Tell whether a text is as it was written by ``describe_error``: short, and without hidden characters."""
    return text == escape(text, REASON_LIMIT)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_LIMIT and text == escape(text, NAME_LIMIT)


def read_loaded(frames: Sequence[bytes], sources: Sources, code: Mapping[str, str]) -> Loaded:
    """Return the result of loading; raise Untrue for rules that the sources cannot have.

    The frames are what each file declared after it ran, and the result. ``code`` is the fingerprint of each file's
    code, as it was told before the first file ran.
    """
    try:
        *declared, loaded = *map(_DECLARED.decode, frames[:-1]), _LOADED.decode(frames[-1])
    except HOSTILE as problem:
        raise Untrue(f"its answer cannot be read: {escape(str(problem))}") from None
    _demand(len(loaded.outcomes) == len(loaded.rules), "it tells of examples of other rules")
    names = [rule.name for rule in loaded.rules]
    _demand(bool(loaded.problems) or len(set(names)) == len(names), "two rules have one name")
    own = frozenset(f"{sources.folder}/{name}" for name in sources.files if not is_neighbour(name))
    for rule in loaded.rules:
        _demand(rule.file in own and 0 < rule.line <= LINES, "a rule is in no file")
        for wrong in _find_impossible(rule):
            raise Untrue(f"a rule has an impossible {wrong}")
    _check_declared(declared, loaded, sources)
    _check_fingerprints(loaded, code)
    return loaded


def _check_declared(declared: Sequence[Declared], loaded: Loaded, sources: Sources) -> None:
    """Raise Untrue unless the rules are those that their files declared, each before the next file ran."""
    names = list(sources.files)
    _demand(all(one.file in names for one in declared), "a file declares rules that there is not")
    ordered = sorted(declared, key=lambda one: names.index(one.file))
    _demand(loaded.rules == tuple(rule for one in ordered for rule in one.rules), "a rule was declared otherwise")
    own = all(rule.file.rpartition("/")[2] == one.file for one in declared for rule in one.rules)
    _demand(own and len({one.file for one in declared}) == len(declared), "a file declares the rules of another")


def _check_fingerprints(loaded: Loaded, code: Mapping[str, str]) -> None:
    """Raise Untrue unless each rule has the fingerprint of its code, and all together theirs."""
    shared = [one for name, one in code.items() if is_neighbour(name)]
    for rule in loaded.rules:
        own = code.get(rule.file.rpartition("/")[2], "")
        _demand(rule.fingerprint == identify_rule(rule.name, own, shared), "a rule has the fingerprint of other code")
    together = identify_bundle((rule.name, rule.fingerprint) for rule in loaded.rules)
    _demand(loaded.fingerprint == together, "the rules have the fingerprint of others")


def _find_impossible(rule: RuleInfo) -> Iterator[str]:
    """Yield the parts of a rule that no file can have."""
    possible = {
        "name": rule.name.isidentifier() and _is_name(rule.name),
        "trigger": rule.trigger in TRIGGERS,
        "fact": set(rule.facts) <= FACTS.keys() and len(set(rule.facts)) == len(rule.facts),
        "action": bool(rule.actions) and set(rule.actions) <= ACTIONS.keys(),
        "disposition": set(rule.dispositions or ()) <= set(DISPOSITIONS),
        "channel": all(map(_is_name, rule.channels)),
        "field": set(rule.reads) <= READABLE and len(set(rule.reads)) == len(rule.reads),
        "limit": rule.limit.count >= 0 and SHORTEST <= rule.limit.per <= LONGEST,
    }
    yield from (name for name, holds in possible.items() if not holds)
