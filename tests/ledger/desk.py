"""Where the ledger's tests sit: a real ledger in memory, a clock moved by hand, and short words for what happens."""

import msgspec
from msgspec.structs import replace

from tests.ledger.memory import in_memory
from worker.language.actions import AnyAction, Move
from worker.language.rules import ENFORCE, Limit, Mode, RuleInfo
from worker.ledger.entries import Answered, Claim, Draft, Entry, Look, Outcome, Standing, State
from worker.ledger.ledger import Ledger
from worker.ledger.values import Entered, Page, Reading, Sight, Thing

T0 = 1_700_000_000.0
ME = "account"
JUNK = Move(destination="JunkEmail")
TRASH = Move(destination="DeletedItems")


def info(name: str = "r", *, mode: Mode = ENFORCE, limit: Limit | None = None, fingerprint: str = "f") -> RuleInfo:
    """Return a rule as the daemon knows it."""
    return RuleInfo(
        name=name,
        file="rules/a.py",
        line=1,
        doc="A rule.",
        trigger="Message",
        facts=(),
        actions=("Move",),
        mode=mode,
        limit=limit or Limit(100),
        priority=0,
        dispositions=None,
        fingerprint=fingerprint,
    )


def standing(*rules: RuleInfo, ceiling: Mode = ENFORCE, lowered: frozenset[str] = frozenset()) -> Standing:
    """Return what holds now; the rule ``r`` is loaded when none is named."""
    return Standing(ceiling=ceiling, rules={rule.name: rule for rule in rules or (info(),)}, lowered=lowered)


def reading(message: str = "m1", state: str = "MALICIOUS|-", *, at: float = T0, time: float = T0) -> Reading:
    """Return one record as just read; the state says ``quarantined`` when it is."""
    look = Look(at=at, verdict=state.split("|", maxsplit=1)[0], quarantined=state.endswith("quarantined"))
    thing = Thing("Message", time, message)
    return Reading(thing=thing, state=state, raw=b"{}", verdict=look.verdict, look=look)


class Desk:
    """One account of a ledger in memory."""

    def __init__(self, owner: str = "first") -> None:
        """Begin empty."""
        self.runner = in_memory()
        self.ledger = Ledger(self.runner, owner)
        self.now = T0

    def successor(self, owner: str = "second") -> None:
        """Let another process take over the same database."""
        self.ledger = Ledger(self.runner, owner)

    def draft(self, action: AnyAction = JUNK, message: str = "m1", **change: object) -> Draft:
        """Return an effect that rule ``r`` wants because of the first sight of a message."""
        cause = Sight(reading(message), 1).key
        draft = Draft(
            lane=action.lane,
            target=action.on or message,
            cause=cause,
            action=action,
            mode=ENFORCE,
            state="ready",
            rules=("r",),
            fingerprints=("f",),
            because="it is bad",
            item=f"{cause}#r",
            verdict="MALICIOUS|-",
            sender="evil@example.net",
            authenticated=action.on.partition(":")[2].rpartition("@")[2],
            recipients=("ada@corp.example",),
            scanned_at=T0,
            known_at=T0,
        )
        return replace(draft, **change)

    def side(self, action: AnyAction, event: str, name: str, message: str = "m1", **change: object) -> Draft:
        """Return one side of what rules disagree about."""
        item = {"item": f"dispute/{event}#{name}", "item_kind": "dispute", "item_of": event}
        return self.draft(action, message, state="waiting", **item, **change)

    async def enter(self, *drafts: Draft) -> Entered:
        """Enter effects."""
        return await self.ledger.enter(Page(account=ME, now=self.now, source="messages", drafts=drafts))

    async def wish(self, action: AnyAction = JUNK, message: str = "m1", **change: object) -> Entry:
        """Enter one effect; return the newest entry there is then."""
        await self.enter(self.draft(action, message, **change))
        return (await self.ledger.entries(ME))[0]

    async def read(self, *readings: Reading, settle: float = 120.0) -> list[str]:
        """Enter readings that no rule says anything about; return the keys of what was new."""
        news = await self.ledger.news(ME, readings, self.now, settle)
        await self.ledger.enter(Page(account=ME, now=self.now, source="messages", news=news))
        return [f"{sight.reading.thing.id}/{sight.number}" for sight in news.sights]

    async def now_of(self, entry: Entry) -> Entry:
        """Return an entry as it is now."""
        return next(one for one in await self.ledger.entries(ME) if one.id == entry.id)

    async def state(self, entry: Entry) -> State:
        """Return the state of an entry."""
        return (await self.now_of(entry)).state

    async def claim(self, *entries: Entry, under: Standing | None = None) -> list[str]:
        """Try to claim entries; return the ids of those that were."""
        claims = [Claim(entry.id, Look(at=self.now)) for entry in entries]
        claimed = await self.ledger.claim(ME, claims, under or standing(), self.now, self.now + 20)
        return [entry.id for entry in claimed]

    async def answer(
        self, entry: Entry, state: State = "sent", said: str = "", next_at: float = 0.0, fault: str = ""
    ) -> None:
        """Write down an answer."""
        answered = Answered(id=entry.id, state=state, said=said, fault=fault, at=self.now, next_at=next_at)
        await self.ledger.answer(ME, [answered], self.now)

    async def settle(self, entry: Entry, state: State = "done", said: str = "") -> None:
        """Write down what a look has shown."""
        await self.ledger.settle(ME, [Outcome(id=entry.id, state=state, proof="seen", said=said)], self.now)

    async def carry_out(self, entry: Entry) -> None:
        """Claim, answer and prove an entry."""
        assert await self.claim(entry) == [entry.id]
        await self.answer(entry)
        await self.settle(entry)

    async def verbs(self) -> list[str]:
        """Return the verbs on record, in order."""
        return [msgspec.json.decode(line)["verb"] for line in await self.ledger.records(ME)]
