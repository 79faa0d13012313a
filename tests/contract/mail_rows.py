"""Rows of the contract: mail, jobs, reports, submissions."""

from base64 import b64encode
from typing import Any

from tests.contract.rows import Row, Said, said
from tests.contract.scene import Scene, utc
from worker.api import Urgency
from worker.api.bodies import WhereMessage
from worker.api.bulk import BulkSearch
from worker.api.submissions import WhereSubmission

EML = b"From: ada@corp.example\r\nSubject: mine\r\n\r\nHello.\r\n"


def _of_the_mail(scene: Scene) -> dict[str, Any]:
    """Every condition that only the message that was moved meets."""
    mail, fixed = scene.moved, scene.moved.read_fixed()
    return {
        "alert_id": mail.id.rpartition("-")[0],
        "delivery_status": "moved",
        "domain": str(fixed.sender).partition("@")[2],
        "final_disposition": "MALICIOUS",
        "message_action": "MOVED",
        "message_id": fixed.message_id,
        "metric": "any",
        "query": str(fixed.from_name).partition(" ")[0],
        "recipient": fixed.client_recipients[0],
        "sender": fixed.sender,
        "smtp_helo_ip": fixed.smtp_helo_server_ip,
        "subject": fixed.subject,
    }


def _search(scene: Scene) -> Said:
    where, urgency = WhereMessage(**_of_the_mail(scene)), Urgency.ACT
    return said(where, start=scene.start, end=scene.end, urgency=urgency, detections_only=False, per_page=7)


def _their_search(scene: Scene) -> Said:
    span = {"start": utc(scene.start), "end": utc(scene.end)}
    return said(**_of_the_mail(scene), **span, detections_only=False, per_page=7)


def _sought(scene: Scene) -> dict[str, Any]:
    old = {"action_log": False, "exact_subject": scene.moved.read_fixed().subject, "submissions": False}
    return {**_of_the_mail(scene), **old, "detections_only": True}


def _job(scene: Scene) -> Said:
    search = BulkSearch(start=scene.start, end=scene.end, **_sought(scene))
    return said("MOVE", search, expected=1, destination="DeletedItems", comment="away with it")


def _their_job(scene: Scene) -> Said:
    search = {**_sought(scene), "start": utc(scene.start), "end": utc(scene.end)}
    return said(action="MOVE", search_params=search, destination="DeletedItems", comment="away with it")


def _submissions(scene: Scene) -> dict[str, Any]:
    return {
        "type": "USER",
        "status": "unreviewed",
        "direction": "asc",
        "escalated_from_user": False,
        "order": "subject",
        "original_disposition": "MALICIOUS",
        "query": str(scene.mail.read_fixed().subject),
        "requested_disposition": "MALICIOUS",
        "submission_id": scene.submission,
    }


def _span(scene: Scene, **more: object) -> Said:
    return said(start=utc(scene.start), end=utc(scene.end), page=1, per_page=9, **more)


def _reclassified(scene: Scene) -> bool:
    scene.clock.advance(10)
    scene.world.advance()
    last = list(scene.world.submissions.values())[-1].value or {}
    return (last["type"], last["original_postfix_id"]) == ("Team", scene.clean.postfix)


def _counted(job: Any) -> bool:  # noqa: ANN401 (a job of ours)
    parts = job.messages_pending + job.messages_successful + job.messages_failed
    return bool(job.total_messages_discovered == parts + job.messages_skipped + job.messages_cancelled)


MAIL_ROWS = (
    Row(
        "analytics.monthly_report",
        lambda _: said(),
        lambda report, s: (
            [one.month for one in report.months][-1] == f"{utc(s.end):%Y-%m}"
            and sum(one.counts["messages"] for one in report.months) == len(s.world.mails)
        ),
    ),
    Row(
        "investigate.search",
        _search,
        lambda page, s: [one.id for one in page.read().entries] == [s.moved.id] and page.complete,
        "investigate.list",
        _their_search,
    ),
    Row(
        "investigate.get",
        lambda s: said(s.mail.id, submission=True),
        lambda raw, s: f'"id":"{s.mail.id}"'.encode() in bytes(raw),
        "investigate.get",
        lambda s: said(s.mail.id, submission=True),
    ),
    Row(
        "investigate.action_log",
        lambda s: said(s.moved.id),
        lambda log, _: (
            [(one.operation, one.folder, one.status) for one in log.entries] == [("MOVE", "JunkEmail", "OK")]
        ),
    ),
    Row(
        "investigate.detections",
        lambda s: said(s.mail.id),
        lambda found, s: found.final_disposition == "MALICIOUS" and found.links[0].href == s.mail.links[0],
        "investigate.detections.get",
        lambda s: said(s.mail.id),
    ),
    Row(
        "investigate.raw",
        lambda s: said(s.mail.id),
        lambda found, s: str(s.mail.read_fixed().message_id) in found.raw,
        "investigate.raw.get",
        lambda s: said(s.mail.id),
    ),
    Row(
        "investigate.trace",
        lambda s: said(s.mail.id),
        lambda way, s: s.mail.postfix in "".join(line.message for line in way.inbound.lines),
        "investigate.trace.get",
        lambda s: said(s.mail.id),
    ),
    Row(
        "investigate.preview",
        lambda s: said(s.mail.id),
        lambda shown, s: shown.png.startswith(b"\x89PNG") and s.mail.now.log[-1]["operation"] == "PREVIEW",
        "investigate.preview.get",
        lambda s: said(s.mail.id),
    ),
    Row(
        "investigate.preview_clean",
        lambda s: said(s.clean.id),
        lambda shown, _: shown.png.startswith(b"\x89PNG"),
        "investigate.preview.create",
        lambda s: said(id=s.clean.id),
    ),
    Row(
        "investigate.move",
        lambda s: said([s.mail.id, s.moved.id], "DeletedItems"),
        lambda items, s: (
            all(one.success for one in items)
            and [one.recipient for one in items]
            == [to for m in (s.mail, s.moved) for to in m.read_fixed().client_recipients]
            and s.mail.now.folder == s.moved.now.folder == "DeletedItems"
        ),
        "investigate.move.bulk",
        lambda s: said(ids=[s.mail.id, s.moved.id], destination="DeletedItems"),
    ),
    Row(
        "investigate.move_one",
        lambda s: said(s.mail.id, "RecoverableItemsPurges"),
        lambda items, s: items[0].success and s.mail.now.folder == "RecoverableItemsPurges",
        "investigate.move.create",
        lambda s: said(s.mail.id, destination="RecoverableItemsPurges"),
    ),
    Row(
        "investigate.release",
        lambda s: said([s.held.id]),
        lambda items, s: (
            [(one.id, one.delivered) for one in items] == [(s.held.id, s.held.read_fixed().client_recipients)]
            and not s.held.now.quarantined
        ),
        "investigate.release.bulk",
        lambda s: said(ids=[s.held.id]),
    ),
    Row(
        "investigate.reclassify",
        lambda s: said(s.clean.id, "SPAM", eml=EML, escalated_submission_id=s.submission),
        lambda _, s: _reclassified(s),
        "investigate.reclassify.create",
        lambda s: said(
            s.clean.id,
            expected_disposition="SPAM",
            eml_content=b64encode(EML).decode(),
            escalated_submission_id=s.submission,
        ),
    ),
    Row(
        "investigate.bulk.list",
        lambda s: said(action_type="MOVE", status=("COMPLETED" if s.ended else None), per_page=9),
        lambda page, s: [job.job_id for job in page.entries] == [s.ended] and page.broken == 0,
        "investigate.bulk.list",
        lambda s: said(action_type="MOVE", status=("COMPLETED" if s.ended else None), per_page=9),
    ),
    Row(
        "investigate.bulk.create",
        _job,
        lambda job, _: (
            (job.status, job.comment, job.action_params.destination) == ("PENDING", "away with it", "DeletedItems")
        ),
        "investigate.bulk.create",
        _their_job,
    ),
    Row(
        "investigate.bulk.get",
        lambda s: said(s.ended),
        lambda job, s: (
            (job.job_id, job.status, job.messages_successful)
            == (s.ended, "COMPLETED", len(s.mail.read_fixed().client_recipients))
            and _counted(job)
        ),
        "investigate.bulk.get",
        lambda s: said(s.ended),
    ),
    Row(
        "investigate.bulk.messages",
        lambda s: said(s.ended, status="COMPLETED", per_page=9),
        lambda page, s: (
            {row.message_id for row in page.entries} == {s.mail.id}
            and [row.action_params.client_recipient for row in page.entries] == [*s.mail.read_fixed().client_recipients]
            and page.entries[0].message.id == s.mail.id
        ),
        "investigate.bulk.messages.list",
        lambda s: said(s.ended, status="COMPLETED", per_page=9),
    ),
    Row(
        "investigate.bulk.cancel",
        lambda s: said(s.running),
        lambda job, s: (job.job_id, job.status) == (s.running, "CANCELLED") and _counted(job),
        "investigate.bulk.cancel.create",
        lambda s: said(s.running),
    ),
    Row(
        "investigate.bulk.delete",
        lambda s: said(s.ended),
        lambda _, s: s.ask("GET", f"/investigate/bulk/{s.ended}") is None,
        "investigate.bulk.delete",
        lambda s: said(s.ended),
    ),
    Row(
        "phishguard.reports",
        lambda s: said(start=s.start, end=s.end, urgency=Urgency.FACTS, per_page=9),
        lambda page, s: len(page.records) == 1 and f'"id":{s.report}'.encode() in bytes(page.records[0]),
        "phishguard.reports.list",
        _span,
    ),
    Row(
        "submissions.list",
        lambda s: said(WhereSubmission(**_submissions(s)), start=s.start, end=s.end, per_page=9),
        lambda page, s: [(one.submission_id, one.type) for one in page.entries] == [(s.submission, "User")],
        "submissions.list",
        lambda s: _span(s, **_submissions(s)),
    ),
    Row(
        "submissions.create",
        lambda s: said("missed_detection", [{"id": s.clean.id, "requested_disposition": "SPAM"}]),
        lambda _, s: _reclassified(s),
    ),
)
