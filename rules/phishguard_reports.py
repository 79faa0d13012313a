"""What PhishGuard's analysts found in mail that had been let through."""

from worker import ENFORCE, Move, Notify, Report, example, per_hour, rule, sample

found = sample.report(disposition="MALICIOUS", title="Credential phishing")
nameless = sample.report(disposition="MALICIOUS", postfix_id="")
harmless = sample.report(disposition="SPAM", title="Newsletter")


@rule(mode=ENFORCE, limit=per_hour(1000))
@example(found, gives=(Move("DeletedItems"), Notify("soc")))
@example(nameless, gives=Notify("soc"))
@example(harmless, gives=None)
def phishguard_report(report: Report) -> tuple[Move, Notify] | Notify | None:
    """An analyst found a malicious mail in an inbox."""
    if report.disposition not in {"MALICIOUS", "MALICIOUS-BEC"}:
        return None
    tell = Notify("soc", because=f"PhishGuard report {report.id}: {report.title}")
    if not report.fields.postfix_id:
        return tell
    return Move("DeletedItems", because=f"PhishGuard report {report.id} finds it malicious"), tell
