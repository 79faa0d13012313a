"""What the demo plays on and measures: an emulated account in which an outbreak arrives."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from worker.daemon import App
from worker.daemon.once import find_unsettled
from worker.language.actions import BlockSender
from worker.ledger.entries import DENIED, Entry, Why
from worker.ledger.values import EventKey
from worker.sandbox import ACCOUNT, MailFlow, SandboxOptions, World, serve
from worker.settings import Settings

HISTORY, LATENCY, LAG = 1000, 0.05, 0.3
"""Messages of the last hour at the start; seconds that an answer takes; seconds by which reads lag."""
REVIEW = 15.0
"""Seconds for which Cloudflare decides about a request for another verdict; it takes hours outside of the demo."""
WAVES, PAUSE = 40, 0.5
PER_WAVE = {"outbreak": 4, "outbreak_forged": 1, "outbreak_taken_over": 1, "outbreak_spoof": 1, "": 3}
"""What arrives every half second: phishing from new domains and from customers, forged or taken over; ordinary mail."""
ARRIVALS = WAVES * sum(PER_WAVE.values())
PATIENCE = 60.0
UNPROVED = ("failed", "unsure", "waiting", "held", "claimed", "sent")
"""States of an entry that failed or is not settled yet, unless that is Cloudflare's decision."""
LEFT = frozenset[Why]({"unproved", "wrote_before"})
"""Why blocks are left to a person."""
CAUGHT = ("outbreak", "outbreak_forged", "outbreak_taken_over", "outbreak_spoof", "phish")
"""Kinds of mail that none of the shipped rules leaves in an inbox."""


class Figures(Struct, kw_only=True, rename=lambda name: name.replace("_", " ")):
    """What the demo prints. Times in seconds."""

    messages_read: int
    new_messages: int
    decisions: int
    entries: dict[str, dict[str, int]]
    api_calls: int
    calls_per_1000_messages: float
    calls_per_1000_actions: float
    visible_to_answered_p50: float
    visible_to_answered_p99: float
    answered_to_proved_p50: float
    answered_to_proved_p99: float
    repeated_effects: int
    left_in_inboxes: int
    open_gaps: int
    unproved: int
    senders_blocked: int
    unproved_senders_waiting: int
    known_senders_waiting: int
    verdicts_granted: int
    verdicts_rejected: int
    verdicts_undecided: int

    @property
    def is_good(self) -> bool:
        """Whether everything was read, and everything wanted was done once and proved."""
        return not (self.repeated_effects or self.left_in_inboxes or self.open_gaps or self.unproved)


@asynccontextmanager
async def serve_account(folder: Path, rules: Path, listen: str) -> AsyncIterator[tuple[World, Settings]]:
    """Serve an account with an hour of mail; yield it with the settings of a worker that enforces its rules there."""
    options = SandboxOptions(lag=LAG, report_after=5.0, review_delay=REVIEW)
    world = World(seed=1, now=time.time, mail_flow=MailFlow(messages=HISTORY), options=options)
    world.add_regulars()
    async with serve(world, latency=LATENCY) as url:
        yield world, Settings.load({
            "CLOUDFLARE_BASE_URL": f"{url}/client/v4",
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "CLOUDFLARE_API_TOKEN": "any",
            "WORKER_STORE_URL": f"sqlite:///{folder / 'demo.db'}",
            "WORKER_RULES": str(rules),
            "WORKER_CEILING": "enforce",
            "WORKER_SETTLE": "3s",
            "WORKER_POLL_EVERY": "1s",
            "WORKER_NOTIFY_SOC": "log://",
            "WORKER_LISTEN": listen,
            "WORKER_LOG_LEVEL": "warning",
        })  # fmt: skip


async def send_outbreak(world: World, on_progress: Callable[[int], None], stopping: asyncio.Event) -> None:
    """Let an outbreak arrive, unless the worker is stopped; report how many messages have arrived."""
    for wave in range(WAVES):
        if stopping.is_set():
            return
        for kind, count in PER_WAVE.items():
            world.arrive(count, kind)
        on_progress((wave + 1) * sum(PER_WAVE.values()))
        await asyncio.sleep(PAUSE)


async def wait_until_quiet(app: App, since: float) -> None:
    """Wait until everything up to a moment is read and every decision is settled, but not longer than a minute."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not app.stopping.is_set():
        if _has_read(app, since) and not await _is_busy(app):
            return
        await asyncio.sleep(PAUSE)


def _has_read(app: App, until: float) -> bool:
    return all(intake.reached > until for worker in app.workers for intake in worker.needed)


async def _is_busy(app: App) -> bool:
    far = app.services.clock.now() + PATIENCE
    for worker in app.workers:
        states = {state for counts in (await app.services.ledger.counts(worker.account)).values() for state in counts}
        if (
            "held" in states
            or await find_unsettled(app, worker)
            or await app.services.ledger.due_held(worker.account, far)
        ):
            return True
    return False


async def measure(app: App, world: World, since: float) -> Figures:
    """Measure; times are those of mail that arrived after ``since``, truths are the sandbox's."""
    (worker,) = app.workers
    ledger = app.services.ledger
    entries = await ledger.entries(worker.account, limit=1_000_000)
    acted = [entry for entry in entries if entry.answered_at and entry.lane != "notice"]
    to_action = _time_to_action(acted, world, since)
    to_proof = [entry.settled_at - entry.answered_at for entry in acted if entry.state == "done" and not entry.review]
    reviews = Counter(entry.review for entry in entries)
    calls = sum(worker.client.calls.values())
    return Figures(
        messages_read=worker.totals["read"],
        new_messages=worker.totals["new"],
        decisions=worker.totals["decisions"],
        entries=await ledger.counts(worker.account, app.services.clock.now()),
        api_calls=calls,
        calls_per_1000_messages=_per_1000(calls, worker.totals["read"]),
        calls_per_1000_actions=_per_1000(calls, len(acted)),
        visible_to_answered_p50=take_percentile(to_action, 50),
        visible_to_answered_p99=take_percentile(to_action, 99),
        answered_to_proved_p50=take_percentile(to_proof, 50),
        answered_to_proved_p99=take_percentile(to_proof, 99),
        repeated_effects=len(world.repeats()),
        left_in_inboxes=sum(mail.kind in CAUGHT and mail.now.folder == "Inbox" for mail in world.mails),
        open_gaps=sum([len(await intake.find_gaps()) for intake in worker.needed]),
        unproved=sum(_is_unproved(entry) for entry in entries),
        senders_blocked=sum(isinstance(entry.action, BlockSender) and entry.state == "done" for entry in entries),
        unproved_senders_waiting=sum(entry.why == "unproved" for entry in entries),
        known_senders_waiting=sum(entry.why == "wrote_before" for entry in entries),
        verdicts_granted=reviews["granted"],
        verdicts_rejected=sum(reviews[review] for review in DENIED),
        verdicts_undecided=reviews["accepted"],
    )


def _is_unproved(entry: Entry) -> bool:
    """Tell whether an action failed or is not settled; a block that is left to a person is as it should be."""
    return entry.state in UNPROVED and not entry.review and entry.why not in LEFT


def _time_to_action(acted: Iterable[Entry], world: World, since: float) -> list[float]:
    """Return the seconds from when mail could be read to the API's answer, of mail that arrived after ``since``."""
    read = (entry for entry in acted if _is_caused_by_mail(entry) and entry.target in world.by_id)
    visible = [(entry, world.by_id[entry.target].first) for entry in read]
    return [max(0.0, entry.answered_at - first) for entry, first in visible if first >= since]


def _is_caused_by_mail(entry: Entry) -> bool:
    key = EventKey.parse(entry.cause)
    return key is not None and key.kind == "Message"


def _per_1000(calls: int, things: int) -> float:
    return round(1000 * calls / things, 1) if things else 0.0


def take_percentile(values: list[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 2) if ordered else 0.0
