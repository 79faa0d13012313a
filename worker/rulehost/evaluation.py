"""Evaluation: run the rules of a bundle on a page of events. Pure: no clock, no network, no ledger, no process.

A rule can take facts that the event does not carry. It is then given a stand-in that stops the rule when it is used,
and the event is judged again once the fact has been fetched. Rules are pure, so running one twice does no harm. A field
that could not be read stops the rule that uses it in the same way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import product
from types import TracebackType
from typing import Any, Literal, NoReturn, get_args, get_origin

from msgspec import Struct, ValidationError, field
from msgspec.msgpack import Decoder as Unpacker
from msgspec.msgpack import encode
from msgspec.structs import fields, replace

from worker.escaping import escape
from worker.language.actions import AnyAction, describe_action
from worker.language.base import TEXT_LIMIT, Noun, join_choices
from worker.language.models import DISPOSITION_OF, DISPOSITIONS, FACTS, TRIGGERS
from worker.language.reading import Unreadable, read
from worker.language.rules import OFF, Ask, Proposal, RuleInfo, to_actions
from worker.language.shortening import shorten
from worker.language.unread import FieldUnread, Watch, guard, mark

LONGEST_NAME = 100
"""Characters of a misspelled name that is compared."""
REASON_LIMIT = 500
"""Characters of a reason, and of the problem in a failure."""
ACTIONS_LIMIT = 20
"""Actions that a rule may return for one event."""
NOBODY = 0xFFFF_FFFF
"""The rule number in the note while no rule is running."""

Note = Callable[[int, int], None]

_ACTION: Unpacker[AnyAction] = Unpacker(AnyAction)
CHOICES = {"destination": "folder", "expected_disposition": "disposition", "pattern_type": "pattern type"}
"""Words for fields that take one of a few values."""


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JSON record to judge, and the facts that have been fetched for it, as JSON too."""

    key: str
    kind: str
    raw: bytes
    facts: dict[str, bytes] = field(default_factory=dict)
    unread: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By fact: the fields that could not be read when it was fetched."""
    mended: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By fact: the fields of which the text is not as it came."""


class Failure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule that failed on an event, or was spared it, and why."""

    rule: str
    fingerprint: str
    problem: str
    file: str = ""
    line: int = 0
    spared: bool = False
    """It was not asked, because it had stopped the rule process on others."""


class Skip(Struct, frozen=True, kw_only=True):
    """A call that stopped the rule process and is not made again. Its failure is reported in its place."""

    key: str
    failure: Failure


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the rules said about one event, which is judged again for those that asked."""

    key: str
    proposals: tuple[Proposal, ...] = ()
    asks: tuple[Ask, ...] = ()
    failed: tuple[Failure, ...] = ()
    unreadable: str = ""

    @property
    def asked(self) -> tuple[str, ...]:
        """The facts to fetch before the event is judged again."""
        return tuple(sorted({fact for ask in self.asks for fact in ask.facts}))

    @property
    def is_nothing(self) -> bool:
        """Whether no rule said anything, as about most events."""
        return not (self.proposals or self.asks or self.failed or self.unreadable)


Answer = Proposal | Failure | Ask
"""What one rule says, unless it wants nothing done."""


Facts = Mapping[str, Noun]


class LoadedRule(Struct, frozen=True):
    """A rule and the function behind it."""

    info: RuleInfo
    function: Callable[..., Any]
    number: int = 0
    outcomes: tuple[str, ...] = ()
    """By example: how the rule contradicts it, empty when it does not."""


class Bundle:
    """Checked rules, and which of them an event triggers."""

    def __init__(self, rules: Sequence[LoadedRule], fingerprint: str) -> None:
        self.rules = tuple(replace(rule, number=number) for number, rule in enumerate(rules))
        self.fingerprint = fingerprint
        self._named = {pair: self._find(*pair) for pair in product(TRIGGERS, DISPOSITIONS)}

    def rules_for(self, kind: str, disposition: str) -> tuple[LoadedRule, ...]:
        """Return the rules that such an event triggers; an unknown disposition counts as a detection."""
        known = self._named.get((kind, disposition))
        return self._find(kind, disposition) if known is None else known

    def _find(self, kind: str, disposition: str) -> tuple[LoadedRule, ...]:
        return tuple(rule for rule in self.rules if is_triggered(rule.info, kind, disposition))


def is_triggered(rule: RuleInfo, kind: str, disposition: str) -> bool:
    """Return whether such an event triggers a rule; without ``dispositions`` all mail that is not clean does."""
    if rule.mode == OFF or rule.trigger != kind:
        return False
    if rule.dispositions is None:
        return kind != "Message" or disposition != "NONE"
    return disposition in rule.dispositions


def is_heard(rules: Iterable[RuleInfo], kind: str, disposition: str) -> bool:
    """Return whether such an event triggers any of these rules."""
    return any(is_triggered(rule, kind, disposition) for rule in rules)


class FactNeeded(BaseException):
    """A rule used a fact that has not been fetched. No Exception, so that no ``except Exception`` swallows it."""


class StandIn:
    """Stands for a fact that has not been fetched: any use of it records the need, and stops the rule."""

    def __init__(self, fact: str, touched: list[str]) -> None:
        object.__setattr__(self, "_asked_for", (fact, touched))


def _request_fact(unasked: StandIn, *_: object) -> NoReturn:
    """Record that the fact is needed, and stop the rule."""
    fact, touched = object.__getattribute__(unasked, "_asked_for")
    touched.append(fact)
    raise FactNeeded(fact)


for _name in (
    *("getattribute", "setattr", "delattr", "bool", "iter", "next", "len", "contains", "getitem", "call", "index"),
    *("eq", "ne", "lt", "le", "gt", "ge", "hash", "str", "repr", "format", "bytes", "int", "float", "reversed", "dir"),
    *("add", "radd", "or", "ror", "and", "rand", "sub", "rsub", "mul", "rmul", "mod", "rmod", "enter", "exit"),
):
    setattr(StandIn, f"__{_name}__", _request_fact)


def judge(
    bundle: Bundle, events: Sequence[Event], *, skip: Sequence[Skip] = (), note: Note = lambda _event, _rule: None
) -> list[Said]:
    """Return what the rules say, one answer per event in the order given.

    ``note`` is called with (event number, rule number) before each call of a rule. MemoryError is not caught: the
    process cannot go on after it.
    """
    skipped = {(one.key, one.failure.rule): one.failure for one in skip}
    answers = [_judge_event(bundle, number, event, skipped, note) for number, event in enumerate(events)]
    note(len(events), NOBODY)
    return answers


def _judge_event(
    bundle: Bundle, number: int, event: Event, skipped: Mapping[tuple[str, str], Failure], note: Note
) -> Said:
    """Run every rule that this event triggers."""
    note(number, NOBODY)
    try:
        noun = read_short(TRIGGERS[event.kind], event.raw)
        facts = {name: _read_fact(event, name) for name in event.facts}
    except Unreadable as problem:
        return Said(key=event.key, unreadable=describe_error(problem))
    said: list[Answer] = []
    for rule in bundle.rules_for(event.kind, getattr(noun, DISPOSITION_OF.get(event.kind, ""), "")):
        if known := skipped.get((event.key, rule.info.name)):
            said.append(known)
            continue
        note(number, rule.number)
        if answer := call_rule(rule, noun, facts):
            said.append(answer)
    return _sort_answers(event.key, said) if said else Said(key=event.key)


def _sort_answers(key: str, said: Sequence[Answer]) -> Said:
    """Sort the answers of rules into proposals, needed facts and failures."""
    return Said(
        key=key,
        proposals=tuple(one for one in said if isinstance(one, Proposal)),
        asks=tuple(one for one in said if isinstance(one, Ask)),
        failed=tuple(one for one in said if isinstance(one, Failure)),
    )


def read_short(kind: type[Noun], raw: bytes) -> Noun:
    """Read a record and cut its long strings; raise Unreadable."""
    noun = read(kind, raw)
    if len(raw) <= TEXT_LIMIT:  # a short record has no long string
        return noun
    return shorten(noun)


def _read_fact(event: Event, name: str) -> Noun:
    """Read a fact of an event, and name what was wrong with it before it was written as JSON."""
    noun = read_short(FACTS[name], event.facts[name])
    unread, mended = event.unread.get(name, ()), event.mended.get(name, ())
    return mark(noun, (*noun.unread, *unread), (*noun.mended, *mended))


def call_rule(rule: LoadedRule, noun: Noun, facts: Facts) -> Answer | None:
    """Call one rule on an event; None when it wants nothing done."""
    info, touched, watch = rule.info, list[str](), Watch()
    given = [_show(facts[name], watch, name) if name in facts else StandIn(name, touched) for name in info.facts]
    problem: BaseException | None = None
    actions: tuple[AnyAction, ...] = ()
    try:
        actions = validate_actions(info, to_actions(rule.function(_show(noun, watch), *given)))
    except MemoryError:
        raise
    except (Exception, SystemExit, FactNeeded, FieldUnread) as raised:  # noqa: BLE001 (a rule may raise anything)
        problem = raised
    # A bare `except:` in a rule can swallow what stops it, so what was touched counts, whatever the rule returned.
    if touched or watch.touched:
        return _ask(info, touched, watch.touched)
    if problem:
        return _make_failure(info, problem)
    return _propose(info, actions) if actions else None


def _ask(info: RuleInfo, facts: Sequence[str], unread: Sequence[str]) -> Ask:
    return Ask(
        rule=info.name,
        actions=info.actions,
        mode=info.mode,
        priority=info.priority,
        facts=tuple(dict.fromkeys(facts)),
        unread=tuple(dict.fromkeys(unread)),
    )


def _show(noun: Noun, watch: Watch, fact: str = "") -> Noun:
    """Return a record as a rule may read it."""
    return guard(noun, watch, f"{fact}." if fact else "") if noun.unread else noun


def _propose(info: RuleInfo, actions: tuple[AnyAction, ...]) -> Proposal:
    return Proposal(
        rule=info.name, actions=actions, mode=info.mode, priority=info.priority, fingerprint=info.fingerprint
    )


def validate_actions(info: RuleInfo, actions: tuple[AnyAction, ...]) -> tuple[AnyAction, ...]:
    """Return the actions, each with a reason; raise TypeError for those that the rule or the API does not allow.

    Every action passes here: mypy checks what is written in a rule, this checks what the rule computed.
    """
    if len(actions) > ACTIONS_LIMIT:
        raise TypeError(f"a rule may return {ACTIONS_LIMIT} actions at most, not {len(actions)}")
    for action in actions:
        if (name := type(action).__name__) not in info.actions:
            raise TypeError(f"{name} is not in the rule's return type, which allows {join_choices(info.actions)}")
    return tuple(_check_values(replace(one, because=(one.because or info.doc)[:REASON_LIMIT])) for one in actions)


def _check_values(action: AnyAction) -> AnyAction:
    """Decode an action again, which checks its values; raise TypeError for one that the API does not take."""
    try:
        return _ACTION.decode(encode(action))
    except ValidationError as problem:
        raise TypeError(f"{describe_action(action)}: {_describe_choice(action) or problem}") from problem


def _describe_choice(action: AnyAction) -> str:
    """Say what a field takes when its value is none of its choices; empty when all values are."""
    for one in fields(action):
        choices = get_args(one.type) if get_origin(one.type) is Literal else ()
        if choices and getattr(action, one.name) not in choices:
            return f"no such {CHOICES.get(one.name, one.name)}; use {join_choices(choices)}"
    return ""


def _make_failure(info: RuleInfo, problem: BaseException) -> Failure:
    """Describe an error, and the line in the rule's folder where it happened."""
    file, line = locate(problem.__traceback__, info.file) or (info.file, info.line)
    return Failure(rule=info.name, fingerprint=info.fingerprint, problem=describe_error(problem), file=file, line=line)


def locate(trace: TracebackType | None, beside: str) -> tuple[str, int] | None:
    """Return the innermost line of a traceback that is in the folder of this rule file."""
    folder, found = beside.rpartition("/")[0], None
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if file.rpartition("/")[0] == folder:
            found = file, trace.tb_lineno
        trace = trace.tb_next
    return found


def describe_error(problem: BaseException) -> str:
    """Return an error as one printable line of limited length; its text may come from an attacker's mail."""
    try:
        text = str(problem)
    except (Exception, FieldUnread) as worse:  # noqa: BLE001 (the rule's author may have written its __str__)
        text = f"(its text cannot be read: {type(worse).__name__})"
    return escape(f"{type(problem).__name__}: {text}{_suggest_field(problem)}", REASON_LIMIT)


def _suggest_field(problem: BaseException) -> str:
    """Name the field that was meant, when a rule has misspelled one of an event or a fact."""
    if not isinstance(problem, AttributeError) or not isinstance(problem.obj, Noun):
        return ""
    names = [name for name in dir(type(problem.obj)) if not name.startswith("_")]
    near = get_close_matches((problem.name or "")[:LONGEST_NAME], names, n=1)
    return f"; did you mean {near[0]}?" if near else ""
