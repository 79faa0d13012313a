"""A desk to test the executor from: an account of the sandbox, one rule, and time that is moved by hand."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.account import Account
from tests.support import BEGIN, TOKEN
from worker.executor.executor import Executor
from worker.executor.hooks import Hooks
from worker.judging.services import Timing
from worker.language.actions import AnyAction
from worker.language.policies import Policies, Registry
from worker.language.rules import ENFORCE, Limit, Mode, RuleInfo
from worker.ledger.entries import Draft, Entry, Standing
from worker.ledger.values import Page, Reading
from worker.sandbox import ACCOUNT
from worker.sandbox.account.mail import Mail

RULE = RuleInfo(
    name="lookalike", file="rules/a.py", line=1, doc="", trigger="Message", facts=(), actions=(), mode=ENFORCE,
    limit=Limit(1_000_000), priority=0, dispositions=None, fingerprint="f",
)  # fmt: skip
SETTLE = 60.0


class Desk(Account):
    """One account and what acts on it; ``executor`` is made anew by ``restart``."""

    def __init__(self, *, lag: float = 0.0, who: str = TOKEN, **options: Any) -> None:  # noqa: ANN401
        super().__init__(lag=lag, token=who, submission_delay=0.5, **options)
        self.settle, self.busy, self.policies = SETTLE, False, Policies(domains=("corp.example",))
        self.registry = Registry.of([("Ada Cole", "ada@home.example")])
        self.heard: list[tuple[str, str]] = []
        self.news: list[tuple[str, str]] = []
        self.ceiling: Mode = ENFORCE
        self.lowered: frozenset[str] = frozenset()
        self.channel: Callable[[str, str], Awaitable[None]] = self.notify
        self.greeting: Callable[[], Awaitable[object]] = self.lists
        self.restart()

    def restart(self, policies: Callable[[], Awaitable[Policies]] | None = None) -> None:
        """Let another process take over, which knows only what the ledger knows; ``policies`` gives the own lists."""
        self.begin()
        self.executor = Executor(self.services(self.greeting), Timing(settle=self.settle), self.hooks(policies))

    def hooks(self, policies: Callable[[], Awaitable[Policies]] | None = None) -> Hooks:
        """Whom the executor asks and tells: what the test sets."""
        return Hooks(
            standing=self.standing, is_reading=lambda: self.busy, policies=policies or self.lists,
            registry=self.people,
            on_contradiction=self.hear, notify=self.channel,
        )  # fmt: skip

    def standing(self) -> Standing:
        """What rules there are."""
        return Standing(ceiling=self.ceiling, rules={RULE.name: RULE}, lowered=self.lowered)

    async def hear(self, readings: Sequence[Reading]) -> None:
        """Keep what contradicts what was judged."""
        self.news += [(reading.thing.id, reading.state) for reading in readings]

    async def lists(self) -> Policies:
        """The account's own lists."""
        return self.policies

    async def people(self) -> Registry:
        """The impersonation registry."""
        return self.registry

    async def notify(self, channel: str, text: str) -> None:
        """A channel that takes everything."""
        self.heard.append((channel, text))

    async def enter(self, action: AnyAction, mails: Sequence[Mail] = (), *, sight: int = 1, **fields: Any) -> None:  # noqa: ANN401
        """Enter a wish about each message, or about no message; ``fields`` of the draft win."""
        now = self.clock.now()
        drafts = [self._draft(action, mail, sight, fields) for mail in mails or (None,)]
        await self.ledger.enter(Page(account=ACCOUNT, now=now, source="messages", drafts=tuple(drafts)))

    def _draft(self, action: AnyAction, mail: Mail | None, sight: int, fields: dict[str, Any]) -> Draft:
        target = action.on or (mail.id if mail else "")
        scanned = float(mail.scanned) if mail else self.clock.now()
        held = "quarantined" if mail and mail.now.quarantined else "delivered"
        plain = {
            "lane": action.lane, "target": target, "cause": f"2026-09-21T14:13:20Z/Message/{target}/{sight}",
            "action": action, "mode": ENFORCE, "state": "ready", "rules": (RULE.name,), "fingerprints": ("f",),
            "because": "why", "item": f"item/{target}/{sight}", "scanned_at": scanned, "known_at": self.clock.now(),
            "verdict": f"{mail.now.disposition}|{held}" if mail else "",
            "recipients": mail.read_fixed().client_recipients if mail else (),
            "authenticated": action.on.partition(":")[2].rpartition("@")[2],
        }  # fmt: skip
        return Draft(**plain | fields)

    async def approve(self) -> None:
        """Let the one entry that waits be carried out, as a person would."""
        (waits,) = [entry for entry in await self.entries() if entry.state == "waiting"]
        await self.ledger.order(ACCOUNT, "approve", waits.id, "ada", "", self.clock.now())
        await self.ledger.take_orders(ACCOUNT, self.clock.now())

    async def let_through(self, action: AnyAction) -> Mail:
        """Return quarantined mail that a person has released since a rule wished something; the entry waits."""
        (mail,) = self.old(quarantined=True)
        await self.enter(action, [mail])
        self.clock.advance(5)
        self.world.release_by_hand(mail.id)
        await self.run(1)
        return mail

    async def run(self, seconds: float, *, until: Callable[[], bool] = lambda: False, every: float = 1.0) -> None:
        """Let the executor work for some seconds."""
        end = self.clock.now() + seconds
        while self.clock.now() < end and not until():
            if not await self.executor.step():
                due = await self.ledger.next_due(ACCOUNT, self.clock.now())
                rest = end - self.clock.now()
                self.clock.advance(rest if due is None else min(rest, max(every, due - self.clock.now())))

    async def states(self) -> list[str]:
        """The states of everything in the ledger, oldest first."""
        return [entry.state for entry in await self.entries()]

    async def only(self) -> Entry:
        """The only entry there is."""
        (entry,) = await self.entries()
        return entry

    def ours(self, operation: str = "move") -> list[str]:
        """The targets that our requests have touched, once for each time."""
        others = {"analyst", "user", "auto", "cloudflare"}
        return [one.target for one in self.world.effects if one.operation == operation and one.by not in others]

    def calls(self) -> int:
        """How many requests the sandbox has seen."""
        return sum(sum(counts.values()) for counts in self.world.requests.values())

    def old(self, count: int = 1, **fields: Any) -> list[Mail]:  # noqa: ANN401
        """Messages of an hour ago: the polls will not pass over them again."""
        return [self.world.add_message(scanned=BEGIN - 3600 + n % 600, **fields) for n in range(count)]
