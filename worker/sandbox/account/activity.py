"""What happens in the account without the API: mail arrives, verdicts change, people act, reports appear."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from worker.sandbox.account import list_effects, reviews, traffic
from worker.sandbox.account.account import AccountState
from worker.sandbox.account.fixtures import add_fixtures
from worker.sandbox.account.mail import DAY, Mail, first_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sandbox.account.mail import State
    from worker.sandbox.options import MailFlow, SandboxOptions
    from worker.sandbox.wire import Json

HANDS = ("auto", "analyst")


class Activity(AccountState):
    """An account in which things happen without any request."""

    def __init__(self, account: str, *, seed: int, now: Callable[[], float], options: SandboxOptions) -> None:
        super().__init__(account, seed=seed, now=now, options=options)
        # Three sources of chance: what people do with mail must not change which mail arrives.
        self.mail_rng = Random(f"mail {seed}")
        self.events_rng = Random(f"life {seed}")
        self.people_rng = Random(f"people {seed}")
        add_fixtures(self, now() - 90 * DAY)

    def populate(self, flow: MailFlow) -> None:
        """Add the mail of the past, and let that of the future arrive."""
        begun = self.clock()
        for n in range(flow.messages):
            self._add_arrival(begun - flow.history * (flow.messages - n) / flow.messages)
        if flow.arrivals > 0:
            self.schedule(begun + 1 / flow.arrivals, partial(self._keep_arriving, 1 / flow.arrivals))

    def add_regulars(self) -> None:
        """Let those have written clean mail three days ago whose accounts are taken over in an outbreak."""
        for domain in traffic.KINDS["outbreak_taken_over"].domains:
            for name in traffic.REGULARS:
                self.add_message(disposition="NONE", sender=f"{name}@{domain}", scanned=self.clock() - 3 * DAY)

    def arrive(self, count: int, kind: str = "") -> list[Mail]:
        """Let messages arrive now; without a kind (see traffic.KINDS) they are drawn by weight."""
        now = self.advance()
        return [self._add_arrival(now, kind) for _ in range(count)]

    def _keep_arriving(self, every: float, at: float) -> None:
        self._add_arrival(at)
        self.schedule(at + every, partial(self._keep_arriving, every))

    def _add_arrival(self, at: float, kind: str = "") -> Mail:
        name = kind or traffic.pick(self.mail_rng)
        nature = traffic.KINDS[name]
        fields = traffic.compose(self.mail_rng, int(at), nature)
        late = self.events_rng.random() < self.options.late
        indexed = at + self.options.late_by * self.events_rng.random() if late else at
        state = self._judge(fields, nature.disposition, held=nature.quarantined)
        mail = self.keep(Mail(fields, int(at), indexed, state))
        mail.kind, mail.links = name, nature.links
        self._schedule_events(mail)
        self._schedule_submission(mail)
        self._auto_move(mail, mail.first)
        return mail

    def _judge(self, fields: Json, disposition: str, *, held: bool, folder: str = "Inbox") -> State:
        """Return the first state of new mail, after the lists were asked; mail that they let through is not held."""
        verdict = list_effects.judge(self.lists, fields, disposition, self.options.precedence)
        spared = verdict == "NONE" != disposition
        quarantined = (held and not spared) or list_effects.is_held(self.lists, fields, verdict)
        return first_state(verdict, quarantined=quarantined, folder=folder)

    def _schedule_events(self, mail: Mail) -> None:
        """Draw what Cloudflare and analysts will do with a message, and when."""
        options, rng = self.options, self.events_rng
        if rng.random() < options.verdicts:
            verdict = rng.choice(("MALICIOUS", "SPAM", "NONE", "SUSPICIOUS"))
            when = mail.first + options.verdict_after * rng.random()
            self.schedule(when, lambda at: self.change_verdict(mail.id, verdict, at=at))
        if rng.random() < options.analysts and not mail.now.quarantined:
            by, when = rng.choice(HANDS), mail.first + options.analyst_after * rng.random()
            self.schedule(when, lambda at: self.move_by_hand(mail.id, "DeletedItems", by, at=at))
        if mail.kind in {"clean", "phish", "outbreak"} and rng.random() < options.reports:
            when = mail.first + options.report_after * rng.random()
            self.schedule(when, lambda at: self.add_report(mail, at=at))

    def _schedule_submission(self, mail: Mail) -> None:
        """Draw whether a recipient will send a message in, and when."""
        if self.people_rng.random() < self.options.user_submissions and not mail.now.quarantined:
            sent = mail.first + self.options.user_submission_after * self.people_rng.random()
            self.schedule(sent, lambda at: self.submit_by_user(mail, at=at))

    def submit_by_user(self, mail: Mail, *, at: float | None = None) -> str:
        """Let a recipient send a message in, and draw how the security team handles it. Returns the submission's id."""
        when, options, fixed = self._resolve_time(at), self.options, mail.read_fixed()
        original = reviews.limit_to_six(mail.now.disposition)
        about: Json = {"original_postfix_id": mail.postfix, "original_disposition": original, "subject": fixed.subject}
        ident = self.add_submission(at=when, requested_by=next(iter(fixed.client_recipients), None), **about)
        fate, handled = self.people_rng.random(), when + options.review_delay * self.people_rng.random()
        if fate < options.user_submissions_reviewed:
            self.schedule(handled, lambda at: self.change_submission(ident, at=at, customer_status="reviewed"))
        elif fate < options.user_submissions_reviewed + options.user_submissions_escalated:
            self.schedule(handled, lambda at: self.escalate(mail, ident, at=at))
        if options.phishguard:  # without it a submission waits until somebody escalates it
            self.schedule(when + options.review_delay, lambda at: self._analyse(mail, ident, at))
        return ident

    def escalate(self, mail: Mail, ident: str, *, at: float | None = None) -> None:
        """Escalate the submission of a user, as an analyst does in the dashboard."""
        when, stored = self._resolve_time(at), reviews.has_body(self, mail)
        request = reviews.VerdictRequest(mail, "MALICIOUS", "analyst", when, stored=stored, escalates=ident)
        reviews.request_verdict(self, request)

    def _analyse(self, mail: Mail, ident: str, at: float) -> None:
        outcome = reviews.limit_to_six(mail.now.disposition)
        self.change_submission(ident, at=at, status="completed", outcome="analysed", outcome_disposition=outcome)

    def add_message(
        self,
        *,
        disposition: str = "MALICIOUS",
        quarantined: bool = False,
        folder: str = "Inbox",
        scanned: float | None = None,
        indexed: float | None = None,
        links: tuple[str, ...] = (),
        **fields: object,
    ) -> Mail:
        """Add one message with the given fields of the API (``sender`` stands for ``from``) and the required ones.

        ``scanned`` and ``indexed`` are epoch seconds; both are now by default.
        """
        now = self.advance()
        at = int(now if scanned is None else scanned)
        if "sender" in fields:
            fields["from"] = fields.pop("sender")
        ident = str(fields.get("id") or traffic.make_message_id(self.mail_rng, at))
        whole = traffic.fill_required(ident, at) | fields
        state = self._judge(whole, disposition, held=quarantined, folder=folder)
        mail = self.keep(Mail(whole, at, now if indexed is None else indexed, state))
        mail.links = links
        self._auto_move(mail, mail.first)
        return mail
