"""Long strings are cut wherever they are, and the fields that hold them are named."""

from tests.cells import each
from worker import sample
from worker.language.base import CUT, TEXT_LIMIT, Noun
from worker.language.shortening import shorten

LONG = "x" * (TEXT_LIMIT + 1)


@each(
    ("noun", "paths"),
    [
        (sample.message(subject=LONG, to=("a@b.example", LONG), spf=LONG), ["subject", "to", "validation.spf"]),
        (sample.detection(links=(LONG, "a")), ["links.href"]),
        (sample.report(sender=LONG), ["fields.sender"]),
        (sample.raw(text=LONG, headers={"a": LONG}), ["text", "headers.value"]),
        (sample.submission(subject=LONG), ["subject"]),
    ],
)
def test_long_strings_are_cut_wherever_they_are_and_named(noun: Noun, paths: list[str]) -> None:
    short = shorten(noun)
    assert set(short.mended) >= set(paths)
    assert short.unread == ()
    assert LONG not in repr(short)
    assert "x" * TEXT_LIMIT + CUT in repr(short)


def test_short_nouns_stay_as_they_are() -> None:
    message = sample.message(subject="x" * TEXT_LIMIT)
    assert (shorten(message), shorten(message).mended) == (message, ())


def test_what_was_named_before_stays_named() -> None:
    spoilt = sample.unread(sample.mended(sample.message(subject=LONG), "from_name"), "validation.spf")
    short = shorten(spoilt)
    assert (short.unread, short.mended) == (("validation.spf",), ("from_name", "subject"))


def test_no_cut_text_equals_one_that_came_so() -> None:
    cut = shorten(sample.message(subject=LONG)).subject
    assert shorten(sample.message(subject=cut)).subject == cut
    assert len(cut) > TEXT_LIMIT
