"""Whatever happens in whatever order: one open entry per target, no step off the table, no limit passed."""

from collections import Counter, defaultdict
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace
from sqlalchemy import select

from tests.ledger.desk import JUNK, ME, TRASH, Desk, info, reading, standing
from worker.audit.inspection import inspect_ledger
from worker.language.actions import (
    Adding,
    AllowSender,
    AnyAction,
    BlockSender,
    Disallow,
    Distrust,
    Notify,
    Reclassify,
    Release,
    Removing,
    TrustDomain,
    Unblock,
)
from worker.language.rules import APPROVE, ENFORCE, OBSERVE, Limit
from worker.ledger.cascade import took_effect
from worker.ledger.db.tables import reasons
from worker.ledger.entries import (
    DENIED,
    FINAL,
    FOLLOWS,
    OPEN,
    Answered,
    Claim,
    Entry,
    Look,
    Outcome,
    Question,
    Review,
    State,
    is_accepted,
    is_under_way,
)
from worker.ledger.values import Page, Sight

pytestmark = pytest.mark.slow  # hundreds of invented days

T = TypeVar("T")
PATTERN = "evil@example.net"
WISHES: list[AnyAction] = [
    JUNK,
    TRASH,
    Release(),
    Reclassify(expected_disposition="SPAM"),
    BlockSender(pattern=PATTERN),
    BlockSender(pattern=PATTERN, for_=timedelta(seconds=90)),
    Unblock(pattern=PATTERN),
    AllowSender(PATTERN),
    AllowSender(PATTERN, kind="trusted", for_=timedelta(seconds=90)),
    Disallow(PATTERN),
    TrustDomain("example.net", for_=timedelta(seconds=90)),
    Distrust("example.net"),
    Notify(channel="soc"),
]
LIMITS = {"r": Limit(1, 50.0), "s": Limit(1, 200.0, "sender")}
STEPS: dict[str, frozenset[State]] = {"": frozenset({"observed", "waiting", "ready", "held", "moot"})}
STEPS.update((state, after) for state, after in FOLLOWS.items())
REVIEWED: dict[State, list[Review]] = {"sent": ["accepted"], "done": ["granted"], "failed": ["", *sorted(DENIED)]}
NONE: list[Review] = [""]
messages = st.sampled_from(["m1", "m2", "m3", "m4"])
sentences = st.lists(st.sampled_from(WISHES), min_size=1, max_size=3)
names = st.sampled_from([("r",), ("s",), ("r", "s")])


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what never waits: the ledger of these tests lives in memory."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    raise AssertionError("it waited")


class Days(RuleBasedStateMachine):
    """A ledger to which anything may happen."""

    def __init__(self) -> None:
        """Begin with one process."""
        super().__init__()
        self.desk = Desk("owner0")
        self.owners = 0
        self.records: list[dict[str, Any]] = []
        self.states: dict[str, str] = {}

    def entries(self, *states: State) -> tuple[Entry, ...]:
        """Return entries of some states, oldest first."""
        return at_once(self.desk.ledger.entries(ME, states=states))[::-1]

    @rule(
        message=messages, wishes=st.lists(st.sampled_from(WISHES), min_size=1, max_size=3), names=names, data=st.data()
    )
    def a_rule_speaks(self, message: str, wishes: list[AnyAction], names: tuple[str, ...], data: st.DataObject) -> None:
        """Read a message in some state, and enter what rules say of it."""
        seen = reading(message, data.draw(st.sampled_from(["A|-", "B|-", "C|quarantined"])), at=self.desk.now)
        news = at_once(self.desk.ledger.news(ME, [seen], self.desk.now, 20))
        cause = Sight(seen, news.sights[0].number).key if news.sights else f"report/{message}/{self.desk.now}"
        state, mode = data.draw(st.sampled_from([("ready", ENFORCE), ("waiting", APPROVE), ("observed", OBSERVE)]))
        plain = {"state": state, "mode": mode, "rules": names, "fingerprints": ("f",) * len(names), "cause": cause}
        items: list[dict[str, object]] = [
            {"item": f"{cause}#{names[0]}"},
            {"item": f"dispute/{message}#{names[0]}", "item_kind": "dispute", "item_of": message},
        ]
        item = data.draw(st.sampled_from(items))
        drafts = [self.desk.draft(wish, message, **item, known_at=self.desk.now, **plain) for wish in wishes]
        page = Page(account=ME, now=self.desk.now, source="messages", news=news, drafts=tuple(drafts))
        at_once(self.desk.ledger.enter(page))

    @rule(seconds=st.sampled_from([1, 20, 100]))
    def time_passes(self, seconds: float) -> None:
        """Move the clock."""
        self.desk.now += seconds

    @rule(ceiling=st.sampled_from([ENFORCE, ENFORCE, ENFORCE, APPROVE, OBSERVE]), most=st.integers(1, 4))
    def the_executor_claims(self, ceiling: Any, most: int) -> None:  # noqa: ANN401 (a mode)
        """Claim what is due."""
        rules = [replace(info(name), limit=limit) for name, limit in LIMITS.items()]
        due = at_once(self.desk.ledger.due(ME, self.desk.now, most))
        claims, under = [Claim(entry.id, Look(at=self.desk.now)) for entry in due], standing(*rules, ceiling=ceiling)
        at_once(self.desk.ledger.claim(ME, claims, under, self.desk.now, self.desk.now + 20))

    @precondition(lambda self: self.entries("claimed"))
    @rule(state=st.sampled_from(sorted(FOLLOWS["claimed"])))
    def an_answer_comes(self, state: State) -> None:
        """Answer what was claimed first."""
        entry = self.entries("claimed")[0]
        at_once(self.desk.ledger.answer(ME, [Answered(id=entry.id, state=state, said="why")], self.desk.now))

    @precondition(lambda self: self.entries("sent", "unsure"))
    @rule(data=st.data())
    def a_look_shows(self, data: st.DataObject) -> None:
        """Settle something that is under way."""
        entry = data.draw(st.sampled_from(self.entries("sent", "unsure")))
        state = data.draw(st.sampled_from(sorted({*FOLLOWS[entry.state], entry.state} - _unseen(entry))))
        review: Review = data.draw(st.sampled_from(REVIEWED.get(state, NONE) if entry.lane == "verdict" else NONE))
        shown = Outcome(id=entry.id, state=state, proof="seen", said="why", review=review)
        at_once(self.desk.ledger.settle(ME, [shown], self.desk.now))

    @rule(verb=st.sampled_from(["approve", "refuse"]), names=names, data=st.data())
    def a_person_decides(self, verb: str, names: tuple[str, ...], data: st.DataObject) -> None:
        """Approve or refuse by rule, item or entry."""
        waiting = [one for entry in self.entries("waiting") for one in (entry.id, entry.item)]
        subject = data.draw(st.sampled_from([*waiting, f"rule:{names[0]}"]))
        at_once(self.desk.ledger.order(ME, verb, subject, "ann", "", self.desk.now))
        at_once(self.desk.ledger.take_orders(ME, self.desk.now))

    @rule(
        verb=st.sampled_from(["brake", "unbrake"]), subject=st.sampled_from(["", "rule:r", "lane:block", "lane:allow"])
    )
    def a_person_brakes(self, verb: str, subject: str) -> None:
        """Put a brake on or take it off."""
        at_once(self.desk.ledger.order(ME, verb, subject, "ann", "", self.desk.now))
        at_once(self.desk.ledger.take_orders(ME, self.desk.now))

    @precondition(lambda self: self.entries("ready", "waiting"))
    @rule(data=st.data())
    def others_touch_it(self, data: st.DataObject) -> None:
        """Retire or postpone something."""
        entry = data.draw(st.sampled_from(self.entries("ready", "waiting")))
        if data.draw(st.booleans()):
            at_once(self.desk.ledger.retire(ME, [(entry.id, "touched")], self.desk.now))
        else:
            at_once(self.desk.ledger.postpone(ME, [Question(id=entry.id, said="touched")], self.desk.now))

    @precondition(lambda self: any(entry.attempts for entry in self.entries("ready")))
    @rule()
    def an_earlier_attempt_is_found_to_have_come_to_something(self) -> None:
        """Let a look before a second attempt show what the first one did."""
        tried = next(entry for entry in self.entries("ready") if entry.attempts)
        at_once(self.desk.ledger.settle(ME, [Outcome(id=tried.id, state="done", proof="seen")], self.desk.now))

    @rule()
    def nobody_decides(self) -> None:
        """Let old questions lapse."""
        at_once(self.desk.ledger.lapse(ME, self.desk.now, 100))

    @rule()
    def the_process_dies(self) -> None:
        """Start another one: what was claimed is unsure, whatever it was."""
        claimed = {entry.id for entry in self.entries("claimed")}
        self.owners += 1
        self.desk.successor(f"owner{self.owners}")
        assert at_once(self.desk.ledger.abandon(ME, self.desk.now, self.desk.now + 20)) == len(claimed)
        assert self.entries("claimed") == ()
        assert claimed <= {entry.id for entry in self.entries("unsure")}

    @invariant()
    def at_most_one_entry_per_lane_and_target_is_open(self) -> None:
        """Look at every open entry."""
        under_way = filter(is_under_way, self.entries(*OPEN))
        spots = Counter((entry.lane, entry.target) for entry in under_way if entry.lane != "notice")
        assert not [spot for spot, number in spots.items() if number > 1]

    @invariant()
    def what_is_held_waits_for_something_that_is_to_come(self) -> None:
        """Find no held entry that nothing will ever set free, and no reason for what is settled."""
        entries = {entry.id: entry for entry in self.entries()}
        stand = at_once(self.desk.runner.run(lambda conn: conn.execute(select(reasons)).all()))
        assert not [row for row in stand if entries[row.entry].state in FINAL]
        pending = {row.item for row in stand if not is_accepted(entries[row.entry])}
        for entry in entries.values():
            if entry.state == "held" and entry.lane != "notice":
                assert is_under_way(entries[entry.behind])
            if entry.state == "held" and entry.lane == "notice":
                assert entry.item in pending

    @invariant()
    def what_was_listed_for_a_time_will_end_or_has_ended_or_a_person_knows(self) -> None:
        """Follow each list entry that was made for a time to its end."""
        entries = self.entries()
        by_cause = {entry.cause: entry for entry in entries}
        removed = [entry for entry in entries if isinstance(entry.action, Removing) and took_effect(entry)]
        for made in entries:
            if made.state != "done" or not isinstance(made.action, Adding) or made.action.for_ is None:
                continue
            end = by_cause[f"end/{made.id}"]
            since = [one for one in removed if (one.lane, one.target) == (made.lane, made.target)]
            gone = any(one.settled_at >= made.settled_at for one in since)
            unending = end.state == "moot" and end.said.startswith("listed without end")
            assert end.state not in FINAL or end.state in {"failed", "refused", "lapsed"} or gone or unending

    @invariant()
    def every_step_on_record_is_one_of_the_table(self) -> None:
        """Follow each entry through the new records."""
        lines = at_once(self.desk.ledger.records(ME, after=len(self.records), limit=10**6))
        new = [msgspec.json.decode(line) for line in lines]
        self.records += new
        for record in (record for record in new if "to" in record):
            before = self.states.get(record["entry"], "")
            assert record.get("from", "") == before
            assert record["to"] in STEPS[before]
            self.states[record["entry"]] = record["to"]
        assert self.states == {entry.id: entry.state for entry in self.entries()}

    def teardown(self) -> None:
        """Verify the chain, and count what each rule was granted unasked in every window that ends with a claim.

        A person's word lets a target be touched; touching it once more is no further target.
        """
        assert at_once(inspect_ledger(self.desk.ledger, ME)).problem == ""
        approved = {record["entry"] for record in self.records if record["verb"] == "approved"}
        claims: dict[str, list[tuple[float, str, bool]]] = defaultdict(list)
        for record in self.records:
            for name in record.get("counted", ()):
                claims[name].append((seconds(record["at"]), record["target"], record["entry"] in approved))
        for name, made in claims.items():
            for end, _, _ in made:
                inside = [(target, asked) for at, target, asked in made if 0 <= end - at < LIMITS[name].per]
                asked_for = {target for target, asked in inside if asked}
                assert len({target for target, _ in inside} - asked_for) <= LIMITS[name].count


def _unseen(entry: Entry) -> set[State]:
    """Return what no look shows of an entry: of requests alone it shows that they were sent; accepted, they end."""
    if is_accepted(entry):
        return {"unsure", "sent"}
    return set() if entry.lane == "verdict" or entry.state == "sent" else {"sent"}


def seconds(instant: str) -> float:
    """Read the time of a record."""
    return datetime.fromisoformat(instant).timestamp()


# A shorter failing day would take minutes to find: more than a test run has patience for.
TestDays = Days.TestCase
TestDays.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
