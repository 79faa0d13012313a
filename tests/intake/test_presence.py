"""Presence: a field that all records had and none has any more is missed; one that need not be there is not.

The fields are those of the types, so that a new one is tried without anybody thinking of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.cells import each
from worker import sample
from worker.intake.presence import MISSED, USUAL, Extent, Presence, Shape, describe_shape
from worker.language.base import Noun
from worker.language.models import TRIGGERS

BEGIN, PACE = 1_790_000_000.0, 10.0
SAMPLES: Mapping[str, Noun] = {
    "Message": sample.message(from_name="Ada"),
    "Report": sample.report(),
    "Submission": sample.submission(),
    "BlockedSender": sample.blocked_sender(),
    "AllowPolicy": sample.allow_policy(),
}
Json = dict[str, Any]


def list_fields(shape: Shape) -> Iterator[str]:
    """Yield the paths of all fields, as the API writes them."""
    yield from shape.written.values()
    for held in shape.held.values():
        yield from list_fields(held)


def fill(shape: Shape) -> Json:
    """Return a record in which every documented field is filled."""
    names = {path: written.rpartition(".")[2] for path, written in shape.written.items()}
    return {name: fill(shape.held[path]) if path in shape.held else "x" for path, name in names.items()}


EVERY = [(kind, path) for kind in TRIGGERS for path in list_fields(describe_shape(TRIGGERS[kind]))]


def change(record: Json, path: str, how: str) -> Json:
    """Return a record of which one field is another."""
    name, _, inner = path.partition(".")
    if inner:
        return record | {name: change(record[name], inner, how)}
    rest = {one: value for one, value in record.items() if one != name}
    return rest | {"renamed": {name + "_new": record[name]}, "null": {name: None}, "absent": {}}[how]


class Feed:
    """A source that brings a record every ten seconds."""

    def __init__(self, kind: str) -> None:
        self.presence, self.now = Presence("messages", kind), BEGIN
        self.whole = fill(describe_shape(TRIGGERS[kind]))

    def bring(self, record: Json, times: int = 1) -> None:
        """Bring a record so many times, on one page."""
        begins, self.now = self.now + PACE, self.now + times * PACE
        self.presence.note([record] * times, Extent(begins, self.now))

    @property
    def lost(self) -> list[str]:
        """What has gone."""
        return [loss.written for loss in self.presence.find_losses(self.now)]


def feed_of(kind: str) -> Feed:
    """Return a source of which all fields are known."""
    feed = Feed(kind)
    feed.bring(feed.whole, USUAL)
    return feed


@each("kind", TRIGGERS)
@each("how", ["renamed", "absent", "null"])
def test_a_field_that_has_gone_from_all_records_is_missed_until_it_is_back(kind: str, how: str) -> None:
    silent = []
    for path in list_fields(describe_shape(TRIGGERS[kind])):
        feed = feed_of(kind)
        feed.bring(change(feed.whole, path, how), MISSED - 1)
        before = feed.lost
        feed.bring(change(feed.whole, path, how))
        gone = feed.lost
        feed.bring(feed.whole)
        silent += [] if (before, gone, feed.lost) == ([], [path], []) else [path]
    assert silent == []


@each("kind", TRIGGERS)
def test_a_field_that_one_record_in_a_thousand_lacks_is_watched_and_not_missed(kind: str) -> None:
    wrong = []
    for path in list_fields(describe_shape(TRIGGERS[kind])):
        feed = feed_of(kind)
        for _ in range(3):
            feed.bring(change(feed.whole, path, "absent"))
            feed.bring(feed.whole, 99)
        calm = feed.lost
        feed.bring(change(feed.whole, path, "renamed"), MISSED)
        wrong += [] if (calm, feed.lost) == ([], [path]) else [path]
    assert wrong == []
