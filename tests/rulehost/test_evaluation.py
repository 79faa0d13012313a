"""Evaluation: which rules an event triggers, what they may return, and how they get facts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from tests.cells import each
from tests.rule_files import mail, rule_files
from worker import Detection, Keep, Move, Notify, sample
from worker.language.base import CUT, TEXT_LIMIT
from worker.language.rules import OBSERVE, Ask, Limit, RuleInfo
from worker.rulehost.evaluation import (
    ACTIONS_LIMIT,
    NOBODY,
    REASON_LIMIT,
    Bundle,
    Event,
    FactNeeded,
    Failure,
    LoadedRule,
    Said,
    Skip,
    StandIn,
    describe_error,
    judge,
    validate_actions,
)
from worker.rulehost.loader import load

SPEAKS = '''
    @rule{mark}
    def {name}({noun}) -> Notify | None:
        """Say so."""
        return Notify("soc")
'''
ASKS = '''
    @rule
    def asks(message: Message, detection: Detection) -> Move | None:
        """Look at the links."""
        {does}
        return Move("JunkEmail")
'''


def said(folder: Path, *events: Event, **files: str) -> list[Said]:
    """Judge events with the rules of these files."""
    return judge(load(rule_files(folder, **files)), events)


def speaking(name: str, noun: str = "message: Message", mark: str = "") -> str:
    """Write a rule that acts on every event that triggers it."""
    return SPEAKS.format(name=name, noun=noun, mark=mark)


def info(*actions: str) -> RuleInfo:
    """Describe a rule that may return these actions."""
    return RuleInfo(
        name="x", file="rules/x.py", line=1, doc="Because.", trigger="Message", facts=(), actions=actions, mode=OBSERVE,
        limit=Limit(1), priority=0, dispositions=None, fingerprint="0" * 12,
    )  # fmt: skip


def heard_by(folder: Path, event: Event) -> list[str]:
    """Name the rules that an event triggers, of five with different dispositions."""
    files = {
        "all": speaking("every_detection"),
        "clean": speaking("clean", mark="(dispositions=['NONE'])"),
        "spam": speaking("spam", mark="(dispositions=['SPAM', 'BULK'])"),
        "off": speaking("off", mark="(mode=OFF)"),
        "reports": speaking("malicious_reports", "report: Report", "(dispositions=['MALICIOUS'])")
        + speaking("every_report", "report: Report"),
    }
    return sorted(one.rule for one in said(folder, event, **files)[0].proposals)


@pytest.mark.parametrize(
    ("kind", "told_as", "names"),
    [
        ("Message", {"id": "a", "final_disposition": "SPAM"}, ["every_detection", "spam"]),
        ("Message", {"id": "a", "final_disposition": "MALICIOUS"}, ["every_detection"]),
        ("Message", {"id": "a", "final_disposition": "NEVER HEARD OF"}, ["every_detection"]),
        ("Message", {"id": "a", "final_disposition": "NONE"}, ["clean"]),
        ("Message", {"id": "a", "final_disposition": None}, ["clean"]),
        ("Report", {"id": 1, "disposition": "MALICIOUS"}, ["every_report", "malicious_reports"]),
        ("Report", {"id": 1, "disposition": "NONE"}, ["every_report"]),
    ],
)
def test_a_rule_hears_what_its_header_names(
    tmp_path: Path, kind: str, told_as: dict[str, object], names: list[str]
) -> None:
    assert heard_by(tmp_path, Event(key="1", kind=kind, raw=encode(told_as))) == names


def test_a_rule_that_touches_an_unasked_fact_asks_and_speaks_once_it_is_there(tmp_path: Path) -> None:
    files = {"asks": ASKS.format(does="if not detection.links: return None"), "other": speaking("other")}
    link = encode({"links": [{"href": "https://pay.example"}]})
    unasked, silent, spoken = said(
        tmp_path, mail("1"), mail("2", {"Detection": b"{}"}), mail("3", {"Detection": link}), **files
    )
    assert unasked.asked == ("Detection",)
    assert [one.rule for one in unasked.proposals] == ["other"]
    assert silent.asked == ()
    assert [one.rule for one in silent.proposals] == ["other"]
    assert [one.rule for one in spoken.proposals] == ["asks", "other"]


def test_a_fact_that_is_not_touched_is_not_asked_for(tmp_path: Path) -> None:
    (only,) = said(tmp_path, mail(), asks=ASKS.format(does="unused = detection"))
    assert only.asked == ()
    assert only.proposals[0].actions == (Move("JunkEmail"),)


@pytest.mark.parametrize("handler", ["except Exception:", "except BaseException:", "except:"])
def test_a_rule_cannot_swallow_the_question(tmp_path: Path, handler: str) -> None:
    does = f"try: return Move('Inbox') if detection.links else None\n        {handler} return Move('DeletedItems')"
    (only,) = said(tmp_path, mail(), asks=ASKS.format(does=does))
    assert only == Said(key="1", asks=(Ask(rule="asks", actions=("Move",), facts=("Detection",)),))


TOUCHES: tuple[Callable[..., object], ...] = (
    bool, iter, len, str, repr, hash, bytes, int, float, list, dir, reversed, next, vars,
    lambda fact: fact.links, lambda fact: fact[0], lambda fact: "x" in fact, lambda fact: fact == fact,  # noqa: PLR0124
    lambda fact: fact != 1, lambda fact: fact < 1, lambda fact: fact >= 1, lambda fact: f"{fact:>3}",
    lambda fact: fact(), lambda fact: fact + 1, lambda fact: 1 + fact, lambda fact: "%s" % fact,  # noqa: UP031
    lambda fact: isinstance(fact, Detection), lambda fact: [1][fact], lambda fact: setattr(fact, "links", 1),
    lambda fact: {fact},
)  # fmt: skip


@each("touch", TOUCHES)
def test_whatever_is_done_with_a_stand_in_asks(touch: Callable[..., object]) -> None:
    touched: list[str] = []
    with pytest.raises(FactNeeded):
        touch(StandIn("Detection", touched))
    assert touched == ["Detection"]
    assert not issubclass(FactNeeded, Exception)


def test_an_error_says_what_and_where_and_the_others_are_heard(tmp_path: Path) -> None:
    helper = "def boom(text: str) -> None:\n    raise ValueError(text)\n"
    rule_files(tmp_path, _helper=helper)
    failing = "from ._helper import boom\n" + ASKS.format(does="boom(message.subject)").replace("\n    ", "\n")
    failed = said(tmp_path, mail(subject="a\nb\u202e"), failing=failing, other=speaking("other"))[0]
    assert [one.rule for one in failed.proposals] == ["other"]
    (failure,) = failed.failed
    assert failure.problem == "ValueError: a\\u000Ab\\u202E"
    assert (failure.rule, failure.file, failure.line) == ("asks", f"{tmp_path}/_helper.py", 3)


@pytest.mark.parametrize(
    ("field", "meant"),
    [("final_dispositon", "; did you mean final_disposition?"), ("x" * 90, ""), ("_keyz", "")],
)
def test_a_misspelled_field_is_named_with_the_nearest_one(field: str, meant: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(sample.message(), field)
    assert describe_error(caught.value).endswith(f"'{field}'{meant}")
    assert "did you mean" not in describe_error(AttributeError("no field"))


def test_the_text_of_an_error_may_be_broken_itself() -> None:
    class RudeError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe_error(RudeError()) == "RudeError: (its text cannot be read: RuntimeError)"
    assert len(describe_error(ValueError("x" * 10_000))) == REASON_LIMIT


@pytest.mark.parametrize(
    "raw", [b"", b"[", b"{}", b'{"id": []}', b'{"id": "\xff"}', b'{"id": "x", "is_quarantined": 7}', b"<html>"]
)
def test_a_record_that_does_not_fit_costs_only_itself(tmp_path: Path, raw: bytes) -> None:
    broken, whole = said(tmp_path, Event(key="1", kind="Message", raw=raw), mail("2"), x=speaking("x"))
    assert broken.unreadable
    assert broken.proposals == ()
    assert len(whole.proposals) == 1


def test_long_strings_are_cut_before_a_rule_sees_them(tmp_path: Path) -> None:
    shows = ASKS.format(does="if True: return Move('Inbox', because=str(len(message.subject)) + message.subject[-30:])")
    (only,) = said(tmp_path, mail(subject="x" * 5_000_000), shows=shows)
    assert only.proposals[0].actions[0].because.endswith(CUT)
    assert only.proposals[0].actions[0].because.startswith(str(TEXT_LIMIT + len(CUT)))


def test_a_skipped_call_is_a_failure_where_the_call_would_be(tmp_path: Path) -> None:
    bundle = load(rule_files(tmp_path, x=speaking("x", mark="(dispositions=['SPAM'])"), y=speaking("y")))
    failure = Failure(rule="x", fingerprint="0", problem="it hung")
    skip = [Skip(key="1", failure=failure), Skip(key="2", failure=failure)]
    first, deaf, other = judge(bundle, [mail("1"), mail("2", final_disposition="BULK"), mail("3")], skip=skip)
    assert first.failed == (failure,)
    assert [one.rule for one in first.proposals] == ["y"]
    assert deaf.failed == ()
    assert [one.rule for one in other.proposals] == ["x", "y"]


def test_each_call_is_noted_before_it_is_made(tmp_path: Path) -> None:
    bundle = load(rule_files(tmp_path, x=speaking("x"), y=speaking("y", mark="(dispositions=['SPAM'])")))
    notes: list[tuple[int, int]] = []
    judge(
        bundle, [mail("1"), mail("2", final_disposition="BULK")], note=lambda event, rule: notes.append((event, rule))
    )
    assert notes == [(0, NOBODY), (0, 0), (0, 1), (1, NOBODY), (1, 0), (2, NOBODY)]


def test_running_out_of_memory_is_not_one_rules_failure(tmp_path: Path) -> None:
    with pytest.raises(MemoryError):
        said(tmp_path, mail(), x=ASKS.format(does="raise MemoryError"))


def test_the_docstring_is_the_reason_when_none_is_given() -> None:
    (given_one, by_default) = validate_actions(
        info("Move", "Notify"), (Move("Inbox", because="x" * 999), Notify("soc"))
    )
    assert given_one.because == "x" * REASON_LIMIT
    assert by_default.because == "Because."


FOLDERS = (
    r'^Move\("Junk"\): no such folder; '
    r"use Inbox, JunkEmail, DeletedItems, RecoverableItemsDeletions or RecoverableItemsPurges$"
)


@pytest.mark.parametrize(
    ("actions", "problem"),
    [
        ((Keep(),), "Keep is not in the rule's return type, which allows Move or Notify"),
        ((Notify("soc"),) * (ACTIONS_LIMIT + 1), "a rule may return 20 actions at most, not 21"),
        ((Notify("../etc"),), r'^Notify\("\.\./etc"\): Expected `str` matching regex'),
        ((Move("Junk"),), FOLDERS),  # type: ignore[arg-type]
    ],
)
def test_actions_beyond_the_return_type_or_the_api_are_rejected(
    actions: tuple[Move | Notify | Keep, ...], problem: str
) -> None:
    with pytest.raises(TypeError, match=problem):
        validate_actions(info("Move", "Notify"), actions)


@given(st.lists(st.sampled_from(["SPAM", "NONE", "MALICIOUS"]), max_size=20))
def test_every_event_gets_one_answer_in_its_place(dispositions: list[str]) -> None:
    bundle = Bundle([LoadedRule(info("Notify"), lambda _message: Notify("soc"))], "0")
    events = [mail(str(number), final_disposition=one) for number, one in enumerate(dispositions)]
    answers = judge(bundle, events)
    assert [one.key for one in answers] == [event.key for event in events]
    assert [len(one.proposals) for one in answers] == [one != "NONE" for one in dispositions]


def test_a_field_that_could_not_be_read_stops_only_the_rule_that_uses_it(tmp_path: Path) -> None:
    uses = speaking("uses").replace("return", "message.subject.lower(); return")
    asks_first = speaking("looks").replace("return", "message.unread and message.subject.lower(); return")
    event = Event(key="1", kind="Message", raw=b'{"id": "x", "final_disposition": "SPAM", "subject": [1]}')
    (only,) = said(tmp_path, event, uses=uses, looks=asks_first, other=speaking("other"))
    assert sorted(one.rule for one in only.proposals) == ["looks", "other"]
    assert only.asks == (Ask(rule="uses", actions=("Notify",), unread=("subject",)),)


def test_an_error_that_shows_an_event_with_an_unread_field_is_a_failure_like_any_other(tmp_path: Path) -> None:
    raises = speaking("raises").replace("return", "raise KeyError(message); return")
    event = Event(key="1", kind="Message", raw=b'{"id": "x", "final_disposition": "SPAM", "subject": [1]}')
    (only,) = said(tmp_path, event, raises=raises)
    assert [one.problem for one in only.failed] == ["KeyError: (its text cannot be read: FieldUnread)"]
