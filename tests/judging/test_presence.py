"""Presence: a field that all records had and none has any more is missed; one that need not be there is not.

The fields are those of the types, so that a new one is tried without anybody thinking of it.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from tests.cells import each
from worker.judging.presence import MISSED, OF_A_PAGE, SAVED, USUAL, Presence, Shape, describe_shape
from worker.judging.watches import HEARD, KINDS, LISTS, NAMING, FactWatch, FieldWatch, ListWatch
from worker.ledger.presence import FieldMemory, Track
from worker.ledger.values import Reading, Sight, Thing

BEGIN, PACE = 1_790_000_000.0, 10.0
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


EVERY = [(kind, path) for kind in KINDS for path in list_fields(describe_shape(KINDS[kind]))]


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
        self.presence, self.now = Presence("messages", KINDS[kind]), BEGIN
        self.whole = fill(describe_shape(KINDS[kind]))

    def bring(self, record: Json, times: int = 1, every: float = PACE) -> None:
        """Bring a record so many times."""
        for _ in range(times):
            self.now += every
            self.presence.note(record, self.now)

    @property
    def lost(self) -> list[str]:
        """What has gone."""
        return [loss.written for loss in self.presence.find_losses(self.now)]


def feed_of(kind: str) -> Feed:
    """Return a source of which all fields are known."""
    feed = Feed(kind)
    feed.bring(feed.whole, USUAL)
    return feed


@pytest.mark.slow
@each("kind", KINDS)
@each("how", ["renamed", "absent", "null"])
def test_a_field_that_has_gone_from_all_records_is_missed_until_it_is_back(kind: str, how: str) -> None:
    silent = []
    for path in list_fields(describe_shape(KINDS[kind])):
        feed = feed_of(kind)
        feed.bring(change(feed.whole, path, how), MISSED - 1)
        before = feed.lost
        feed.bring(change(feed.whole, path, how))
        gone = feed.lost
        feed.bring(feed.whole)
        silent += [] if (before, gone, feed.lost) == ([], [path], []) else [path]
    assert silent == []


@pytest.mark.slow
@each("kind", KINDS)
def test_a_field_that_one_record_in_a_thousand_lacks_is_watched_and_not_missed(kind: str) -> None:
    wrong = []
    for path in list_fields(describe_shape(KINDS[kind])):
        feed = feed_of(kind)
        for _ in range(3):
            feed.bring(change(feed.whole, path, "absent"))
            feed.bring(feed.whole, 99)
        calm = feed.lost
        feed.bring(change(feed.whole, path, "renamed"), MISSED)
        wrong += [] if (calm, feed.lost) == ([], [path]) else [path]
    assert wrong == []


def test_one_campaign_that_lacks_a_field_is_no_change_of_the_api() -> None:
    feed = Feed("Message")
    feed.bring(feed.whole, USUAL, every=900)
    feed.bring(change(feed.whole, "from_name", "null"), 300, every=2)
    assert feed.lost == []
    feed.bring(change(feed.whole, "from_name", "null"), MISSED, every=900)
    assert feed.lost == ["from_name"]


@each("how", ["renamed", "absent", "null"])
@each("every", [1.0, 60.0])
def test_what_lacked_a_field_for_too_short_to_be_told_is_judged_again_all_the_same(how: str, every: float) -> None:
    feed = Feed("Message")
    feed.bring(feed.whole, USUAL, every=900)
    last = feed.now
    feed.bring(change(feed.whole, "from_name", how), MISSED, every=every)
    assert (feed.lost, feed.presence.memory.returns) == ([], {})
    feed.bring(feed.whole)
    assert feed.presence.memory.returns == {"from_name": (last, feed.now)}


@each("sound", [1, 20, 3 * USUAL])
def test_what_had_a_field_after_it_was_back_is_not_judged_again_when_it_goes_once_more(sound: int) -> None:
    feed = feed_of("Message")
    feed.bring(change(feed.whole, "from", "renamed"), 10 * MISSED)
    feed.bring(feed.whole)
    back = feed.now
    feed.presence.memory.returns.clear()
    feed.bring(feed.whole, sound)
    last = feed.now
    feed.bring(change(feed.whole, "from", "renamed"), MISSED)
    feed.bring(feed.whole)
    ((start, end),) = feed.presence.memory.returns.values()
    assert (start, end) == (last if sound >= USUAL else back, feed.now)


@pytest.mark.slow
@each("how", ["renamed", "absent", "null"])
@each("every", [0.5, 5.0])
def test_a_field_that_has_gone_is_missed_within_a_minute_although_mail_often_pauses(how: str, every: float) -> None:
    feed = Feed("Message")
    for _ in range(5):
        feed.bring(feed.whole, 25, every=every)
        feed.now += 1200
    feed.bring(feed.whole, 120, every=every)
    feed.bring(change(feed.whole, "from", how), int(60 / every), every=every)
    assert feed.lost == ["from"]


def test_a_field_is_learnt_from_older_records_that_are_read_later() -> None:
    feed = Feed("Message")
    feed.bring(feed.whole, 2)
    feed.now -= USUAL * PACE
    feed.bring(feed.whole, USUAL)
    feed.bring(change(feed.whole, "from", "renamed"), MISSED)
    assert feed.lost == ["from"]


def test_a_field_that_goes_little_by_little_is_missed_when_it_has_gone() -> None:
    feed = feed_of("Message")
    for _ in range(50):
        feed.bring(change(feed.whole, "from", "renamed"))
        feed.bring(feed.whole)
    assert feed.lost == []
    feed.bring(change(feed.whole, "from", "renamed"), MISSED)
    assert feed.lost == ["from"]


@pytest.mark.slow
def test_a_field_that_only_some_have_is_never_missed() -> None:
    feed = Feed("Message")
    for _ in range(20):
        feed.bring(change(feed.whole, "replyto", "absent"), 10)
        feed.bring(feed.whole, 3 * USUAL)
    feed.bring(change(feed.whole, "replyto", "absent"), 10 * MISSED)
    assert feed.lost == []


def test_what_many_lack_by_now_is_expected_for_as_long_as_it_was_usual() -> None:
    feed = feed_of("Message")
    for _ in range(2 * USUAL):
        feed.bring(change(feed.whole, "from", "absent"))
        feed.bring(feed.whole)
    feed.bring(change(feed.whole, "from", "absent"), 10 * MISSED)
    assert feed.lost == []


class Listing:
    """A list of the account with three entries, which is read every five minutes."""

    def __init__(self, kind: str) -> None:
        self.watch, self.now = ListWatch(kind), BEGIN
        self.whole = [fill(describe_shape(KINDS[kind])) | {"id": str(number)} for number in range(3)]

    def read(self, *entries: Json) -> list[tuple[str, bool]]:
        """Read these entries; return what has gone, and whether it is null."""
        self.now += 300
        self.watch.note([Raw(msgspec.json.encode(entry)) for entry in entries], self.now)
        return [(loss.written, loss.is_null) for loss in self.watch.find_losses(self.now)]


@each("kind", LISTS)
@each("how", ["renamed", "absent", "null"])
def test_a_field_that_has_gone_from_a_whole_list_is_missed_at_the_next_read_until_it_is_back(
    kind: str, how: str
) -> None:
    silent = []
    for path in list_fields(describe_shape(KINDS[kind])):
        listing = Listing(kind)
        calm = listing.read(*listing.whole)
        gone = listing.read(*(change(entry, path, how) for entry in listing.whole))
        stays = listing.read(change(listing.whole[0], path, how))
        back = listing.read(*listing.whole)
        found = calm, gone, stays, back
        silent += [] if found == ([], [(path, how == "null")], [(path, how == "null")], []) else [(path, found)]
    assert silent == []


@each("kind", LISTS)
@each("how", ["renamed", "absent", "null"])
def test_a_single_entry_that_does_not_say_whom_it_is_about_is_told_until_it_does(kind: str, how: str) -> None:
    listing = Listing(kind)
    for field in NAMING[kind]:
        listing.read(change(listing.whole[0], field, how), *listing.whole[1:])
        assert listing.watch.unnamed.startswith(f"{LISTS[kind][0]}: entry 0 has no {field}, so nobody knows whom")
        listing.read(*listing.whole)
        assert listing.watch.unnamed == ""


@each("others", [False, True])
def test_a_field_that_people_leave_empty_has_not_gone(others: bool) -> None:  # noqa: FBT001
    listing = Listing("TrustedDomain")
    listing.read(*listing.whole)
    bare = [change(entry, "comments", "null") | {"id": "new" if others else entry["id"]} for entry in listing.whole]
    assert listing.read(*bare[:2], *listing.whole[: not others]) == []
    assert listing.read(*bare) == []


def test_what_was_judged_without_a_fact_or_a_list_is_told_for_as_long_as_that_may_have_been() -> None:
    listing, fact = Listing("TrustedDomain"), FactWatch("Detection")
    track = Track(began=BEGIN - 9000, usual_at=BEGIN, read_at=BEGIN, missed=MISSED, since=BEGIN + 10, last=BEGIN + 50)
    fact.recall({"Detection": FieldMemory(there={"links": track})})
    fact.note([Raw(b'{"links":[]}')], BEGIN + 60, BEGIN + 60)
    assert (fact.list_returns(BEGIN + 119), fact.list_returns(BEGIN + 120)) == (
        {},
        {"links": (BEGIN - HEARD, BEGIN + 120)},
    )
    listing.read(*listing.whole)
    listing.read(change(listing.whole[0], "pattern", "null"))
    listing.read(listing.whole[0])
    (found,) = listing.watch.list_returns(listing.now + 360).items()
    assert found == ("pattern", (listing.now - 600, listing.now + 360))
    listing.watch.forget_returns(["pattern"])
    assert listing.watch.list_returns(listing.now + 360) == {}


def sight(number: int = 1, at: float = BEGIN, verdict: str = "SPAM", **record: object) -> Sight:
    raw = msgspec.json.encode({"id": "a"} | record)
    return Sight(Reading(thing=Thing("Message", at, "a"), state=verdict, raw=raw, verdict=verdict), number)


def looked(*sights: Sight, group: str = "messages") -> int:
    """Return how many of these sights count for a group."""
    watch = FieldWatch("messages", "Message")
    watch.note(sights, BEGIN)
    return watch.memories[group].there.get("id", Track()).looked


def test_only_what_is_new_and_young_counts_and_of_a_full_page_only_some() -> None:
    assert looked(sight(), sight(number=2), sight(at=BEGIN - 4000)) == 1
    assert looked(*[sight()] * 1000) == OF_A_PAGE


def test_clean_mail_counts_apart_but_not_what_only_lacks_its_verdict() -> None:
    mail = sight(verdict="NONE"), sight(verdict="NONE", detection_reasons=["a young domain"]), sight()
    assert (looked(*mail), looked(*mail, group="clean messages")) == (2, 1)


def note(fact: str, *results: object, age: float = 0.0, times: int = 1) -> dict[str, int]:
    """Return how many records of each group count, when a fact came as these results so many times."""
    watch, raws = FactWatch(fact), [Raw(msgspec.json.encode(one)) for one in results]
    for _ in range(times):
        watch.note(raws, BEGIN - age, BEGIN)
    tracks = {group: tuple(memory.there.values()) for group, memory in watch.memories.items()}
    return {group: max(track.looked for track in found) for group, found in tracks.items() if found}


def test_a_fact_counts_while_its_mail_is_young_and_only_some_of_many_do() -> None:
    assert note("Detection", {"links": []}) == {"Detection": 1}
    assert note("Detection", {"links": []}, age=4000) == {}
    assert note("Trace", {"inbound": None}, times=1000) == {"Trace": SAVED}


def test_of_an_action_log_one_line_of_each_known_operation_counts() -> None:
    lines = [{"operation": name, "status": "OK"} for name in ("MOVE", "MOVE", "NEW", ["MOVE"])]
    assert note("ActionLog", lines, [{"operation": "PREVIEW"}, "no line", {}]) == {
        "ActionLog MOVE": 1,
        "ActionLog PREVIEW": 1,
    }
