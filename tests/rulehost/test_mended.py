"""A text that was mended or cut is a text: it is named, and no stranger can stop a rule with it."""

import msgspec
from msgspec.inspect import NoneType, StrType, StructType, Type, UnionType, VarTupleType

from tests.cells import each
from worker import Message, Notify, Report, Submission
from worker.language.base import TEXT_LIMIT, Noun
from worker.language.mending import disarm
from worker.language.rules import ENFORCE, Limit, RuleInfo
from worker.rulehost.evaluation import Bundle, Event, LoadedRule, Said, judge, read_short

PLAIN: dict[type[Noun], dict[str, object]] = {
    Message: {"id": "x", "final_disposition": "SPAM"},
    Report: {"id": 1},
    Submission: {"submission_id": "x"},
}
LONG = b"y" * TEXT_LIMIT
DAMAGES = {
    "half a surrogate": rb"\ud83d",
    "no UTF-8": b"\xff",
    "a control character": b"\x01",
    "an overlong one": b"\xc0\x8a",
    "too long": LONG,
}


def list_texts(kind: type[Noun]) -> list[tuple[str, bool]]:
    """Return the fields in which a stranger's text may stand, as they are called in JSON, and which hold many."""
    described = msgspec.inspect.type_info(kind)
    assert isinstance(described, StructType)
    texts = ((one.encode_name, _find_text(one.type)) for one in described.fields)
    return [(name, many) for name, many in texts if many is not None and name not in PLAIN[kind]]


def _find_text(type_: Type) -> bool | None:
    """Tell whether a field holds many texts; None when it holds none."""
    if isinstance(type_, UnionType):
        return next((_find_text(one) for one in type_.types if not isinstance(one, NoneType)), None)
    if isinstance(type_, VarTupleType):
        return None if _find_text(type_.item_type) is None else True
    return False if isinstance(type_, StrType) else None


def damage(kind: type[Noun], name: str, text: bytes, *, many: bool) -> bytes:
    """Return a record with a damaged text in a field."""
    plain = msgspec.json.encode(PLAIN[kind] | {name: ["Ada"] if many else "Ada"})
    return plain.replace(b"Ada", b"Ada" + text)


def hear(kind: type[Noun], raw: bytes) -> Said:
    """Return what rules say that use every field: one as it is, one by name."""
    name = kind.__name__
    info = RuleInfo(
        name="all", file="/r.py", line=1, doc="d", mode=ENFORCE, priority=0, trigger=name, dispositions=None, facts=(),
        actions=("Notify",), limit=Limit(1), fingerprint="f",
    )  # fmt: skip
    rule = LoadedRule(info, lambda event: Notify("soc", because="".join(event.mended)) if repr(event) else None)
    (only,) = judge(Bundle([rule], "0"), [Event(key="1", kind=name, raw=raw)])
    return only


@each("text", DAMAGES.values())
@each("kind", PLAIN)
def test_no_damaged_text_stops_a_rule_that_uses_it(kind: type[Noun], text: bytes) -> None:
    for name, many in list_texts(kind):
        only = hear(kind, damage(kind, name, text, many=many))
        assert (only.asks, only.failed, only.unreadable) == ((), (), "")
        (action,) = only.proposals[0].actions
        assert action.because == {"from": "sender"}.get(name, name)


@each("text", DAMAGES.values())
@each("other", [b"", b"\\n", b"y", LONG.replace(b"y", b"x", 1)[:-4]])
def test_no_damaged_text_equals_a_whole_one(text: bytes, other: bytes) -> None:
    raws = (disarm(damage(Message, "from_name", one, many=False)) for one in (text, other))
    shown, plain = (read_short(Message, raw) for raw in raws)
    assert isinstance(shown, Message)
    assert isinstance(plain, Message)
    assert (shown.from_name == plain.from_name, plain.mended) == (False, ())
