"""Rules: the decorators mark a function and return it unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker import ENFORCE, OBSERVE, OFF, Message, Move, Notify, example, limit, per_hour, rule, sample
from worker.language.models import DISPOSITIONS
from worker.language.rules import Example, Limit, Mode, parse_duration, read_examples, read_mark, to_actions


def plain(message: Message) -> Move | None:
    return Move("Inbox") if message.subject else None


def test_a_rule_is_the_function_it_was() -> None:
    def mine(_message: Message) -> None: ...

    assert rule(mine) is mine
    assert rule(mode=ENFORCE)(mine) is mine
    assert example(sample.message(), gives=None)(mine) is mine


def test_a_rule_observes_a_hundred_an_hour_unless_it_says_otherwise() -> None:
    @rule
    def silent(_message: Message) -> None: ...

    @rule(mode=ENFORCE, limit=limit(5, per="1d", by="sender"), priority=7, dispositions=["SPAM"])
    def loud(_message: Message) -> None: ...

    first, second = read_mark(silent), read_mark(loud)
    assert first is not None
    assert second is not None
    assert (first.mode, first.limit, first.priority, first.dispositions) == (OBSERVE, Limit(100), 0, None)
    assert (second.mode, second.limit, second.priority) == (ENFORCE, Limit(5, 86400.0, "sender"), 7)
    assert second.dispositions == ("SPAM",)


def test_what_is_not_marked_is_no_rule() -> None:
    assert read_mark(plain) is None
    assert read_mark(3) is None
    assert read_examples(3) == ()


def test_examples_are_kept_from_top_to_bottom() -> None:
    one, two = sample.message(subject="one"), sample.message(subject="two")

    @example(one, gives=Move("Inbox"))
    @example(two, gives=(Move("Inbox"), Notify("soc")))
    def mine(_message: Message) -> Move | None: ...

    assert read_examples(mine) == (
        Example((one,), (Move("Inbox"),)),
        Example((two,), (Move("Inbox"), Notify("soc"))),
    )


def test_a_sentence_is_actions_and_nothing_else() -> None:
    assert to_actions(None) == ()
    assert to_actions(Move("Inbox")) == (Move("Inbox"),)
    for wrong in ("Inbox", [Move("Inbox")], (Move("Inbox"), None)):
        with pytest.raises(TypeError, match="a rule returns actions or None"):
            to_actions(wrong)


@each("alone", [*DISPOSITIONS, "SPAMM"])
def test_a_forgotten_comma_is_what_a_disposition_alone_is_told(alone: str) -> None:
    with pytest.raises(TypeError, match=rf'^dispositions takes a tuple: \("{alone}",\)$'):
        rule(dispositions=alone)  # type: ignore[arg-type]


def test_an_unknown_disposition_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"unknown disposition 'SPAMM'; use MALICIOUS, MALICIOUS-BEC, .* UNKNOWN or NONE"
    ):
        rule(dispositions=["SPAMM"])  # type: ignore[list-item]


def test_modes_go_from_off_to_enforce() -> None:
    assert sorted(Mode) == [OFF, OBSERVE, Mode.APPROVE, ENFORCE]


@given(st.integers(0, 10**6), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_durations_are_read_as_seconds(number: int, unit: tuple[str, float]) -> None:
    assert parse_duration(f"{number}{unit[0]}") == pytest.approx(number * unit[1])


@each("wrong", ["", "1", "h", "1 week", "-1h", "1h30m", "1e3s"])
def test_what_is_no_duration_is_told(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a number and"):
        parse_duration(wrong)


def test_a_negative_limit_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="a limit must be 0 or more, not -1"):
        per_hour(-1)
