"""Unread fields: they stop the rule that uses them, and no other."""

from collections.abc import Callable
from functools import partial
from operator import eq, ne

import pytest

from tests.cells import each
from worker import Message, sample
from worker.language.models import Detection, Link
from worker.language.unread import FieldUnread, Watch, guard

SPOILT = sample.unread(sample.message(), "subject", "validation.spf")


@pytest.mark.parametrize(("field", "path"), [("subject", "subject"), ("spf", "validation.spf")])
def test_whoever_uses_an_unread_field_is_stopped_and_noted(field: str, path: str) -> None:
    watch = Watch()
    with pytest.raises(FieldUnread):
        getattr(guard(SPOILT, watch), field)
    assert watch.touched == [path]
    assert not issubclass(FieldUnread, Exception)


@each("use", [str, repr, hash, "{}".format, partial(eq, SPOILT), partial(ne, SPOILT)])
def test_whoever_uses_a_record_as_a_whole_is_stopped_like_one_who_uses_its_fields(
    use: Callable[[object], object],
) -> None:
    watch = Watch()
    message = guard(SPOILT, watch)
    for whole, paths in ((message, ["subject", "validation.spf"]), (message.validation, ["validation.spf"])):
        watch.touched.clear()
        with pytest.raises(FieldUnread):
            use(whole)
        assert watch.touched == paths
    assert message.unread
    use(message)


def test_the_other_fields_are_there() -> None:
    watch = Watch()
    message = guard(SPOILT, watch)
    assert (message.sender, message.domain, message.dkim) == ("someone@elsewhere.example", "elsewhere.example", "pass")
    assert (watch.touched, isinstance(message, Message)) == ([], True)


def test_whoever_asks_first_reads_them_as_they_are() -> None:
    watch = Watch()
    message = guard(SPOILT, watch)
    assert message.unread == ("subject", "validation.spf")
    assert (message.subject, message.spf, watch.touched) == ("Hello", "pass", [])


def test_records_in_lists_are_guarded_too() -> None:
    found = guard(sample.unread(Detection(links=(Link(href="a"),)), "links.text"), Watch(), "Detection.")
    assert found.links[0].href == "a"
    with pytest.raises(FieldUnread, match=r"Detection\.links\.text"):
        _ = found.links[0].text


def test_a_record_read_whole_names_nothing() -> None:
    assert sample.message().unread == ()
