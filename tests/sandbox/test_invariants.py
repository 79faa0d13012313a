"""Whatever is asked of an account, and whatever else happens in it, some things hold at every moment."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.sandbox.sandbox import Sandbox
from worker.sandbox import SandboxOptions, label
from worker.sandbox.account.mail import DESTINATIONS, QUARANTINE, SIX, Mail

US = label("a-token")
FOLDERS = st.sampled_from(sorted(DESTINATIONS))
COUNTERS = {
    "COMPLETED": "successful",
    "FAILED": "failed",
    "SKIPPED": "skipped",
    "CANCELLED": "cancelled",
    "PENDING": "pending",
    "PROCESSING": "pending",
}
SEARCHES = st.sampled_from(
    [{}, {"detections_only": False}, {"final_disposition": "SPAM"}, {"sender": "win-now.test"}, {"submissions": True}]
)


class Accounts(RuleBasedStateMachine):
    """One account: requests, jobs that go on by themselves, people, and time."""

    def __init__(self) -> None:
        super().__init__()
        options = SandboxOptions(
            move_failed=0.2,
            release_failed=0.2,
            job_failed=0.1,
            job_handles=2,
            job_discovers=4,
            job_retries=1,
            moved_back=0.3,
            analysts=0.2,
            verdicts=0.2,
            user_submissions=0.3,
            user_submissions_escalated=0.4,
            submission_delay=2.0,
            review_delay=9.0,
            auto_moves=(("SPAM", "JunkEmail"),),
        )
        self.sandbox = Sandbox(messages=6, quota=None, options=options)
        self.world = self.sandbox.world
        self.world.add_message(is_phish_submission=True)
        self.over: dict[str, tuple[int, dict[str, Any]]] = {}

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 40.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        """Turn the clock."""
        self.sandbox.time += seconds
        self.world.advance()

    @rule(count=st.integers(1, 3))
    def mail_arrives(self, count: int) -> None:
        """Let new mail come in."""
        self.world.arrive(count)

    @rule(places=st.sets(st.integers(0, 40), min_size=1, max_size=4), folder=FOLDERS)
    def move(self, places: set[int], folder: str) -> None:
        """Move some messages by hand of the API."""
        ids = [self._mail(place).id for place in places]
        assert self.sandbox.ask("POST", "investigate/move", {"ids": ids, "destination": folder}).status == 200

    @rule(places=st.sets(st.integers(0, 40), min_size=1, max_size=4))
    def release(self, places: set[int]) -> None:
        """Release some messages."""
        self.sandbox.ask("POST", "investigate/release", [self._mail(place).id for place in places])

    @rule(place=st.integers(0, 40), folder=FOLDERS, by=st.sampled_from(["user", "analyst", "auto"]))
    def somebody_else_moves(self, place: int, folder: str, by: str) -> None:
        """Move one as somebody else."""
        self.world.move_by_hand(self._mail(place).id, folder, by)

    @rule(place=st.integers(0, 40), wanted=st.sampled_from(sorted(SIX)))
    def ask_for_another_verdict(self, place: int, wanted: str) -> None:
        """Send one in."""
        item = {"id": self._mail(place).id, "expected_disposition": wanted}
        assert self.sandbox.ask("POST", "submissions", {"type": "reclassification", "messages": [item]}).status == 202

    @rule(folder=st.one_of(st.none(), FOLDERS), search=SEARCHES)
    def begin_a_job(self, folder: str | None, search: dict[str, object]) -> None:
        """Create a job that moves, or releases."""
        body = {"action": "MOVE" if folder else "RELEASE", "destination": folder, "search_params": search}
        assert self.sandbox.ask("POST", "investigate/bulk", body).status == 201

    @precondition(lambda self: self.world.jobs)
    @rule(place=st.integers(0, 9))
    def cancel_a_job(self, place: int) -> None:
        """Cancel one; from then on nothing in it may change."""
        ident = self._job(place)
        before = self.world.jobs[ident].running
        reply = self.sandbox.ask("POST", f"investigate/bulk/{ident}/cancel")
        assert (reply.status == 200) == before

    @precondition(lambda self: self.world.jobs)
    @rule(place=st.integers(0, 9))
    def delete_a_job(self, place: int) -> None:
        """Delete one, which it must have ended for."""
        ident = self._job(place)
        if self.sandbox.ask("DELETE", f"investigate/bulk/{ident}").status == 200:
            assert self.sandbox.ask("GET", f"investigate/bulk/{ident}").status == 404

    def _mail(self, place: int) -> Mail:
        return self.world.mails[place % len(self.world.mails)]

    def _job(self, place: int) -> str:
        return list(self.world.jobs)[place % len(self.world.jobs)]

    @invariant()
    def a_message_is_in_one_place(self) -> None:
        """A message lies in one folder, or is held, and reads say the same."""
        found = self.sandbox.ask("GET", "investigate", per_page=1000, detections_only="false")
        shown = {row["id"]: row for row in found.result}
        for mail in self.world.mails:
            assert mail.now.folder in DESTINATIONS | {QUARANTINE}
            assert mail.now.quarantined == (mail.now.folder == QUARANTINE) == ("quarantined" in mail.now.delivery)
            if mail.id in shown:
                assert shown[mail.id]["is_quarantined"] == mail.now.quarantined

    @invariant()
    def counters_add_up(self) -> None:
        """A job's counters add up, and are those of its rows; a job that is over stays as it is."""
        for job in self.sandbox.ask("GET", "investigate/bulk", per_page=1000).result:
            rows = self.sandbox.ask("GET", f"investigate/bulk/{job['job_id']}/messages", per_page=1000).result
            counted = Counter(f"messages_{COUNTERS[row['status']]}" for row in rows)
            assert {name: job[name] for name in job if name.startswith("messages_")} == {
                f"messages_{name}": counted[f"messages_{name}"] for name in COUNTERS.values()
            }
            assert job["total_messages_discovered"] == len(rows) == counted.total()
            assert len({(row["message_id"], row["action_params"]["client_recipient"]) for row in rows}) == len(rows)
            assert (job["completed_at"] is not None) == (job["status"] in {"COMPLETED", "FAILED", "CANCELLED"})
            if job["completed_at"]:
                assert job["messages_pending"] == 0
                assert self.over.setdefault(job["job_id"], (len(rows), job)) == (len(rows), job)

    @invariant()
    def effects_and_logs_agree(self) -> None:
        """What was tried in our name is in the log: a move once for each recipient, a release once."""
        tried: Counter[str] = Counter()
        released: Counter[str] = Counter()
        for effect in self.world.effects:
            if effect.by == US and effect.operation == "move":
                tried[effect.target] += len(effect.detail["statuses"])  # type: ignore[arg-type]
            if effect.by == US and effect.operation == "release":
                released[effect.target] += 1
        for mail in self.world.mails:
            entries = Counter((entry["operation"], entry["status"]) for entry in mail.now.log if _by(entry) == US)
            moves = sum(count for (operation, _), count in entries.items() if operation == "MOVE")
            releases = sum(count for (operation, _), count in entries.items() if operation == "QUARANTINE_RELEASE")
            assert moves == tried[mail.id]
            assert releases == released[mail.id]

    @invariant()
    def a_move_that_worked_is_on_record_with_its_job(self) -> None:
        """Each row that is done left an entry in the log of its message that says so."""
        for job in self.world.jobs.values():
            for row in job.rows:
                if row.value.status == "COMPLETED":
                    wanted = "QUARANTINE_RELEASE" if job.destination is None else "MOVE"
                    assert wanted in (row.mail.now.operations or ())


def _by(entry: dict[str, Any]) -> str:
    return str(entry["properties"]["requested_by"])


TestAccounts = pytest.mark.slow(Accounts.TestCase)  # hundreds of invented days
TestAccounts.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
