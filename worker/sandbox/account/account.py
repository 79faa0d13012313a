"""One account of the sandbox: its mail, reports, submissions and lists, its clock, and everything that changed it."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from worker.sandbox.account.mail import DONE, SCAN_TIME, apply_move, apply_release, log_entry
from worker.sandbox.account.timeline import Timeline
from worker.sandbox.wire import IncomingRequest, Json, Reader, Refused, format_moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sandbox.account.jobs import Job
    from worker.sandbox.account.mail import Mail, State
    from worker.sandbox.account.timeline import RecordTimeline
    from worker.sandbox.options import SandboxOptions


FIRST_ENTRY = 2400
"""What ids that are numbers begin after."""


class SlowSearch(Struct, frozen=True):
    """A search that is still running until ``ready`` (epoch seconds)."""

    request: IncomingRequest
    ready: float


class Effect(Struct, frozen=True):
    """One change somebody asked for, at ``at`` epoch seconds; ``changed`` tells whether it changed anything.

    ``by`` is the label of a credential (never the credential), or analyst, user, auto, cloudflare.
    """

    at: float
    operation: str
    target: str
    by: str
    changed: bool
    detail: Json = {}


class AccountState:
    """The state, and the ways to change it. Reads see writes ``options.lag`` seconds later.

    ``now`` gives epoch seconds. Every change is made at the present moment unless ``at`` names another.
    """

    def __init__(self, account: str, *, seed: int, now: Callable[[], float], options: SandboxOptions) -> None:
        self.account = account
        self.seed = seed
        self.clock = now
        self.options = options
        self.rng = Random(f"acts {seed}")
        self.mails: list[Mail] = []
        self.by_id: dict[str, Mail] = {}
        self.reports: dict[int, RecordTimeline] = {}
        self.submissions: dict[str, RecordTimeline] = {}
        self.lists: dict[str, dict[str, RecordTimeline]] = {}
        self.jobs: dict[str, Job] = {}
        self.effects: list[Effect] = []
        self.slow_searches: dict[str, SlowSearch] = {}
        self._due: list[tuple[float, int, Callable[[float], object]]] = []
        self._numbered = 0

    @property
    def reader(self) -> Reader:
        """A reader of queries and bodies, with the status that refusals have."""
        return Reader(self.options.invalid)

    def keep_deprecated(self, **fields: object) -> Json:
        """Return fields that are past their end of life if an option keeps them, else nothing."""
        return fields if self.options.deprecated else {}

    def advance(self) -> float:
        """Let everything that is due happen, in the order of its time, and return the time."""
        now = self.clock()
        while self._due and self._due[0][0] <= now:
            at, _, act = heappop(self._due)
            act(at)
        return now

    def schedule(self, at: float, act: Callable[[float], object]) -> None:
        """Call ``act`` with the moment ``at`` once that has come."""
        # The number decides between two of one moment: functions cannot be compared.
        heappush(self._due, (at, self.next_number(), act))

    def next_number(self) -> int:
        """Return the next number of this account."""
        self._numbered += 1
        return self._numbered

    def horizon(self, now: float, key: str) -> float:
        """Return the moment as of which a read at ``now`` sees what has this key."""
        if not self.options.lag_jitter:
            return now - self.options.lag
        # The share is fixed for each key, so that what was seen once stays seen.
        return now - self.options.lag * (crc32(f"{self.seed} {key}".encode()) % 1000) / 999

    def keep(self, mail: Mail) -> Mail:
        """Add a message to the account."""
        if not self.mails or self.mails[-1].scanned <= mail.scanned:
            self.mails.append(mail)
        else:  # one that somebody adds by hand may be of any age
            insort(self.mails, mail, key=SCAN_TIME)
        self.by_id[mail.id] = mail
        return mail

    def find_mail(self, ident: str, now: float) -> Mail | None:
        """Return the message of an id (or, with an option, of a postfix id) that the index has by ``now``."""
        mail = self.by_id.get(ident)
        if mail is None and self.options.postfix_path:
            mail = next((one for one in self.mails if one.postfix == ident), None)
        return mail if mail is not None and mail.first <= now else None

    def read_mail(self, mail: Mail, now: float) -> State | None:
        """Return the state of a message as a read at ``now`` sees it."""
        return mail.read(self.horizon(now, mail.id))

    def read_all(self, timelines: dict[str, RecordTimeline], now: float) -> list[Json]:
        """Return the values that a read at ``now`` sees."""
        values = (timeline.read(self.horizon(now, key)) for key, timeline in timelines.items())
        return [value for value in values if value is not None]

    def find_entry(self, name: str, ident: str, now: float) -> Json:
        """Return an entry of a list as a read at ``now`` sees it."""
        timeline = self.lists.get(name, {}).get(ident)
        entry = timeline.read(self.horizon(now, ident)) if timeline is not None else None
        if entry is None:
            raise Refused(404, 10005, f"no entry {ident} in {name}")
        return entry

    def record(self, effect: Effect) -> Effect:
        """Put an effect on record."""
        self.effects.append(effect)
        return effect

    def repeats(self) -> list[Effect]:
        """Return the effects beyond the first for the same operation and target by the same credential."""
        count: Counter[tuple[str, str, str]] = Counter()
        beyond: list[Effect] = []
        for effect in self.effects:
            key = (effect.operation, effect.target, effect.by)
            count[key] += 1
            if count[key] > 1:
                beyond.append(effect)
        return beyond

    def make_entry_id(self, otherwise: str) -> str:
        """Return the id of a new entry: a number in the era of the seeds, else what is given."""
        return str(FIRST_ENTRY + self.next_number()) if self.options.seeds else otherwise

    def add_entry(self, name: str, /, at: float | None = None, **fields: object) -> str:
        """Add an entry to a settings list by hand, with exactly these fields. Returns its id."""
        when = self._resolve_time(at)
        ident = self.make_entry_id(f"00000000-0000-4000-8000-{self.next_number():012x}")
        entry: Json = {"id": ident, "created_at": format_moment(when), "modified_at": format_moment(when)}
        self.lists.setdefault(name, {})[ident] = Timeline(when, entry | fields)
        return ident

    def change_verdict(self, ident: str, disposition: str, *, by: str = "cloudflare", at: float | None = None) -> None:
        """Give a message another disposition."""
        when, mail = self._resolve_time(at), self.by_id[ident]
        before = mail.now
        mail.become(when, replace(before, disposition=disposition))
        detail: Json = {"disposition": disposition, "from": before.disposition}
        self.record(Effect(when, "verdict", ident, by, before.disposition != disposition, detail))
        self._auto_move(mail, when)

    def _auto_move(self, mail: Mail, since: float) -> None:
        """Let Cloudflare move a message if its verdict has an auto-move, and is still the same by then."""
        folder = dict(self.options.auto_moves).get(disposition := mail.now.disposition)

        def act(at: float) -> None:
            if mail.now.disposition == disposition and mail.now.folder != folder:
                self.move_by_hand(mail.id, str(folder), "auto", at=at)

        if folder is not None:
            self.schedule(since + self.options.auto_move_after, act)

    def move_by_hand(self, ident: str, folder: str, by: str = "analyst", *, at: float | None = None) -> None:
        """Move a message as an analyst or an auto-move does, or as a user does, which leaves no trace in its log."""
        when, mail = self._resolve_time(at), self.by_id[ident]
        before = mail.now
        if before.quarantined:
            return
        if by == "user":
            mail.become(when, replace(before, folder=folder))
        else:
            entry = log_entry("MOVE", when, DONE, by, folder)
            mail.become(when, apply_move(before, folder, ("moved",), (entry,)))
        self.record(Effect(when, "move", ident, by, before.folder != folder, {"destination": folder}))

    def release_by_hand(self, ident: str, by: str = "analyst", *, at: float | None = None) -> None:
        """Release a message as an analyst does in the dashboard."""
        when, mail = self._resolve_time(at), self.by_id[ident]
        before = mail.now
        if not before.quarantined:
            return
        everybody = mail.read_fixed().client_recipients
        entry = log_entry("QUARANTINE_RELEASE", when, DONE, by)
        mail.become(when, apply_release(before, everybody, everybody, entry))
        self.record(Effect(when, "release", ident, by, changed=True))

    def add_report(
        self, mail: Mail | None = None, *, disposition: str = "MALICIOUS", at: float | None = None, **fields: object
    ) -> int:
        """Add a PhishGuard report about a message, or about none; ``fields`` replace its own. Returns its id."""
        when = self._resolve_time(at)
        ident = self.next_number()
        about: Json = {"to": [], "from": None, "postfix_id": None, "occurred_at": format_moment(when)}
        if mail is not None:
            fixed = mail.read_fixed()
            about = {"to": fixed.client_recipients, "from": fixed.sender, "postfix_id": mail.postfix}
            about["occurred_at"] = format_moment(mail.scanned)
        report: Json = {
            "id": ident,
            "title": "Reported message",
            "content": "An analyst looked at this message.",
            "priority": "high",
            "disposition": disposition,
            "fields": about,
            "tags": [{"category": "threat", "value": "impersonation"}],
            "created_at": format_moment(when),
            "updated_at": format_moment(when),
        }
        self.reports[ident] = Timeline(when, report | fields)
        return ident

    def update_report(self, ident: int, *, at: float | None = None, **fields: object) -> None:
        """Change a report and its ``updated_at``."""
        when, report = self._resolve_time(at), self.reports[ident]
        report.become(when, {**(report.value or {}), "updated_at": format_moment(when), **fields})

    def add_submission(self, *, at: float | None = None, **fields: object) -> str:
        """Add a submission; without fields it is one of an end user about no message. Returns its id."""
        when = self._resolve_time(at)
        ident = f"{self.seed:08x}-0000-4000-8000-{self.next_number():012x}"
        submission: Json = {
            "submission_id": ident,
            "requested_at": format_moment(when),
            "requested_disposition": "MALICIOUS",
            "type": "User",
            "status": "pending",
            "customer_status": "unreviewed",
        }
        self.submissions[ident] = Timeline(when, submission | fields)
        return ident

    def change_submission(self, ident: str, *, at: float | None = None, **fields: object) -> None:
        """Change a submission, as its review does."""
        submission = self.submissions[ident]
        submission.become(self._resolve_time(at), {**(submission.value or {}), **fields})

    def _resolve_time(self, at: float | None) -> float:
        return self.advance() if at is None else at
