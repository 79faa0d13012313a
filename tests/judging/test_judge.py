"""The judge: facts are fetched when a rule uses one, and decisions become drafts."""

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from tests.reading import DAY, Room, fails, malicious_is_moved, says
from tests.support import garbling
from worker import APPROVE, ENFORCE, OBSERVE, AllowSender, Escalate, Keep, Move, Notify, Reclassify, Release, Report
from worker.judging.judge import Judge
from worker.judging.refusals import ESCALATED, NO_BODY, NOT_A_USERS
from worker.language.actions import AnyAction
from worker.language.rules import Ask, Mode
from worker.observations import read_message
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import ACCOUNT, Fault


def touches(fact: str, then: Move | Release) -> Callable[[Event], Said]:
    """Return a rule that needs a fact and then returns an action."""
    return lambda event: (
        says(event, then) if fact in event.facts else Said(key=event.key, asks=(Ask(rule="r", facts=(fact,)),))
    )


async def test_a_fact_is_fetched_once_for_an_event_and_only_when_touched() -> None:
    room = Room(lambda e: touches("Detection", Move("JunkEmail"))(e) if b"MALICIOUS" in e.raw else Said(key=e.key))
    mail = room.world.add_message()
    room.world.add_message(disposition="SPAM")
    await room.read()
    assert await room.targets() == []
    await room.held.step()
    assert await room.targets() == [mail.id]
    assert room.world.requests["GET investigate/{id}/detections"]["200"] == 1


async def test_facts_that_cost_nothing_do_not_hold_an_event() -> None:
    room = Room(touches("Now", Move("JunkEmail")))
    mail = room.world.add_message()
    await room.read()
    assert await room.targets() == [mail.id]
    assert b"2026" in room.rules.heard[-1].facts["Now"]


async def test_an_event_whose_fact_cannot_be_had_is_held_and_judged_when_it_is_there() -> None:
    room = Room(touches("Detection", Move("JunkEmail")))
    mail = room.world.add_message()
    await room.read()
    room.world.faults.script([Fault("html", "GET", "investigate/", count=5)])
    await room.held.step()
    assert await room.targets() == []
    room.clock.advance(61)
    await room.held.step()
    assert await room.targets() == [mail.id]


async def test_an_event_is_given_up_after_a_day_and_that_is_on_record() -> None:
    room = Room(touches("Detection", Move("JunkEmail")))
    room.world.add_message()
    await room.read()
    room.world.faults.script([Fault("html", "GET", "investigate/", count=9999)])
    for _ in range(40):
        await room.held.step()
        room.clock.advance(3600)
    assert await room.ledger.due_held(ACCOUNT, room.clock.now() + 10 * DAY) == ()
    records = [msgspec.json.decode(line) for line in await room.ledger.records(ACCOUNT)]
    assert [r["verb"] for r in records if r["verb"] == "given up"] == ["given up"]


async def test_a_report_is_about_the_message_it_names() -> None:
    room = Room(lambda event: says(event, Move("DeletedItems")) if event.kind == "Report" else Said(key=event.key))
    mail = room.world.add_message(disposition="NONE", client_recipients=["ada@corp.example"])
    room.world.add_report(mail)
    await room.reports.read_head()
    await room.held.step()
    (entry,) = await room.entries()
    assert (entry.target, entry.verdict) == (mail.id, "NONE|delivered")
    assert "/Report/" in entry.cause


async def test_a_report_whose_message_is_not_found_says_where_it_was_looked_for() -> None:
    room = Room(lambda event: says(event, Move("DeletedItems")))
    mail = room.world.add_message(disposition="NONE", client_recipients=["ada@corp.example"])
    room.world.add_report(mail, fields={"to": ["ben@corp.example"], "postfix_id": "4Nowhere", "occurred_at": None})
    await room.reports.read_head()
    await room.held.step()
    room.clock.advance(61)
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    assert "no message 4Nowhere with recipient ben@corp.example was scanned between 2026-" in held.why


async def test_a_report_that_leads_to_no_effect_on_mail_costs_no_call() -> None:
    room = Room(lambda event: says(event, Notify("soc")))
    room.world.add_report(room.world.add_message(disposition="NONE"))
    await room.reports.read_head()
    assert [entry.lane for entry in await room.entries()] == ["notice"]
    assert "GET investigate" not in room.world.requests


async def test_the_ceiling_turns_everything_into_what_would_have_been_done() -> None:
    room = Room(ceiling=OBSERVE)
    room.world.add_message()
    await room.read()
    assert [entry.state for entry in await room.entries()] == ["observed"]


async def test_approval_is_asked_under_the_ceiling_approve() -> None:
    room = Room(ceiling=APPROVE)
    room.world.add_message()
    await room.read()
    (entry,) = await room.entries()
    assert (entry.state, entry.why, entry.said) == ("waiting", "ceiling", "WORKER_CEILING is approve")


async def test_notices_alone_leave_under_the_ceiling_approve_and_others_wait_with_what_they_tell_of() -> None:
    def answer(event: Event) -> Said:
        acts, informs = says(event, Move("JunkEmail"), Notify("soc")), says(event, Notify("soc"), rule="informs")
        return replace(acts, proposals=(*acts.proposals, *informs.proposals))

    room = Room(answer, ceiling=APPROVE)
    room.world.add_message()
    await room.read()
    states = {(entry.lane, entry.rules): entry.state for entry in await room.entries()}
    assert states == {
        ("placement", ("r",)): "waiting",
        ("notice", ("r",)): "held",
        ("notice", ("informs",)): "ready",
    }


PURGE = Move("RecoverableItemsPurges")


@pytest.mark.parametrize(
    ("mode", "actions", "why"),
    [
        (APPROVE, (Move("JunkEmail"),), {"rule_asks": "the rule's mode is APPROVE"}),
        (ENFORCE, (PURGE,), {"irreversible": "this move cannot be undone"}),
        (
            ENFORCE,
            (PURGE, AllowSender("a@b.example")),
            {
                "irreversible": "this move cannot be undone",
                "with_irreversible": "it belongs to a move that cannot be undone",
            },
        ),
    ],
)
async def test_what_waits_for_approval_says_whether_the_rule_or_the_action_is_why(
    mode: Mode, actions: tuple[AnyAction, ...], why: dict[str, str]
) -> None:
    room = Room(lambda event: says(event, *actions, mode=mode))
    room.world.add_message()
    await room.read()
    assert {entry.why: entry.said for entry in await room.entries() if entry.state == "waiting"} == why


async def test_old_mail_waits_for_a_person() -> None:
    room = Room()
    mail = room.world.add_message(scanned=room.clock.now() + 60)
    room.clock.advance(30)
    await room.read()
    room.clock.advance(2 * DAY)
    await room.read()
    (entry,) = await room.entries()
    assert (entry.target, entry.state) == (mail.id, "waiting")
    assert "WORKER_STALE" in entry.said


@pytest.mark.slow
async def test_a_changed_verdict_of_old_mail_is_news_of_today() -> None:
    room = Room()
    mail = room.world.add_message(disposition="SPAM")
    await room.read()
    room.clock.advance(2 * DAY)
    room.world.change_verdict(mail.id, "MALICIOUS")
    await room.read(3 * 3600 + 60 * 72)
    assert [entry.state for entry in await room.entries()] == ["ready"]


async def test_an_exempted_mail_is_entered_as_outranked_with_its_reason() -> None:
    def answer(event: Event) -> Said:
        kept = says(event, Keep(), rule="gate", priority=100).proposals
        return Said(key=event.key, proposals=(*malicious_is_moved(event).proposals, *kept))

    room = Room(answer)
    room.world.add_message()
    await room.read()
    (entry,) = await room.entries()
    assert (entry.state, entry.because) == ("moot", "outranked by gate: malicious")


async def test_rules_that_disagree_wait_as_one_dispute() -> None:
    def answer(event: Event) -> Said:
        both = *says(event, Move("JunkEmail"), rule="a").proposals, *says(event, Release(), rule="b").proposals
        return Said(key=event.key, proposals=both)

    room = Room(answer)
    room.world.add_message()
    await room.read()
    assert {entry.item.startswith("dispute/") for entry in await room.entries()} == {True}


async def test_a_failing_rule_has_no_say_and_is_kept_with_the_event() -> None:
    room = Room(fails)
    room.world.add_message()
    await room.read()
    (mishap,) = await room.ledger.list_mishaps(ACCOUNT)
    assert (mishap.rule, mishap.problem) == ("bad", "ValueError: no")
    assert b'worker_rule_failures_total{rule="bad"} 1.0' in room.metrics.render()


async def test_a_record_rules_cannot_read_is_kept_as_broken() -> None:
    room = Room(lambda event: Said(key=event.key, unreadable="Expected `str`"))
    room.world.add_message()
    await room.read()
    assert len(await room.ledger.list_broken(ACCOUNT)) == 1


async def test_policies_are_asked_for_once_in_five_minutes() -> None:
    room = Room()
    for _ in range(3):
        await room.facts.policies()
    assert room.world.requests["GET settings/domains"]["200"] == 1
    room.clock.advance(301)
    assert "corp.example" in (await room.facts.policies()).domains
    assert room.world.requests["GET settings/domains"]["200"] == 2


async def test_clean_mail_has_an_empty_detection() -> None:
    room = Room()
    clean = room.world.add_message(disposition="NONE")
    assert msgspec.json.decode((await room.facts.ask("Detection", clean.encode(clean.now))).raw)["links"] == []


async def test_a_report_without_a_message_is_told_so() -> None:
    room = Room(lambda event: says(event, Move("DeletedItems")))
    number = room.world.add_report(room.world.add_message(disposition="NONE"), fields={"to": []})
    await room.reports.read_head()
    await room.held.step()
    room.clock.advance(61)
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    assert held.why == f"report {number} names no message"
    assert msgspec.json.decode(held.sight.reading.raw, type=Report).fields.postfix_id == ""


async def test_a_report_whose_message_cannot_be_read_is_held_and_ends_nothing() -> None:
    room = Room(lambda event: says(event, Move("DeletedItems")))
    mail = room.world.add_message(disposition="NONE", client_recipients=["ada@corp.example"])
    room.world.add_report(mail)
    room.meddle = garbling(b'"is_quarantined":false', b'"is_quarantined":"perhaps"')
    await room.reports.read_head()
    await room.held.step()
    room.clock.advance(61)
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    assert "cannot be read" in held.why


async def test_a_message_whose_subject_cannot_be_read_is_shown_without_one() -> None:
    room = Room(lambda event: says(event, Move("DeletedItems")))
    mail = room.world.add_message(subject=[5])
    await room.read()
    assert [(entry.target, entry.subject) for entry in await room.entries()] == [(mail.id, "")]


async def test_a_subject_that_is_no_text_keeps_nothing_from_being_done() -> None:
    room = Room(lambda event: says(event, Move("JunkEmail")))
    mail = room.world.add_message()
    seen = read_message(msgspec.Raw(mail.encode(mail.now)), room.clock.now())
    await room.messages.enter_readings([replace(seen, raw=seen.raw.replace(b'"subject":"', b'"subject":"\xff'))])
    (entry,) = await room.entries()
    assert (entry.target, entry.subject, entry.state) == (mail.id, "", "ready")


async def test_what_a_person_sent_in_and_what_an_analyst_reports_have_names_for_people() -> None:
    room = Room(lambda event: says(event, Notify("soc")) if event.kind != "Message" else Said(key=event.key))
    room.world.add_report(room.world.add_message(disposition="NONE"), title="Gift cards")
    room.world.add_submission(subject="Your invoice")
    await room.reports.read_head()
    await room.submissions.read_head()
    assert sorted(entry.subject for entry in await room.entries()) == ["Gift cards", "Your invoice"]


async def test_an_event_whose_unread_field_a_rule_uses_is_held_and_says_why() -> None:
    room = Room(lambda event: Said(key=event.key, asks=(Ask(rule="careful", unread=("subject",)),)))
    room.world.add_message()
    await room.read()
    await room.held.step()
    room.clock.advance(301)
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    assert held.why.startswith("rule careful uses subject, which cannot be read: that is read again by itself, or at")


async def judge_clean_mail(room: Room, **fields: object) -> tuple[str, str]:
    """Let the rules hear one clean message; return state of what they want, and what is said of it."""
    mail = room.world.add_message(disposition="NONE", **fields)  # type: ignore[arg-type]
    raw = msgspec.Raw(bytes(await room.client.investigate.get(mail.id)))
    await room.messages.enter_readings([read_message(raw, room.clock.now())])
    (entry,) = await room.entries()
    return entry.state, entry.said


@pytest.mark.parametrize("mode", [OBSERVE, APPROVE, ENFORCE])
async def test_nobody_is_asked_about_clean_mail_that_nobody_sent_in(mode: Mode) -> None:
    room = Room(lambda event: says(event, Reclassify("MALICIOUS"), mode=mode))
    assert await judge_clean_mail(room) == ("moot", NO_BODY)


async def test_clean_mail_that_was_sent_in_can_be_asked_about_and_any_can_be_moved() -> None:
    room = Room(lambda event: says(event, Reclassify("MALICIOUS")))
    assert await judge_clean_mail(room, is_phish_submission=True) == ("ready", "")
    assert await judge_clean_mail(Room(lambda event: says(event, Move("Inbox")))) == ("ready", "")


@pytest.mark.parametrize(("kind", "state"), [("User", "ready"), ("Team", "moot")])
async def test_what_a_user_submitted_can_be_asked_about(kind: str, state: str) -> None:
    room = Room(lambda event: says(event, Reclassify("MALICIOUS")))
    mail = room.world.add_message(disposition="NONE", subject="hello")
    room.world.add_submission(type=kind, original_postfix_id=mail.postfix, subject="hello")
    await room.submissions.read_head()
    await room.held.step()
    assert [entry.state for entry in await room.entries()] == [state]


async def test_what_was_submitted_before_can_be_asked_about_whatever_is_heard_of_it() -> None:
    room = Room(lambda event: says(event, Reclassify("MALICIOUS")))
    mail = room.world.add_message(disposition="NONE")
    mail.become(room.clock.now(), replace(mail.now, operations=("SUBMISSION",)))
    room.world.add_report(mail)
    await room.reports.read_head()
    await room.held.step()
    assert [entry.state for entry in await room.entries()] == ["ready"]


def escalates(event: Event) -> Said:
    return says(event, Escalate("MALICIOUS")) if event.kind == "Submission" else Said(key=event.key)


@pytest.mark.parametrize(
    ("fields", "state", "said"),
    [
        ({}, "ready", ""),
        ({"customer_status": "reviewed"}, "ready", ""),
        ({"type": "Team"}, "moot", NOT_A_USERS),
        ({"customer_status": "escalated"}, "moot", ESCALATED),
    ],
)
async def test_what_a_user_submitted_is_escalated_by_its_id(fields: dict[str, str], state: str, said: str) -> None:
    room = Room(escalates)
    mail = room.world.add_message(disposition="NONE", subject="hello")
    about = {"original_postfix_id": mail.postfix, "subject": "hello"}
    ident = room.world.add_submission(at=None, **about | fields)
    await room.submissions.read_head()
    await room.held.step()
    (entry,) = await room.entries()
    assert (entry.state, entry.said, entry.target) == (state, said, mail.id)
    assert entry.action == Escalate("MALICIOUS", submission_id=ident)


async def test_each_user_who_submits_one_message_is_escalated_one_after_the_other() -> None:
    room = Room(escalates)
    mail = room.world.add_message(disposition="NONE", subject="hello")
    for _ in range(2):
        room.world.add_submission(original_postfix_id=mail.postfix, subject="hello")
    await room.submissions.read_head()
    await room.held.step()
    assert [entry.state for entry in await room.entries()] == ["ready", "held"]


async def test_a_submission_that_an_earlier_version_set_aside_is_known_by_its_record() -> None:
    room = Room(escalates)
    mail = room.world.add_message(disposition="NONE", subject="hello")
    room.world.add_submission(original_postfix_id=mail.postfix, subject="hello")
    await room.submissions.read_head()
    (held,) = await room.ledger.due_held(ACCOUNT, room.clock.now())
    old = replace(held.sight, reading=replace(held.sight.reading, submission=None))
    judge = Judge(rules=room.rules, facts=room.facts, clock=room.clock, ceiling=ENFORCE, stale=DAY)
    judged = await judge.judge_held(replace(held, sight=old))
    assert [draft.state for draft in judged.drafts] == ["ready"]
