"""The judge: what the rules of a bundle say about a page of events. Pure: no clock, no network, no store, no process.

A rule may ask for facts that the event does not bring. It then gets a stand-in whose first use stops it, and the
event comes back once the fact has been fetched. Rules are pure, so running one twice costs a microsecond.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from types import TracebackType
from typing import Any, NoReturn

from msgspec import MsgspecError, Struct, ValidationError, field
from msgspec.json import Decoder
from msgspec.msgpack import Decoder as Unpacker
from msgspec.msgpack import encode
from msgspec.structs import replace

from worker.escaping import escaped
from worker.language.actions import AnyAction
from worker.language.base import TEXT_LIMIT, Noun, shorten
from worker.language.models import DISPOSITION_OF, DISPOSITIONS, FACTS, TRIGGERS
from worker.language.rules import OFF, Proposal, RuleInfo, to_actions

REASON_LIMIT = 500
"""Characters of a reason, and of the problem a failure states."""
SENTENCE_LIMIT = 20
"""Actions in one answer of one rule."""
NOBODY = 0xFFFF_FFFF
"""The rule number noted while no rule is at work."""

Note = Callable[[int, int], None]
Facts = Mapping[str, Noun]
_ACTIONS = Unpacker(tuple[AnyAction, ...])


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something to be judged: a JSON record, and the facts that have been fetched for it, as JSON too."""

    key: str
    kind: str
    raw: bytes
    facts: dict[str, bytes] = field(default_factory=dict)


class Failure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule that had no say on an event, and why."""

    rule: str
    fingerprint: str
    problem: str
    file: str = ""
    line: int = 0


class Skip(Struct, frozen=True, kw_only=True):
    """A call not to be made again: it stopped the rule host. The failure is reported where the call would be."""

    key: str
    failure: Failure


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that was said about one event. ``asked`` names facts to be fetched before the event is judged again."""

    key: str
    proposals: tuple[Proposal, ...] = ()
    asked: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    unreadable: str = ""


Answer = Proposal | Failure | tuple[str, ...]
"""What one rule says: a proposal, a failure, or the facts it asks for (none: it has nothing to say)."""


class LoadedRule(Struct, frozen=True):
    """A rule and the function behind it."""

    info: RuleInfo
    function: Callable[..., Any]
    number: int = 0


class Bundle:
    """Checked rules, and who hears what."""

    def __init__(self, rules: Sequence[LoadedRule], fingerprint: str) -> None:
        self.rules = tuple(replace(rule, number=number) for number, rule in enumerate(rules))
        self.fingerprint = fingerprint
        self._named = {pair: self._find(*pair) for pair in product(TRIGGERS, DISPOSITIONS)}

    def rules_for(self, kind: str, disposition: str) -> tuple[LoadedRule, ...]:
        """Return the rules that hear this; a disposition nobody knows yet counts as a detection."""
        known = self._named.get((kind, disposition))
        return self._find(kind, disposition) if known is None else known

    def _find(self, kind: str, disposition: str) -> tuple[LoadedRule, ...]:
        """Look through all rules."""
        return tuple(rule for rule in self.rules if _is_triggered(rule.info, kind, disposition))


def _is_triggered(rule: RuleInfo, kind: str, disposition: str) -> bool:
    """Say whether a rule hears this; without dispositions of its own it hears all mail that is not clean."""
    if rule.mode == OFF or rule.trigger != kind:
        return False
    if rule.dispositions is None:
        return kind != "Message" or disposition != "NONE"
    return disposition in rule.dispositions


class FactNeeded(BaseException):
    """A rule touched a fact it was not given; not an Exception, so that no ``except Exception`` swallows it."""


class StandIn:
    """An unasked fact: whatever a rule does with it, the fact is noted as asked for and the rule stops."""

    def __init__(self, fact: str, touched: list[str]) -> None:
        object.__setattr__(self, "_asked_for", (fact, touched))


def _request_fact(unasked: StandIn, *_: object) -> NoReturn:
    """Note the fact and stop the rule."""
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

    ``note`` is told (event number, rule number) before each call. MemoryError passes through: nothing goes on after it.
    """
    skipped = {(one.key, one.failure.rule): one.failure for one in skip}
    answers = [_judge_event(bundle, number, event, skipped, note) for number, event in enumerate(events)]
    note(len(events), NOBODY)
    return answers


def _judge_event(
    bundle: Bundle, number: int, event: Event, skipped: Mapping[tuple[str, str], Failure], note: Note
) -> Said:
    """Let every rule that hears this event speak."""
    note(number, NOBODY)
    try:
        noun = read(TRIGGERS[event.kind], event.raw)
        facts = {name: read(FACTS[name], raw) for name, raw in event.facts.items()}
    except (MsgspecError, UnicodeDecodeError) as problem:
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
    """Sort answers by what they are."""
    return Said(
        key=key,
        proposals=tuple(one for one in said if isinstance(one, Proposal)),
        asked=tuple(sorted({fact for one in said if isinstance(one, tuple) for fact in one})),
        failed=tuple(one for one in said if isinstance(one, Failure)),
    )


@cache
def _decoder(kind: type[Noun]) -> Decoder[Any]:
    """Return the decoder of a noun."""
    return Decoder(kind)


def read(kind: type[Noun], raw: bytes) -> Noun:
    """Decode a record; raises MsgspecError or UnicodeDecodeError. No string is longer than a record of its length."""
    noun: Noun = _decoder(kind).decode(raw)
    return shorten(noun) if len(raw) > TEXT_LIMIT else noun


def call_rule(rule: LoadedRule, noun: Noun, facts: Facts) -> Answer:
    """Put an event to one rule."""
    info, touched = rule.info, list[str]()
    given = [facts[name] if name in facts else StandIn(name, touched) for name in info.facts]
    try:
        answer = to_actions(rule.function(noun, *given))
        # A bare `except:` in a rule can swallow the question; it has been asked all the same.
        actions = () if touched else validate_actions(info, answer)
    except FactNeeded:
        return tuple(touched)
    except MemoryError:
        raise
    except (Exception, SystemExit) as problem:  # noqa: BLE001 (a rule may raise anything; the others are still heard)
        return tuple(touched) or _failure(info, problem)
    if not actions:
        return tuple(touched)
    return Proposal(
        rule=info.name, actions=actions, mode=info.mode, priority=info.priority, fingerprint=info.fingerprint
    )


def validate_actions(info: RuleInfo, actions: tuple[AnyAction, ...]) -> tuple[AnyAction, ...]:
    """Let through only what the signature admits and the API could take, with a reason; raise TypeError otherwise.

    This is the one choke point: mypy sees what is written in a rule, this sees what a rule worked out.
    """
    if len(actions) > SENTENCE_LIMIT:
        raise TypeError(f"{len(actions)} actions in one answer; at most {SENTENCE_LIMIT} make sense")
    for action in actions:
        if type(action).__name__ not in info.actions:
            raise TypeError(
                f"{type(action).__name__} is not in the return type, which admits {', '.join(info.actions)}"
            )
    reasoned = tuple(replace(action, because=(action.because or info.doc)[:REASON_LIMIT]) for action in actions)
    try:
        return _ACTIONS.decode(encode(reasoned))
    except ValidationError as problem:
        raise TypeError(f"an action nobody could carry out: {problem}") from problem


def _failure(info: RuleInfo, problem: BaseException) -> Failure:
    """State what went wrong and in which line of the rule's folder."""
    file, line = locate(problem.__traceback__, info.file) or (info.file, info.line)
    return Failure(rule=info.name, fingerprint=info.fingerprint, problem=describe_error(problem), file=file, line=line)


def locate(trace: TracebackType | None, beside: str) -> tuple[str, int] | None:
    """Return the innermost line of a traceback that lies in the folder of this rule file."""
    folder, found = beside.rpartition("/")[0], None
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if file.rpartition("/")[0] == folder:
            found = file, trace.tb_lineno
        trace = trace.tb_next
    return found


def describe_error(problem: BaseException) -> str:
    """Return an error as one bounded, printable line; its text may come from an attacker's mail."""
    try:
        text = str(problem)
    except Exception as worse:  # noqa: BLE001 (the text is made by code of the rule's author)
        text = f"(its text cannot be had: {type(worse).__name__})"
    return escaped(f"{type(problem).__name__}: {text}", REASON_LIMIT)
