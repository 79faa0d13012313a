"""A thousand hostile mails, end to end: the shipped rules, both loops, and everything that people are shown."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
import typer

from tests.account import Account
from tests.hostile_mails import HostileMail, write_hostile_mails
from tests.reading import DAY, PACE, SETTLE
from tests.support import BEGIN, open_mail
from tests.test_notifiers import CALL, LINK
from worker.audit.announcements import Terms, announce, group
from worker.cli.waiting import print_decisions
from worker.daemon.loops import build_loops
from worker.intake.sources import Messages
from worker.judging.facts import Facts
from worker.judging.services import Timing
from worker.language.actions import BlockSender, Move
from worker.language.rules import ENFORCE
from worker.ledger.entries import Entry, Standing
from worker.ledger.waiting import Waiting
from worker.notifiers import MARKDOWN, disarm
from worker.rulehost.evaluation import Event, Said, judge
from worker.rulehost.host import BundleInfo
from worker.rulehost.loader import load
from worker.sandbox import ACCOUNT
from worker.sandbox.account.mail import Mail
from worker.telemetry import open_log

PARTS, EACH = 10, 100
LIVE = re.compile(r"(?:https?|ftp|file|ssh)://|\bwww[.\u3002]\w", re.IGNORECASE)
UNDONE = frozenset({"waiting", "moot", "observed", "held", "failed"})
"""States of entries with which nothing was carried out."""
RELEASING = frozenset({"Release", "Reclassify", "AllowSender", "TrustDomain"})


class ShippedRules:
    """The shipped rules, in this process."""

    def __init__(self) -> None:
        self._bundle = load(Path(__file__).parents[2] / "rules", frozenset({"soc"}))
        self.bundle = BundleInfo(1, "shipped", tuple(one.info for one in self._bundle.rules))

    def is_heard(self, kind: str, disposition: str) -> bool:  # noqa: ARG002 (as the daemon asks)
        """Judge every event."""
        return True

    async def propose(self, events: Sequence[Event]) -> list[Said]:
        """Judge each event."""
        return judge(self._bundle, events)


class House(Account):
    """An account with the shipped rules, in which both loops run and notices are kept."""

    def __init__(self) -> None:
        super().__init__(lag=0.0, reports=0.0)
        self.begin()
        self.told, self._rules = list[str](), ShippedRules()
        facts = Facts(self.client, self.clock, open_mail)
        loops = build_loops(
            self.services(facts.policies), Timing(settle=SETTLE),
            sources=[(Messages(self.client, lambda: False), PACE)],
            facts=facts, rules=self._rules, standing=self.standing, notify=self.notify,
        )  # fmt: skip
        ((self._messages,), self._held, self._executor) = loops

    def standing(self) -> Standing:
        """The shipped rules, enforced."""
        return Standing(ceiling=ENFORCE, rules={one.name: one for one in self._rules.bundle.rules}, stale=DAY)

    async def notify(self, _: str, text: str) -> None:
        """Keep a notice."""
        self.told.append(text)

    async def work(self, minutes: int) -> None:
        """Read, judge and act for some minutes."""
        for _ in range(minutes * 2):
            await self._messages.read_head()
            while not await self._messages.read_behind():
                pass
            while not await self._held.step():
                pass
            while await self._executor.step():
                pass
            self.clock.advance(30)


def take_in(house: House, mail: HostileMail) -> Mail:
    """Let a mail arrive."""
    taken = house.world.add_message(scanned=BEGIN, **mail.fields)  # type: ignore[arg-type]  # fields of the API
    if mail.original:
        taken.original = mail.original
    return taken


def find_escaped(mails: Sequence[tuple[Mail, HostileMail]], entries: Sequence[Entry]) -> list[HostileMail]:
    """Return the mails of which came what must not: that stay in an inbox, or are let through."""
    moved = {one.target for one in entries if isinstance(one.action, Move) and one.state == "done"}
    moved |= {one.target for one in entries if isinstance(one.action, Move) and one.why == "met_our_block"}
    freed = {one.target for one in entries if type(one.action).__name__ in RELEASING}
    return [it for mail, it in mails if mail.id in freed or (it.moved and mail.id not in moved)]


def find_wrong_blocks(house: House, mails: Sequence[tuple[Mail, HostileMail]], entries: Sequence[Entry]) -> list[str]:
    """Return the patterns that were blocked, or would be without a person, and that no mail has proved."""
    proved = {it.proved for _, it in mails}
    blocks = [one for one in entries if isinstance(one.action, BlockSender) and one.state not in UNDONE]
    listed = [str((one.value or {})["pattern"]) for one in house.world.lists["block_senders"].values()]
    return sorted({*(one.action.on.partition(":")[2] for one in blocks), *listed} - proved)


def find_spoiled(house: House, waiting: Sequence[Waiting], table: str) -> list[str]:
    """Return the lines of notices, announcements, the log and tables that steer, call, link or hide something."""
    calls = [announce(one, Terms(ACCOUNT, DAY)) for one in group(waiting)]
    log = StringIO()
    for text in (*house.told, *calls):
        open_log(log).info("notice", text=text)
    chats = [disarm(text, scheme) for text in (*house.told, *calls) for scheme in ("json", *sorted(MARKDOWN))]
    wrong = [text for text in chats if LINK.search(text.replace("\\", "")) or CALL.search(text) or "](" in text]
    lines = [line for text in (*chats, table, log.getvalue()) for line in text.split("\n")]
    return wrong + [line for line in lines if _hides(line)] + [line for line in table.split("\n") if LIVE.search(line)]


def _hides(line: str) -> bool:
    return any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for sign in line)


def print_counts(mails: Sequence[tuple[Mail, HostileMail]], entries: Sequence[Entry]) -> None:
    """Print how many mails there were of each kind, and what came of them."""
    by_target = {mail.id: it.kind for mail, it in mails}
    for kind in sorted(set(by_target.values())):
        ids = {one for one, named in by_target.items() if named == kind}
        moved = sum(one.target in ids and one.state == "done" and one.lane == "placement" for one in entries)
        typer.echo(f"{kind:16} {len(ids):4} mails, {moved:4} moved")
    blocks = Counter(one.why or one.state for one in entries if one.lane == "block")
    typer.echo(f"blocks: {', '.join(f'{name} {count}' for name, count in sorted(blocks.items()))}")


@pytest.mark.slow
@pytest.mark.matrix("hostile mails")
@pytest.mark.parametrize("part", range(PARTS))
async def test_no_hostile_mail_gets_what_it_is_after(part: int, capsys: pytest.CaptureFixture[str]) -> None:
    house = House()
    mails = [(take_in(house, mail), mail) for mail in write_hostile_mails(part, EACH)]
    await house.work(10)
    entries = await house.entries()
    print_decisions([one for one in entries if one.state == "waiting"], 1000, DAY)
    table = capsys.readouterr().out
    assert find_escaped(mails, entries) == []
    assert find_wrong_blocks(house, mails, entries) == []
    assert find_spoiled(house, await house.ledger.list_unannounced(ACCOUNT, house.clock.now(), DAY), table) == []
    ledger = house.ledger
    assert (await ledger.list_mishaps(ACCOUNT), await ledger.list_held(ACCOUNT)) == ((), ())
    assert await ledger.count_unreadable(ACCOUNT) == 0
    print_counts(mails, entries)
