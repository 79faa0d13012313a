"""Texts that are no JSON are mended where they lie, and named; what is whole stays as it is."""

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker import Message, sample
from worker.language.mending import decode, heal, mend
from worker.language.reading import Unreadable, read

PLAIN = msgspec.json.encode(sample.message(subject="XX", threat_categories=("YY", "b")))
DAMAGED = {
    rb"a\ud83d": "a\ufffd",
    rb"\uDE00b": "\ufffdb",
    rb"\ud83d\ud83d\ude00": "\ufffd\U0001f600",
    rb"\ud83d\u0041": "\ufffdA",
    b"\xff\xfe!": "\ufffd\ufffd!",
    b"\xed\xa0\xbd": "\ufffd",
    b"a\x01\nb": "a\x01\nb",
}
WHOLE = {rb"\ud83d\ude00": "\U0001f600", rb"\\ud83d": r"\ud83d", rb"\n\u0001": "\n\x01", b"\xc3\xbc": "ü"}


@each(("given", "shown"), [*DAMAGED.items(), *WHOLE.items()])
def test_a_damaged_text_is_shown_as_far_as_it_is_one_and_named(given: bytes, shown: str) -> None:
    message = read(Message, PLAIN.replace(b"XX", given))
    assert (message.subject, message.mended) == (shown, ("subject",) if given in DAMAGED else ())
    assert message.unread == ()


def test_everything_that_is_damaged_is_named_and_nothing_else() -> None:
    message = read(Message, PLAIN.replace(b"XX", b"\x02").replace(b"YY", rb"\ud83d"))
    assert set(message.mended) == {"subject", "threat_categories"}
    assert message.threat_categories == ("\ufffd", "b")


def test_a_damaged_id_names_nothing() -> None:
    with pytest.raises(Unreadable, match="its id cannot be read: it is damaged"):
        read(Message, PLAIN.replace(b'"id":"', b'"id":"\xff', 1))


JSON: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@pytest.mark.slow
@given(JSON)
def test_json_is_left_as_it_is(value: object) -> None:
    raw = msgspec.json.encode(value)
    assert (mend(raw), decode(raw), heal(value)) == (raw, value, (value, False))
    pretty = msgspec.json.format(raw)
    assert mend(pretty) == pretty


@given(st.lists(st.sampled_from([*DAMAGED, *WHOLE, b"x", rb"\"", rb"\\"])))
def test_mended_texts_break_nothing_around_them_and_are_json_again(parts: list[bytes]) -> None:
    text = b'"' + b"".join(parts) + b'"'
    body = b'{"a":' + text + b', "b": [1]}'
    assert msgspec.json.decode(mend(body), type=dict[str, msgspec.Raw])["b"] == msgspec.Raw(b"[1]")
    whole, _ = heal(decode(body))
    msgspec.json.encode(whole)


@each("given", [b'{"a": NaN}', b'{"a": "\\x41"}', b'{"a": \xff}', b"[" * 9000, b""])
def test_what_is_broken_otherwise_is_not_mended(given: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        decode(given)


@pytest.mark.parametrize("end", [b"", b"\\"], ids=["cut", "cut in an escape"])
def test_a_text_of_many_quotation_marks_that_does_not_end_is_passed_over_at_once(end: bytes) -> None:
    cut = b'{"subject":"' + rb"\"" * 200_000 + end
    began = time.process_time()
    assert mend(cut) == cut
    assert time.process_time() - began < 5
