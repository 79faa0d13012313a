"""What happens in the account without the API: mail arrives, verdicts change, people act, reports appear."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from worker.sandbox.account import list_effects, reviews, traffic
from worker.sandbox.account.account import Account, Effect
from worker.sandbox.account.fixtures import furnish
from worker.sandbox.account.mail import DAY, Mail, first_state, log_entry, moved, released
from worker.sandbox.account.timeline import Timeline
from worker.sandbox.wire import Json, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sandbox.account.mail import State
    from worker.sandbox.options import Switches

HANDS = ("auto", "analyst")


class Life(Account):
    """An account in which things happen. Every hook acts at the present moment unless ``at`` names another."""

    def __init__(
        self,
        account: str,
        *,
        seed: int,
        now: Callable[[], float],
        lag: float,
        switches: Switches,
    ) -> None:
        """Begin with the lists a customer has, and no mail."""
        super().__init__(account, seed=seed, now=now, lag=lag, switches=switches)
        self.mail_rng = Random(f"mail {seed}")
        self.life_rng = Random(f"life {seed}")
        self.people_rng = Random(f"people {seed}")
        furnish(self, now() - 90 * DAY)

    def populate(self, messages: int, history: float, arrivals: float) -> None:
        """Begin with ``messages`` scanned in the last ``history`` seconds; ``arrivals`` more come every second."""
        begun = self.clock()
        for n in range(messages):
            self._arrival(begun - history * (messages - n) / messages)
        if arrivals > 0:
            self.later(begun + 1 / arrivals, partial(self._arrive_for_ever, 1 / arrivals))

    def add_entry(self, name: str, /, at: float | None = None, **fields: object) -> str:
        """Add an entry to a settings list by hand, with exactly these fields. Returns its id."""
        when = self._at(at)
        ident = f"00000000-0000-4000-8000-{self.number():012x}"
        entry: Json = {"id": ident, "created_at": moment(when), "modified_at": moment(when)}
        self.lists.setdefault(name, {})[ident] = Timeline(when, entry | fields)
        return ident

    def arrive(self, count: int, kind: str = "") -> list[Mail]:
        """Let messages arrive now; without a kind (see traffic.KINDS) they are drawn by weight."""
        now = self.advance()
        return [self._arrival(now, kind) for _ in range(count)]

    def _arrive_for_ever(self, every: float, at: float) -> None:
        self._arrival(at)
        self.later(at + every, partial(self._arrive_for_ever, every))

    def _arrival(self, at: float, kind: str = "") -> Mail:
        name = kind or traffic.pick(self.mail_rng)
        nature = traffic.KINDS[name]
        fields = traffic.compose(self.mail_rng, int(at), nature)
        late = self.life_rng.random() < self.switches.late
        indexed = at + self.switches.late_by * self.life_rng.random() if late else at
        state = self._judged(fields, nature.disposition, held=nature.quarantined)
        mail = self.keep(Mail(fields, int(at), indexed, state))
        mail.kind, mail.links = name, nature.links
        self._befall(mail)
        self._befall_users(mail)
        self._auto_move(mail, mail.first)
        return mail

    def _judged(self, fields: Json, disposition: str, *, held: bool, folder: str = "Inbox") -> State:
        """Return how new mail begins, after the lists of the account had their say; spared mail is not held."""
        verdict = list_effects.judge(self.lists, fields, disposition, self.switches.precedence)
        spared = verdict == "NONE" != disposition
        quarantined = (held and not spared) or list_effects.held(self.lists, fields, verdict)
        return first_state(verdict, quarantined=quarantined, folder=folder)

    def _befall(self, mail: Mail) -> None:
        """Draw what others will do with a message, and when."""
        switches, rng = self.switches, self.life_rng
        if rng.random() < switches.verdicts:
            verdict = rng.choice(("MALICIOUS", "SPAM", "NONE", "SUSPICIOUS"))
            when = mail.first + switches.verdict_after * rng.random()
            self.later(when, lambda at: self.change_verdict(mail.id, verdict, at=at))
        if rng.random() < switches.analysts and not mail.now.quarantined:
            by, when = rng.choice(HANDS), mail.first + switches.analyst_after * rng.random()
            self.later(when, lambda at: self.move_by_hand(mail.id, "DeletedItems", by, at=at))
        if mail.kind in {"clean", "phish", "outbreak"} and rng.random() < switches.reports:
            when = mail.first + switches.report_after * rng.random()
            self.later(when, lambda at: self.add_report(mail, at=at))

    def _befall_users(self, mail: Mail) -> None:
        """Draw whether somebody who got a message sends it in."""
        if self.people_rng.random() < self.switches.user_submissions and not mail.now.quarantined:
            sent = mail.first + self.switches.user_submission_after * self.people_rng.random()
            self.later(sent, lambda at: self.submit_by_user(mail, at=at))

    def submit_by_user(self, mail: Mail, *, at: float | None = None) -> str:
        """Let a recipient send a message in, and draw what the security team makes of that. Returns its id."""
        when, switches, fixed = self._at(at), self.switches, mail.fixed()
        original = reviews.six(mail.now.disposition)
        about: Json = {"original_postfix_id": mail.postfix, "original_disposition": original, "subject": fixed.subject}
        ident = self.add_submission(at=when, requested_by=next(iter(fixed.client_recipients), None), **about)
        fate, handled = self.people_rng.random(), when + switches.review_delay * self.people_rng.random()
        if fate < switches.user_submissions_reviewed:
            self.later(handled, lambda at: self.change_submission(ident, at=at, customer_status="reviewed"))
        elif fate < switches.user_submissions_reviewed + switches.user_submissions_escalated:
            self.later(handled, lambda at: self.escalate(mail, ident, at=at))
        if switches.phishguard:  # others wait until somebody escalates what their users send in
            self.later(when + switches.review_delay, lambda at: self._analyse(mail, ident, at))
        return ident

    def escalate(self, mail: Mail, ident: str, *, at: float | None = None) -> None:
        """Take the submission of a user further, as an analyst does in the dashboard."""
        stored = mail.stored
        reviews.ask(self, reviews.Wish(mail, "MALICIOUS", "analyst", self._at(at), stored=stored, escalates=ident))

    def _analyse(self, mail: Mail, ident: str, at: float) -> None:
        outcome = reviews.six(mail.now.disposition)
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
        ident = str(fields.get("id") or traffic.message_id_of(self.mail_rng, at))
        whole = traffic.skeleton(ident, at) | fields
        state = self._judged(whole, disposition, held=quarantined, folder=folder)
        mail = self.keep(Mail(whole, at, now if indexed is None else indexed, state))
        mail.links = links
        self._auto_move(mail, mail.first)
        return mail

    def change_verdict(self, ident: str, disposition: str, *, by: str = "cloudflare", at: float | None = None) -> None:
        """Judge a message anew."""
        when, mail = self._at(at), self.by_id[ident]
        before = mail.now
        mail.become(when, replace(before, disposition=disposition))
        detail: Json = {"disposition": disposition, "from": before.disposition}
        self.note(Effect(when, "verdict", ident, by, before.disposition != disposition, detail))
        self._auto_move(mail, when)

    def _auto_move(self, mail: Mail, since: float) -> None:
        """Let Cloudflare move what an auto-move is set up for, unless the verdict is another one by then."""
        folder = dict(self.switches.auto_moves).get(disposition := mail.now.disposition)

        def act(at: float) -> None:
            if mail.now.disposition == disposition and mail.now.folder != folder:
                self.move_by_hand(mail.id, str(folder), "auto", at=at)

        if folder is not None:
            self.later(since + self.switches.auto_move_after, act)

    def move_by_hand(self, ident: str, folder: str, by: str = "analyst", *, at: float | None = None) -> None:
        """Move a message as an analyst or an auto-move does, or as a user does, which Cloudflare does not notice."""
        when, mail = self._at(at), self.by_id[ident]
        before = mail.now
        if before.quarantined:
            return
        if by == "user":
            mail.become(when, replace(before, folder=folder))
        else:
            entry = log_entry("MOVE", when, "OK", by, folder)
            mail.become(when, moved(before, folder, ("moved",), (entry,)))
        self.note(Effect(when, "move", ident, by, before.folder != folder, {"destination": folder}))

    def release_by_hand(self, ident: str, by: str = "analyst", *, at: float | None = None) -> None:
        """Release a message as an analyst does in the dashboard."""
        when, mail = self._at(at), self.by_id[ident]
        before = mail.now
        if not before.quarantined:
            return
        everybody = mail.fixed().client_recipients
        entry = log_entry("QUARANTINE_RELEASE", when, "OK", by)
        mail.become(when, released(before, everybody, everybody, entry))
        self.note(Effect(when, "release", ident, by, changed=True))

    def add_report(
        self, mail: Mail | None = None, *, disposition: str = "MALICIOUS", at: float | None = None, **fields: object
    ) -> int:
        """Add a PhishGuard report about a message, or about none; ``fields`` of the API win. Returns its id."""
        when = self._at(at)
        ident = self.number()
        about: Json = {"to": [], "from": None, "postfix_id": None, "occurred_at": moment(when)}
        if mail is not None:
            fixed = mail.fixed()
            about = {"to": fixed.client_recipients, "from": fixed.sender, "postfix_id": mail.postfix}
            about["occurred_at"] = moment(mail.scanned)
        report: Json = {
            "id": ident,
            "title": "Reported message",
            "content": "An analyst looked at this message.",
            "priority": "high",
            "disposition": disposition,
            "fields": about,
            "tags": [{"category": "threat", "value": "impersonation"}],
            "created_at": moment(when),
            "updated_at": moment(when),
        }
        self.reports[ident] = Timeline(when, report | fields)
        return ident

    def update_report(self, ident: int, *, at: float | None = None, **fields: object) -> None:
        """Change a report; its ``updated_at`` moves."""
        when, report = self._at(at), self.reports[ident]
        report.become(when, {**(report.value or {}), "updated_at": moment(when), **fields})

    def add_submission(self, *, at: float | None = None, **fields: object) -> str:
        """Add a submission; without fields it is one of an end user about no message. Returns its id."""
        when = self._at(at)
        ident = f"{self.seed:08x}-0000-4000-8000-{self.number():012x}"
        submission: Json = {
            "submission_id": ident,
            "requested_at": moment(when),
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
        submission.become(self._at(at), {**(submission.value or {}), **fields})

    def _at(self, at: float | None) -> float:
        return self.advance() if at is None else at
