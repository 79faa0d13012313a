"""Ledger: a file with a million entries, and what `worker show` takes to find one mail in it."""

import asyncio
import os
import random
import resource
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.table import Row
from worker.audit.verify import verify
from worker.cli import app, context
from worker.language.actions import Move
from worker.language.rules import ENFORCE, Limit, RuleInfo
from worker.ledger.entries import Draft
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Judgement, MailNames, NewSights, Page, Reading, RuleAnswer, RuleTable, Sight, Thing

ENTRIES, PAGE = 1_000_000, 1000
SPAN = 7 * 86_400.0
"""Seconds over which the mail was scanned, up to now."""
PEOPLE, SENDERS = 5_000, 50_000
ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
GOAL = 0.5
JUNK = Move("JunkEmail", because="judged MALICIOUS and delivered")
RULES = ("malicious_mail", "borrowed_payroll", "user_waits")


class Shown(NamedTuple):
    """What one way of asking took, in seconds of CPU."""

    words: tuple[str, ...]
    cpu: float


class Figures(NamedTuple):
    """What was measured."""

    entries: int
    megabytes: float
    shown: list[Shown]


def make_mail(count: int, until: float, seed: str = "mail") -> Iterator[Reading]:
    """Yield messages as they are read, in the order of their scans."""
    rng = random.Random(seed)
    for number in range(count):
        at = float(int(until - SPAN + SPAN * number / count))
        postfix = "".join(rng.choices("0123456789ABCDEFGHJKLMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz", k=14))
        id_ = f"{postfix}-{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}-{rng.getrandbits(32):08x}"
        names = MailNames(
            postfix_id=postfix,
            message_id=f"<{number}.{rng.getrandbits(48):x}@mail.example.net>",
            sender=f"sender{rng.randrange(SENDERS)}@example.net",
            recipients=(f"person{rng.randrange(PEOPLE)}@corp.example",),
            subject=f"Invoice {rng.randrange(10**6)}",
        )
        yield Reading(
            thing=Thing("Message", at, id_), state="MALICIOUS|delivered", raw=b"{}", verdict="MALICIOUS", names=names
        )


async def fill(url: str, count: int) -> None:
    """Enter mail through the ledger's own code, with a wish for each, page by page."""
    mail, table = make_mail(count, time.time()), RuleTable("benchmark", tuple(map(_make_rule, RULES)))
    async with open_ledger(url, owner="benchmark", exclusive=True) as ledger:
        while readings := tuple(islice(mail, PAGE)):
            sights = [Sight(reading, 1) for reading in readings]
            await ledger.enter(
                Page(
                    account=ACCOUNT,
                    now=readings[-1].thing.time,
                    source="messages",
                    news=NewSights(sights=tuple(sights)),
                    judgements=tuple(Judgement(one, (RuleAnswer(rule=RULES[0], result="wanted"),)) for one in sights),
                    rule_table=table,
                    drafts=tuple(map(_make_draft, sights)),
                )
            )


def _make_rule(name: str) -> RuleInfo:
    return RuleInfo(
        name=name, file="rules/a.py", line=1, doc="A rule.", trigger="Message", facts=(), actions=("Move",),
        mode=ENFORCE, limit=Limit(100), priority=0, dispositions=None, fingerprint=f"{name}-1",
    )  # fmt: skip


def _make_draft(sight: Sight) -> Draft:
    thing, names = sight.reading.thing, sight.reading.names or MailNames()
    return Draft(
        lane="placement", target=thing.id, cause=sight.key, action=JUNK, state="ready", mode=ENFORCE, rules=RULES[:1],
        fingerprints=(f"{RULES[0]}-1",), because=JUNK.because, item=f"{sight.key}#{RULES[0]}", verdict="MALICIOUS",
        sender=names.sender, recipients=names.recipients, subject=names.subject, scanned_at=thing.time,
        known_at=thing.time,
    )  # fmt: skip


async def is_whole(url: str) -> bool:
    """Tell whether the records of a ledger that was made here follow each other unchanged."""
    async with open_ledger(url, owner="benchmark", exclusive=False) as ledger:
        return not verify(await ledger.records(ACCOUNT, limit=10**9)).problem


def measure(count: int = ENTRIES) -> Figures:
    """Make the ledger, and ask it for a mail in every way; each way twice, the second time counts."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "worker.db"
        asyncio.run(fill(f"sqlite:///{path}", count))
        shown = [Shown(words, min(_ask(path, words) for _ in range(2))) for words in _choose_words(path)]
        return Figures(count, path.stat().st_size / 1e6, shown)


def _choose_words(path: Path) -> list[tuple[str, ...]]:
    """Return each way of asking for a mail in the middle."""
    with closing(sqlite3.connect(path)) as database:
        (middle,) = database.execute("SELECT max(number) / 2 FROM mails").fetchone()
        query = "SELECT id, postfix_id, message_id, sender, recipients FROM mails WHERE number = ?"
        id_, postfix, header, sender, recipients = database.execute(query, (middle,)).fetchone()
    return [
        *((id_,), (postfix,), (header,), ("--sender", sender), ("--recipient", recipients[2:-2])),
        ("--sender", sender, "--subject", "invoice"),
        ("--subject", "Invoice 99"),
    ]


def _ask(path: Path, words: tuple[str, ...]) -> float:
    """Run the command in this process; return the CPU that it took, without the start of Python."""
    os.environ.update({"WORKER_STORE_URL": f"sqlite:///{path}", "CLOUDFLARE_ACCOUNT_ID": ACCOUNT})
    with Path(os.devnull).open("w") as nowhere:
        before, kept, sys.stdout = _read_cpu(), sys.stdout, nowhere
        try:
            assert context.run(app, ["show", *words]) == context.DONE
        finally:
            sys.stdout = kept
        return _read_cpu() - before


def _read_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rows(figures: Figures) -> list[Row]:
    """Write the figures down."""
    worst = max(figures.shown, key=lambda one: one.cpu)
    each = "; ".join(f"{'id' if len(one.words) == 1 else one.words[0]} {one.cpu:.2f}" for one in figures.shown)
    what = f"`worker show` in a ledger of {figures.entries:,} entries ({figures.megabytes:,.0f} MB): CPU at most"
    return [Row(what, f"{worst.cpu:.2f} s ({each})", f"≤ {GOAL} s", worst.cpu <= GOAL)]
