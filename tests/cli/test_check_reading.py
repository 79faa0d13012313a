"""`worker check --live` names what of the API can no longer be read, and the rules that it hurts."""

import time
from typing import Any

import pytest
from msgspec import Raw
from msgspec.json import encode
from msgspec.structs import FieldInfo, fields, replace

from tests.cells import each
from tests.cli.shell import Shell
from tests.contract.published import ERAS, Era, find_answer
from tests.contract.wires import OPERATION_OF
from tests.serving import Serving, sandbox
from worker.cli.check_reading import MESSAGES, OF_A_MESSAGE, OTHERS, Part, describe, read_sample
from worker.language.rules import OBSERVE, Limit, RuleInfo
from worker.ledger.presence import FieldMemory, Track
from worker.sandbox import MailFlow, SandboxOptions

PARTS = (MESSAGES, *OTHERS, *OF_A_MESSAGE)
CALLS = 16
"""Requests for an account: four about permission, subscription and mailboxes, and one for each part."""


def live(shell: Shell, serving: Serving, **more: str) -> tuple[int, str]:
    """Check against the account."""
    shell.set(**serving.environment(shell.folder, **more))
    code, out, _ = shell.type("check", "--live")
    return code, out


def rule(*actions: str, reads: str = "", trigger: str = "Message", facts: tuple[str, ...] = ()) -> RuleInfo:
    return RuleInfo(
        name="looks", file="", line=1, doc="", trigger=trigger, facts=facts, actions=actions, mode=OBSERVE,
        limit=Limit(1), priority=0, dispositions=None, fingerprint="f", reads=tuple(reads.split()),
    )  # fmt: skip


def published(part: Part, era: Era) -> dict[str, Any]:
    """Return a record of a part as Cloudflare has published it."""
    calls = (call for call, one in OPERATION_OF.items() if (one.method, one.path) == ("GET", part.path))
    answer = find_answer("today" if "action_log" in part.path else era, next(calls)).answer or {}
    result = answer["result"]
    record: dict[str, Any] = result[0] if isinstance(result, list) else result
    return record


def make_odd(value: object) -> object:
    """Return what cannot be read in the place of a value: a text for objects, an object for all else."""
    first = value[0] if isinstance(value, list) and value else value
    return "odd" if isinstance(first, dict) else {"odd": [{}]}


EVERY_FIELD = tuple(
    (part, era, field)
    for part in PARTS
    for era in ERAS
    for field in fields(part.kind)
    if field.encode_name in published(part, era)
)


@each("era", ERAS)
@each("part", PARTS)
def test_nothing_is_said_of_what_is_as_it_was_published(part: Part, era: Era) -> None:
    sample = read_sample(part, [Raw(encode(published(part, era)))])
    assert describe(part, sample, [], FieldMemory()) == []


@each(("part", "era", "field"), EVERY_FIELD)
def test_a_field_that_became_something_else_is_named(part: Part, era: Era, field: FieldInfo) -> None:
    fine = published(part, era)
    odd = fine | {field.encode_name: make_odd(fine[field.encode_name])}
    [found] = describe(part, read_sample(part, [Raw(encode(one)) for one in (fine, odd)]), [], FieldMemory())
    assert f"1 of 2 {part.words[1]}" in found.says
    assert field.name in found.says


def test_a_field_that_a_rule_uses_is_a_problem_and_any_other_a_remark() -> None:
    uses = rule(reads="spf subject_matter")
    assert say(uses, validation={"spf": []}) == (
        "problems",
        "the API has changed: validation.spf cannot be read in 1 of 1 message, which looks needs: update the worker",
    )
    assert say(uses, subject=[])[0] == "remarks"
    assert say(rule(reads="spf", trigger="Report"), validation={"spf": []})[0] == "remarks"


def test_a_field_that_is_gone_from_every_record_is_a_remark_for_the_rule_that_reads_it_as_empty() -> None:
    record = {"id": "a", "ts": "2026-11-29T10:00:00", "is_quarantined": False}
    [found] = describe(
        MESSAGES, read_sample(MESSAGES, [Raw(encode(record))]), [rule(reads="subject scanned_at")], FieldMemory()
    )
    assert found == ("remarks", "none of 1 message has subject, so it is empty for looks")


def test_a_verdict_that_this_version_does_not_know_is_a_problem_for_rules_that_name_verdicts() -> None:
    hears = replace(rule(), dispositions=("SPAM",))
    record = Raw(encode(published(MESSAGES, "today") | {"final_disposition": "SPAMMY"}))
    says = "1 of 1 message has a verdict that this version does not know (SPAMMY)"
    for rules, kind in (([hears], "problems"), ([rule()], "remarks")):
        [found] = describe(MESSAGES, read_sample(MESSAGES, [record]), rules, FieldMemory())
        assert (found.kind, says in found.says) == (kind, True)


@pytest.mark.parametrize(
    ("records", "path", "found"),
    [
        (
            5,
            "subject",
            ("problems", "none of 5 messages has subject, which practically all had before, which the worker"),
        ),
        (4, "subject", ("remarks", "none of 4 messages has subject, so it is empty for looks")),
        (5, "edf_hash", ("problems", "")),
        (
            5,
            "replyto=null",
            ("problems", "none of 5 messages has replyto but as null, which practically all had before"),
        ),
        (5, "is_quarantined", ("problems", "5 of 5 messages cannot be read (its is_quarantined is missing), which")),
        (1, "is_quarantined=null", ("problems", "cannot be read (its is_quarantined cannot be read: it is null)")),
    ],
)
def test_a_field_that_has_gone_although_all_had_it_is_a_problem_for_whoever_needs_it(
    records: int, path: str, found: tuple[str, str]
) -> None:
    memory = FieldMemory(
        there={name: Track(usual_at=1.0) for name in ("subject", "edf_hash")}, filled={"replyto": Track(usual_at=1.0)}
    )
    name, null, _ = path.partition("=null")
    rest = {one: value for one, value in published(MESSAGES, "today").items() if one != name}
    record = rest | ({name: None} if null else {})
    sample = read_sample(MESSAGES, [Raw(encode(record))] * records)
    said = describe(MESSAGES, sample, [rule(reads="subject replyto")], memory)
    assert [(one.kind, found[1] in one.says) for one in said] == [(found[0], True)] * bool(found[1])


def say(rule: RuleInfo, **changes: object) -> tuple[str, str]:
    """Return what is said of one message with these fields."""
    record = published(MESSAGES, "today") | changes
    [found] = describe(MESSAGES, read_sample(MESSAGES, [Raw(encode(record))]), [rule], FieldMemory())
    return found


@pytest.mark.slow  # these start a server
@pytest.mark.parametrize("era", ERAS)
def test_an_account_of_either_era_is_read_whole_and_not_changed(shell: Shell, era: Era) -> None:
    with sandbox(mail_flow=MailFlow(messages=120), options=SandboxOptions(era=era, reports=1.0)) as serving:
        code, out = live(shell, serving)
    read = [line for line in out.splitlines()[:-1] if not line.startswith(("walls around", "nothing signs"))]
    assert (code, read) == (0, [])
    assert serving.world.effects == []
    facts = {f"GET investigate/{{id}}/{name}" for name in ("detections", "raw", "trace", "action_log")}
    assert facts <= serving.world.requests.keys()
    assert sum(sum(counts.values()) for counts in serving.world.requests.values()) == CALLS


@pytest.mark.slow
def test_what_came_out_of_order_is_named_with_the_rules_that_wait(shell: Shell, account: Serving) -> None:
    account.world.add_message(subject=[{}], scanned=time.time() - 3000)
    account.world.add_message(edf_hash=[{}], scanned=time.time() - 3000)
    account.world.add_entry("block_senders", pattern=[{}], pattern_type="EMAIL", is_regex=False)
    code, out = live(shell, account)
    told = out.replace("\n", " ")
    assert code == 1
    assert "subject cannot be read in 1 of 100 messages, which first_invoice needs: update the worker" in told
    assert "edf_hash cannot be read in 1 of 100 messages, which no rule needs" in told
    assert (
        "1 of 1 blocked sender cannot be read (its pattern cannot be read: it is a list), which malicious_sender"
        in told
    )


@pytest.mark.slow
def test_without_mail_it_is_said_that_facts_were_not_tried(shell: Shell) -> None:
    with sandbox() as serving:
        code, out = live(shell, serving)
    assert (code, "the facts about a message could not be tried" in out) == (0, True)
