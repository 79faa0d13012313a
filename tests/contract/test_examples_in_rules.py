"""What Cloudflare has published reaches a rule whole: read by a source, with facts, judged in the rule language."""

import json
from pathlib import Path

import pytest

from tests.contract.published import ERAS, Era, find_answer
from tests.contract.wires import OPERATION_OF, fits, of_ours
from tests.rule_files import rule_files
from tests.support import BEGIN, TestClock, open_mail
from worker.api import Budget, Client, Request, Response
from worker.intake.sources import AllowPolicies, BlockedSenders, Messages, Reports, Source, Submissions
from worker.judging.facts import Facts
from worker.language.models import MESSAGE_FACTS
from worker.ledger.values import Slice
from worker.rulehost.evaluation import Bundle, Event, judge
from worker.rulehost.loader import load
from worker.sandbox import ACCOUNT

pytestmark = pytest.mark.slow  # rules are compiled

RULES = """
    from worker import ActionLog

    @rule
    def hears_messages(
        message: Message, detection: Detection, action_log: ActionLog, raw: Raw, trace: Trace, history: History,
        policies: Policies, registry: Registry,
    ) -> Notify:
        "Say what was read of it."
        lines, log = (*trace.inbound.lines, *trace.outbound.lines), action_log.entries
        read = (
            message.scanned_at, message.sent_at, message.properties.allowlisted_pattern_type,
            detection.attachments[0].filename, *(one.logged_at for one in lines), *(one.completed_at for one in log),
            raw.text.split()[1], history.messages,
            *policies.domains, *policies.allowed, *policies.trusted, *registry.people,
        )
        return Notify("soc", because=" ".join(map(str, read)))

    @rule
    def hears_reports(report: Report) -> Notify:
        "Say what was read of it."
        read = (report.fields.occurred_at, report.created_at, report.fields.postfix_id, report.tags[0].value)
        return Notify("soc", because=" ".join(map(str, read)))

    @rule
    def hears_submissions(submission: Submission) -> Notify:
        "Say what was read of it."
        read = (submission.requested_at, submission.customer_status, submission.original_postfix_id)
        return Notify("soc", because=" ".join(map(str, read)))

    @rule
    def hears_blocks(entry: BlockedSender) -> Notify:
        "Say what was read of it."
        return Notify("soc", because=f"{entry.id} {entry.pattern} {entry.changed_at}")

    @rule
    def hears_policies(policy: AllowPolicy) -> Notify:
        "Say what was read of it."
        return Notify("soc", because=f"{policy.id} {policy.pattern} {policy.changed_at}")
"""
AT, STAMP = "2019-12-27 18:11:19.117000+00:00", "2014-01-01 05:20:00.123450+00:00"
UUID = "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"
FROM = "sender@example.com"
SAID: dict[Era, dict[str, str]] = {
    "seeds": {
        "Message": "2019-11-20 23:22:01+00:00 2019-11-21 00:22:01+00:00 quarantine_release name "
        f"{AT} {AT} {AT} {FROM} 0 example.com name",  # the trusted domain is a regular expression, and none by itself
        "Report": f"{AT} {AT} postfix_id value",
        "Submission": f"{AT} escalated original_postfix_id",
        "BlockedSender": f"2402 x {AT}",
        "AllowPolicy": f"2401 x {AT}",
    },
    "today": {
        "Message": f"{AT} {AT} quarantine_release filename {AT} {AT} {AT} {FROM} 0 "
        "example.com test@example.com example.com john doe",
        "Report": f"{AT} {AT} postfix_id value",
        "Submission": f"{AT} escalated original_postfix_id",
        "BlockedSender": f"{UUID} test@example.com {STAMP}",
        "AllowPolicy": f"{UUID} test@example.com {STAMP}",
    },
}


class Published:
    """Answers every request with the example of its operation; a list of one entry is said to be whole."""

    def __init__(self, era: Era) -> None:
        self.era = era

    async def send(self, request: Request) -> Response:
        """Answer."""
        matching = (one.call for one in OPERATION_OF.values() if fits(of_ours(request), one))
        call = min(matching, key=lambda one: OPERATION_OF[one].path.count("{"))
        era: Era = "today" if call == "investigate.action_log" else self.era  # which the older pages do not have
        body = json.loads(find_answer(era, call).response.body)
        whole = json.dumps({name: one for name, one in body.items() if name != "result_info"})
        return Response(status=200, headers={"content-type": "application/json"}, body=whole.encode())


async def judged(source: Source, facts: Facts, bundle: Bundle) -> str:
    """Let a source read what was published, and a rule judge it with every fact; return what the rule says."""
    fetched = await source.fetch(Slice(source=source.name, kind="head", start=0.0, end=BEGIN))
    assert fetched.broken == ()
    [reading] = fetched.readings
    named = (*MESSAGE_FACTS, "Policies", "Registry") if source.kind == "Message" else ()
    known = {name: await facts.ask(name, reading.raw) for name in named}
    assert {fact.unread for fact in known.values()} <= {()}
    told = {name: fact.raw for name, fact in known.items()}
    [said] = judge(bundle, [Event(key="1", kind=source.kind, raw=reading.raw, facts=told)])
    assert (said.failed, said.asks) == ((), ())
    return said.proposals[0].actions[0].because


@pytest.mark.parametrize("era", ERAS)
async def test_a_rule_reads_what_was_published(tmp_path: Path, era: Era) -> None:
    clock = TestClock()
    client = Client(Published(era), Budget(clock), clock, ACCOUNT, jitter=lambda: 0.0)
    facts, bundle = Facts(client, clock, open_mail), load(rule_files(tmp_path, hears=RULES))
    sources: list[Source] = [Messages(client, lambda: True)]
    sources += [make(client) for make in (Reports, Submissions, BlockedSenders, AllowPolicies)]
    assert {source.kind: await judged(source, facts, bundle) for source in sources} == SAID[era]
