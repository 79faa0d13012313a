"""Verdicts: whatever a rule process answers, only what can be true is taken."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import decode, encode

from tests.cells import each
from tests.rule_files import mail
from worker import BlockSender, Move, Notify
from worker.language.rules import APPROVE, OBSERVE, OFF, Ask, Limit, Mode, Proposal, RuleInfo
from worker.rulehost.evaluation import NOBODY, Event, Failure, Said, Skip
from worker.rulehost.fingerprints import identify_bundle, identify_rule
from worker.rulehost.loader import Sources
from worker.rulehost.protocol import ANSWER_LIMIT, Declared, Loaded, Verdicts, pack_verdicts
from worker.rulehost.validation import Problem
from worker.rulehost.verdicts import Untrue, describe_asked, read_loaded, read_verdicts

SOURCES = Sources("/rules", {"moves.py": b"", "asks.py": b"", "_common.py": b""})


def rule(name: str, mode: Mode = OBSERVE, trigger: str = "Message", **more: tuple[str, ...]) -> RuleInfo:
    """Return a rule in a file of its own name."""
    return RuleInfo(
        name=name,
        file=f"/rules/{name}.py",
        line=3,
        doc="x",
        trigger=trigger,
        facts=more.get("facts", ()),
        actions=("Move",),
        mode=mode,
        limit=Limit(10),
        priority=1,
        dispositions=more.get("dispositions"),
        fingerprint=f"print of {name}",
    )


RULES = (
    rule("moves"),
    rule("asks", APPROVE, facts=("Detection", "Now")),
    rule("reports", trigger="Report"),
    rule("off", OFF),
    rule("narrow", dispositions=("MALICIOUS",)),
)
EVENTS = (mail("1"), mail("2", facts={"Now": b"{}"}), mail("3", final_disposition="NONE"))
FAILED = Failure(rule="asks", fingerprint="print of asks", problem="it hung", file="/rules/asks.py", line=3)
ASKED = describe_asked(EVENTS, (Skip(key="2", failure=FAILED),), RULES, SOURCES)
PROPOSAL = Proposal(
    rule="moves", actions=(Move("Inbox", because="so"),), mode=OBSERVE, priority=1, fingerprint="print of moves"
)
ASK = Ask(rule="asks", actions=("Move",), mode=APPROVE, priority=1, facts=("Detection",), unread=("subject",))
FAILURE = Failure(rule="asks", fingerprint="print of asks", problem="KeyError: 1", file="/rules/_common.py", line=7)
TRUE = Verdicts(
    [Said(key="1", proposals=(PROPOSAL,), asks=(ASK,)), Said(key="2", failed=(FAILED,)), Said(key="3")], {0: (3, 0.1)}
)
UNREADABLE = Verdicts([Said(key="1", failed=(FAILURE,)), Said(key="2", unreadable="it is no JSON"), Said(key="3")])


def read(answer: object) -> Verdicts:
    """Read an answer, of which nothing was answered before."""
    return read_verdicts(encode(answer), ASKED, 0)


def change(value: object, path: tuple[str | int, ...], to: object) -> object:
    """Return plain values in which one is another."""
    if not path:
        return to
    place, *rest = path
    if isinstance(value, dict):
        return value | {place: change(value.get(place), tuple(rest), to)}
    assert isinstance(value, list)
    return [change(one, tuple(rest), to) if number == place else one for number, one in enumerate(value)]


def test_what_is_true_is_taken() -> None:
    assert read(TRUE) == TRUE
    assert read(UNREADABLE) == UNREADABLE
    assert read_verdicts(encode(Verdicts([Said(key="3")])), ASKED, 2).said == [Said(key="3")]


P, A, F = ("said", 0, "proposals", 0), ("said", 0, "asks", 0), ("said", 1, "failed", 0)
LONG, HIDDEN = "x" * 501, "\x1b[31m"
SLEEPS = {"reports", "off", "narrow", "nobody", ""}
FORGED: list[tuple[tuple[str | int, ...], object]] = [
    ((), []),
    ((), {}),
    (("said",), []),
    (("said",), None),
    (("said",), [{"key": "1"}] * 501),
    (("said", 0, "key"), "2"),
    (("said", 0, "key"), 1),
    (("said", 0, "unreadable"), "and yet judged"),
    (("said", 2, "unreadable"), LONG),
    (("said", 2, "unreadable"), HIDDEN),
    (("calls",), {5: [1, 0.1]}),
    (("calls",), {NOBODY: [1, 0.1]}),
    (("calls",), {-1: [1, 0.1]}),
    (("calls",), {0: [-1, 0.1]}),
    (("calls",), {0: [4, 0.1]}),
    *((("calls",), {0: [1, seconds]}) for seconds in (-0.1, float("nan"), float("inf"), 1e9, "1")),
    *(((*P, "rule"), name) for name in (SLEEPS | {"asks"})),
    *(((*P, "mode"), mode) for mode in (0, 2, 3, 4, "ENFORCE")),
    ((*P, "priority"), 100),
    ((*P, "fingerprint"), "print of asks"),
    ((*P, "fingerprint"), ""),
    ((*P, "lowered"), "ceiling"),
    ((*P, "actions"), []),
    ((*P, "actions"), [{"type": "Move", "destination": "Inbox"}] * 21),
    ((*P, "actions", 0, "because"), LONG),
    ((*P, "actions", 0, "destination"), "Nowhere"),
    ((*P, "actions", 0), {"type": "BlockSender", "pattern": "gmail.com", "pattern_type": "DOMAIN"}),
    ((*P, "actions", 0), {"type": "AllowSender", "pattern": "a@evil.example", "kind": "trusted", "verify": False}),
    ((*P, "actions", 0), {"type": "Notify", "channel": "soc"}),
    ((*P, "actions", 0), {"type": "Run", "command": "x"}),
    *(((*A, "rule"), name) for name in (SLEEPS | {"moves"})),
    *(((*A, "mode"), mode) for mode in (1, 3)),
    ((*A, "priority"), 2),
    ((*A, "actions"), ["Move", "Keep"]),
    *(((*A, "facts"), facts) for facts in (["History"], ["Nonsense"], ["Detection", "Detection", "Now"])),
    ((*A, "unread"), [LONG]),
    ((*A, "unread"), [HIDDEN]),
    ((*A, "unread"), [""]),
    ((*A, "unread"), ["x"] * 1001),
    *(((*F, "rule"), name) for name in (SLEEPS | {"moves"})),
    ((*F, "problem"), "another one than it was told"),
    (("said", 1, "proposals"), [msgspec.to_builtins(PROPOSAL)] * 2),
    (("said", 2, "proposals"), [msgspec.to_builtins(PROPOSAL)]),
    (("said", 2, "failed"), [msgspec.to_builtins(FAILURE)]),
]


@each(("path", "to"), FORGED)
def test_what_cannot_be_true_is_not(path: tuple[str | int, ...], to: object) -> None:
    with pytest.raises(Untrue):
        read(change(decode(encode(TRUE)), path, to))


def test_a_rule_asks_for_what_it_takes_and_lacks_and_for_nothing_else() -> None:
    lacks = replace_first(TRUE, Said(key="1", asks=(msgspec.structs.replace(ASK, facts=("Now",)),)))
    assert read(lacks) == lacks
    has = Verdicts([Said(key="1"), Said(key="2", asks=(msgspec.structs.replace(ASK, facts=("Now",)),)), Said(key="3")])
    for wrong in (has, replace_first(TRUE, Said(key="1", asks=(msgspec.structs.replace(ASK, facts=(), unread=()),)))):
        with pytest.raises(Untrue):
            read(wrong)


def replace_first(verdicts: Verdicts, said: Said) -> Verdicts:
    """Return an answer in which something else is said about the first event."""
    return Verdicts([said, *verdicts.said[1:]])


def test_a_failure_is_of_the_rule_and_in_its_folder() -> None:
    for wrong in (
        {"fingerprint": "another"},
        {"file": "/etc/passwd"},
        {"file": "/rules/none.py"},
        {"file": ""},
        {"line": -1},
        {"line": 10**9},
        {"problem": LONG},
        {"problem": HIDDEN},
    ):
        with pytest.raises(Untrue):
            read(replace_first(TRUE, Said(key="1", failed=(msgspec.structs.replace(FAILURE, **wrong),))))


def test_a_rule_that_hears_a_disposition_speaks_of_no_other() -> None:
    said = msgspec.structs.replace(PROPOSAL, rule="narrow", fingerprint="print of narrow")
    events = (mail("1"), mail("2", final_disposition="MALICIOUS"))
    asked = describe_asked(events, (), RULES, SOURCES)
    with pytest.raises(Untrue, match="a rule speaks that was not asked"):
        read_verdicts(encode(Verdicts([Said(key="1", proposals=(said,)), Said(key="2")])), asked, 0)
    true = Verdicts([Said(key="1"), Said(key="2", proposals=(said,))])
    assert read_verdicts(encode(true), asked, 0) == true


def test_nobody_judges_what_cannot_be_read() -> None:
    asked = describe_asked((Event(key="1", kind="Message", raw=b"{"),), (), RULES, SOURCES)
    with pytest.raises(Untrue, match="what cannot be read"):
        read_verdicts(encode(Verdicts([Said(key="1", proposals=(PROPOSAL,))])), asked, 0)


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 20))
def test_any_bytes_are_true_or_untrue_and_never_an_error(junk: bytes, at: int, cut: int) -> None:
    frame = encode(TRUE)
    for mutated in (junk, frame[:at] + junk + frame[at + cut :]):
        with suppress(Untrue):
            for said, event in zip(read_verdicts(mutated, ASKED, 0).said, EVENTS, strict=False):
                assert said.key == event.key


def test_a_nest_of_many_floors_is_no_answer() -> None:
    for nest in (b"\x91" * 100_000, b"\x81\xa4said" + b"\x91" * 100_000, b"\x81\xa1x" * 50_000):
        with pytest.raises(Untrue):
            read_verdicts(nest, ASKED, 0)


CODE = {"moves.py": "m", "asks.py": "a", "_common.py": "c"}
OWN = tuple(msgspec.structs.replace(one, fingerprint=identify_rule(one.name, one.name[0], ["c"])) for one in RULES[:2])
LOADED = Loaded(OWN, ((), ("it differs",)), identify_bundle((one.name, one.fingerprint) for one in OWN))


def loading(result: object, *declared: object) -> list[bytes]:
    """Return the frames of a result, and before it what the files declared: by default the rules of the result."""
    plain = decode(encode(result))
    own = (
        [{"file": one.get("file", "").rpartition("/")[2], "rules": [one]} for one in plain["rules"]]
        if isinstance(plain.get("rules"), list)
        else []
    )
    return [encode(one) for one in (*(declared or own), result)]


def test_what_can_be_in_the_files_is_taken() -> None:
    assert read_loaded(loading(LOADED), SOURCES, CODE) == LOADED
    with pytest.raises(Untrue, match="examples of other rules"):
        read_loaded(loading(Loaded(OWN, ((),), LOADED.fingerprint)), SOURCES, CODE)
    with pytest.raises(Untrue, match="the fingerprint of others"):
        read_loaded(loading(msgspec.structs.replace(LOADED, fingerprint=OWN[0].fingerprint)), SOURCES, CODE)
    with pytest.raises(Untrue, match="the fingerprint of other code"):
        read_loaded(loading(LOADED), SOURCES, CODE | {"_common.py": "changed"})
    moves, asks = OWN
    backwards = Declared("asks.py", (asks,)), Declared("moves.py", (moves,))
    assert read_loaded(loading(LOADED, *backwards), SOURCES, CODE) == LOADED
    for declared in (
        (Declared("moves.py", (moves,)),),
        (Declared("moves.py", OWN),),
        (Declared("moves.py", (moves,)), Declared("moves.py", (asks,))),
        (Declared("moves.py", (moves,)), Declared("none.py", (asks,))),
        (Declared("moves.py", (msgspec.structs.replace(moves, mode=APPROVE),)), Declared("asks.py", (asks,))),
    ):
        with pytest.raises(Untrue, match="declare"):
            read_loaded(loading(LOADED, *declared), SOURCES, CODE)
    refused = Loaded(fingerprint=identify_bundle(()), problems=(Problem("no rule", "/rules/moves.py", 1),))
    assert read_loaded(loading(refused), SOURCES, CODE) == refused


def list_impossible() -> Iterator[tuple[str, object]]:
    """Yield fields of a rule with values that no file can give them."""
    yield from (("name", name) for name in ("asks", "", "a b", "x" * 201, "../x"))
    yield from (("file", file) for file in ("/rules/_common.py", "/rules/none.py", "moves.py", "/etc/passwd"))
    yield from (("line", line) for line in (0, -1, 10**9))
    yield from (("trigger", trigger) for trigger in ("", "Mail"))
    yield from (("facts", facts) for facts in (["Weather"], ["Now", "Now"]))
    yield from (("actions", actions) for actions in ([], ["Run"]))
    yield from (("dispositions", some) for some in (["Spam"], [1], "SPAM"))
    yield from (("mode", mode) for mode in (4, -1, "OBSERVE"))
    yield from (("limit", {"count": count, "per": per}) for count, per in ((-1, 60.0), (1, 0.0), (1, 1e9)))
    yield from (("channels", [channel]) for channel in ("", LONG, HIDDEN))
    yield from (("reads", names) for names in (["password"], ["sender", "sender"]))
    yield ("priority", "high")
    yield from (("fingerprint", one) for one in ("", OWN[1].fingerprint, "0" * 32))


@each(("field", "value"), list_impossible())
def test_a_rule_that_no_file_can_have_is_not_taken(field: str, value: object) -> None:
    forged = change(decode(encode(LOADED)), ("rules", 0, field), value)
    with pytest.raises(Untrue):
        read_loaded(loading(forged), SOURCES, CODE)


def test_a_long_answer_comes_in_frames_that_are_read_quickly() -> None:
    because = "y" * 500
    actions = (Move("Inbox", because=because), Notify("soc", because=because), BlockSender("a@b.example"))
    said = [Said(key=str(one), proposals=(msgspec.structs.replace(PROPOSAL, actions=actions),)) for one in range(2000)]
    frames = list(split(pack_verdicts(Verdicts(said, {0: (7, 1.0)}))))
    assert len(frames) > 1
    assert max(map(len, frames)) <= ANSWER_LIMIT
    parts = [decode(frame)["said"] for frame in frames]
    assert [one["key"] for part in parts for one in part] == [one.key for one in said]
    assert [decode(frame).get("calls", {}) for frame in frames][-1] == {0: [7, 1.0]}


def split(frames: bytes) -> Iterator[bytes]:
    """Take frames apart."""
    while frames:
        size = int.from_bytes(frames[:4], "little") & 0x7FFF_FFFF
        yield frames[4 : 4 + size]
        frames = frames[4 + size :]
