"""What was judged while a field was missing is judged again once the field is back, and nothing is done twice.

The fields are those of the types, so that a new one is tried without anybody thinking of it.
"""

import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from tests.desk import RULE
from tests.judging.test_presence import change
from tests.reading import DAY, SETTLE, Room
from worker import Notify
from worker.api import Request, Response
from worker.daemon.fields import Fields, Needs
from worker.intake.reader import Intake
from worker.judging.presence import MISSED, Shape, describe_shape
from worker.judging.watches import UNDER_WAY
from worker.language.models import TRIGGERS
from worker.language.rules import ENFORCE, Proposal
from worker.ledger.presence import FieldMemory, Track, encode
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT, World
from worker.telemetry import open_log

Json = dict[str, Any]
ADDING: dict[str, Callable[[World], object]] = {
    "Message": World.add_message,
    "Report": World.add_report,
    "Submission": World.add_submission,
}
EVERY = [(kind, path) for kind in ADDING for path in describe_shape(TRIGGERS[kind]).written]
MAKES_STATES = {("Submission", name) for name in ("status", "outcome_disposition", "customer_status")}
TIME = "2026-09-21T12:00:00Z"


def complete(shape: Shape, record: Json) -> Json:
    """Return a record that has every documented field."""
    return record | {written: _fill(shape, path, record.get(written)) for path, written in shape.written.items()}


def _fill(shape: Shape, path: str, given: object) -> object:
    inner = shape.held.get(path)
    if inner is None or isinstance(given, list):
        return TIME if given is None else given
    whole = given if isinstance(given, dict) else {}
    names = {written.rpartition(".")[2]: name for name, written in inner.written.items()}
    return whole | {written: _fill(inner, name, whole.get(written)) for written, name in names.items()}


class Case:
    """A source of which one field goes away and comes back, and two rules: one needs the field, one none."""

    def __init__(self, kind: str, path: str, how: str) -> None:
        self.kind, self.path, self.how, self.shape = kind, path, how, describe_shape(TRIGGERS[kind])
        self.field, self.is_broken = self.shape.written[path], False
        self.heard = Counter[str]()
        self.room = Room(self.answer)
        self.room.meddle = self.rewrite
        self.log = io.StringIO()
        self.fields = self.restart()

    @property
    def intake(self) -> Intake:
        """What reads the source."""
        room = self.room
        return {"Message": room.messages, "Report": room.reports, "Submission": room.submissions}[self.kind]

    def answer(self, event: Event) -> Said:
        """Tell of each event, and of what has the field."""
        if event.kind != self.kind:
            return Said(key=event.key)
        has = json.decode(event.raw).get(self.field) is not None
        self.heard.update({event.key.split("/")[2]: has})
        said = [("hears", "soc"), *([("needs", "desk")] if has else [])]
        return Said(
            key=event.key,
            proposals=tuple(
                Proposal(rule=rule, actions=(Notify(channel),), mode=ENFORCE, priority=0, fingerprint="f")
                for rule, channel in said
            ),
        )

    def rewrite(self, _: Request, answer: Response) -> Response:
        """Let all records have every field, or every field but one."""
        body = json.decode(answer.body)
        if not isinstance(body["result"], list):
            return answer
        records = [complete(self.shape, record) for record in body["result"]]
        body["result"] = [change(one, self.field, self.how) for one in records] if self.is_broken else records
        return replace(answer, body=json.encode(body))

    def restart(self) -> Fields:
        """Let another process take over, which knows only what the ledger knows."""
        self.room.restart()
        rule = replace(RULE, trigger=self.kind, reads=(self.path,))
        fields = Fields(
            self.room.services(self.room.facts.policies),
            [self.intake.fields],
            lambda: Needs([rule], [self.intake.source]),
            open_log(self.log),
        )
        self.intake.keep_fields = fields.keep_missed
        return fields

    async def learn(self) -> None:
        """Let it be known which fields records have."""
        now = self.room.clock.now()
        track = Track(began=now - DAY, last=now - 1, looked=1000, usual_at=now - 1, read_at=now - 1, pause=1.0)
        kept = FieldMemory(
            there=dict.fromkeys(self.shape.written, track), filled=dict.fromkeys(self.shape.written, track)
        )
        await self.room.ledger.keep_presence(ACCOUNT, encode({self.intake.source.name: kept}))
        await self.fields.recall()

    async def bring(self, times: int) -> None:
        """Let something happen every minute, and be read."""
        await self.bring_only(times)
        await self.fields.keep()

    async def bring_only(self, times: int) -> None:
        """The same, while the ledger is not told of the fields from time to time."""
        for _ in range(times):
            self.room.clock.advance(60)
            ADDING[self.kind](self.room.world)
        await self.intake.read_head()

    async def read_all(self) -> None:
        """Read all that there is to read now."""
        await self.intake.read_head()
        while not await self.intake.read_behind():
            pass

    async def live(self) -> None:
        """Let the field be there, go away, and come back, with a restart in each time."""
        await self.learn()
        await self.bring(1)
        self.is_broken = True
        await self.bring(MISSED)
        self.fields = self.restart()
        await self.bring(2)
        self.is_broken = False
        await self.bring(1)
        self.fields = self.restart()
        for seconds in (UNDER_WAY, SETTLE):
            self.room.clock.advance(seconds)
            await self.fields.keep()
            await self.read_all()

    async def count_told(self) -> Counter[tuple[str, str]]:
        """Count what was told of each thing on each channel."""
        return Counter((entry.cause.rpartition("/")[0], entry.target) for entry in await self.room.entries())

    async def list_wrong(self) -> list[str]:
        """Return what is not as it has to be."""
        told, unreadable = await self.count_told(), await self.room.ledger.count_unreadable(ACCOUNT)
        twice = [
            f"told twice of {what}"
            for what, count in told.items()
            if count > 1 and (self.kind, self.path) not in MAKES_STATES
        ]
        wrong = [] if len(self.heard) + unreadable >= MISSED + 4 else ["something was lost"]
        wrong += [] if all(self.heard.values()) else ["something was never judged with the field"]
        self.room.clock.advance(SETTLE)
        await self.read_all()
        return [*wrong, *twice, *([] if await self.count_told() == told else ["it does not end"])]


@pytest.mark.slow
@pytest.mark.matrix("returns")
@pytest.mark.parametrize(("kind", "path"), EVERY)
@pytest.mark.parametrize("how", ["renamed", "absent", "null"])
async def test_everything_that_came_while_a_field_was_missing_is_judged_by_it(kind: str, path: str, how: str) -> None:
    case = Case(kind, path, how)
    await case.live()
    assert await case.list_wrong() == []


@pytest.mark.parametrize("lives", [(MISSED,), (2, MISSED - 2)])
async def test_what_came_without_a_field_just_before_the_process_was_killed_is_judged_again(
    lives: tuple[int, ...],
) -> None:
    case = Case("Message", "subject", "absent")
    await case.learn()
    await case.bring(1)
    case.is_broken = True
    for records in lives:
        await case.bring_only(records)
        case.fields = case.restart()
        await case.fields.recall()
    case.is_broken = False
    await case.bring(3)
    for seconds in (UNDER_WAY, SETTLE):
        case.room.clock.advance(seconds)
        await case.fields.keep()
        await case.read_all()
    assert await case.list_wrong() == []
