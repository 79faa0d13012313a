"""Facts: what the API returns when a rule uses one, and how many calls that takes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.reading import DAY, Room, says
from tests.support import Meddle, garbling, open_mail
from worker import History, Move, Notify, Raw, Trace, sample
from worker.api import Request, Response
from worker.errors import Permanent, ServerFault
from worker.judging.facts import OF_A_MESSAGE, SHARED, Facts
from worker.judging.watches import FACTS as WATCHED
from worker.language.actions import AnyAction
from worker.language.base import AnyNoun
from worker.language.models import FACTS, MESSAGE_FACTS
from worker.language.rules import Ask
from worker.observations import read_message
from worker.rulehost.evaluation import Event, Said
from worker.sandbox import Fault
from worker.sandbox.account.mail import Mail


async def told(room: Room, fact: type[AnyNoun], mail: Mail) -> AnyNoun:
    """Ask for a fact about a message, as the daemon does."""
    return msgspec.json.decode((await room.facts.ask(fact.__name__, mail.encode(mail.now))).raw, type=fact)


def calls(room: Room, operation: str) -> int:
    return sum(room.world.requests.get(operation, {}).values())


def asks(fact: str, *then: AnyAction) -> Callable[[Event], Said]:
    """Return a rule that needs a fact about all mail and then returns actions."""
    return lambda event: (
        says(event, *then) if fact in event.facts else Said(key=event.key, asks=(Ask(rule="r", facts=(fact,)),))
    )


def test_every_fact_can_be_asked_for_and_costs_what_is_promised() -> None:
    assert SHARED.keys() | OF_A_MESSAGE.keys() == FACTS.keys()
    assert OF_A_MESSAGE.keys() == MESSAGE_FACTS.keys()


async def test_what_a_fact_came_as_is_shown_once_it_came_unless_it_is_made_of_what_is_watched_elsewhere() -> None:
    room, shown = Room(), list[tuple[str, int]]()
    facts = Facts(
        room.client, room.clock, open_mail, lambda fact, came, at: shown.extend((fact, int(at)) for _ in came)
    )
    detected, clean = room.world.add_message(), room.world.add_message(disposition="NONE")
    for fact in sorted(OF_A_MESSAGE):
        await facts.ask(fact, detected.encode(detected.now))
    await facts.ask("Detection", clean.encode(clean.now))
    assert shown == [(fact, int(detected.scanned)) for fact in sorted(WATCHED)]
    assert WATCHED.keys() == MESSAGE_FACTS.keys() - {"Raw", "History"}


@pytest.mark.parametrize("fact", ["Raw", "Trace", "History"])
async def test_an_event_that_needs_a_call_of_its_own_does_not_hold_up_its_page(fact: str) -> None:
    room = Room(asks(fact, Move("JunkEmail")))
    mail = room.world.add_message(sender="a@b.example")
    await room.read()
    assert await room.targets() == []
    await room.held.step()
    assert await room.targets() == [mail.id]


async def test_the_registry_does_not_hold_an_event_and_is_asked_for_once_in_five_minutes() -> None:
    room = Room(asks("Registry", Notify("soc")))
    for _ in range(3):
        room.world.add_message()
    await room.read()
    assert await room.targets() == ["soc"] * 3
    assert calls(room, "GET settings/impersonation_registry") == 1
    assert len({id(event.facts["Registry"]) for event in room.rules.heard if event.facts}) == 1
    room.clock.advance(301)
    room.world.add_entry("impersonation_registry", name="Eve", email="eve@corp.example", is_email_regex=False)
    assert b'"eve"' in (await room.facts.ask("Registry", b"{}")).raw
    assert calls(room, "GET settings/impersonation_registry") == 2


async def test_the_registry_knows_people_by_name_and_their_addresses() -> None:
    room = Room()
    room.world.add_entry("impersonation_registry", name="Eve  Lind", email="Eve@Corp.example", is_email_regex=False)
    room.world.add_entry("impersonation_registry", name="eve lind", email="eve@home.example", is_email_regex=False)
    room.world.add_entry("impersonation_registry", name="Max Roe", email="max@corp.example", is_email_regex=False)
    room.world.add_entry("impersonation_registry", name="Max Roe", email="m.*@corp[.]example", is_email_regex=True)
    registry = await room.facts.registry()
    assert registry.addresses(" EVE lind") == ("eve@corp.example", "eve@home.example")
    assert registry.knows("max roe")
    assert registry.addresses("max roe") == ()
    assert not registry.knows("Eve")
    assert registry.knows("Ada Cole")


async def test_a_detected_mail_is_taken_apart_and_clean_mail_is_not_kept() -> None:
    room = Room()
    bad = room.world.add_message(subject="Your invoice", links=("https://pay.example/now",))
    clean = room.world.add_message(disposition="NONE")
    raw = await told(room, Raw, bad)
    assert raw.header("subject") == "Your invoice"
    assert "https://pay.example/now" in raw.links
    assert raw.problems == ()
    assert await told(room, Raw, clean) == Raw()


async def test_a_trace_tells_how_a_message_came() -> None:
    room = Room()
    mail = room.world.add_message()
    room.clock.advance(120)
    trace = await told(room, Trace, mail)
    assert mail.postfix in trace.inbound.lines[1].message
    assert not trace.inbound.pending


async def test_a_history_is_earlier_mail_of_the_same_address_without_the_message_itself() -> None:
    room = Room()
    now = room.clock.now()
    for ago, disposition in ((40 * DAY, "SPAM"), (29 * DAY, "NONE"), (3 * DAY, "SPAM"), (DAY, "NONE"), (-60.0, "SPAM")):
        room.world.add_message(sender="Bob@B.example", disposition=disposition, scanned=now - ago)
    for stranger in ("eve@b.example", "bob@b.example.org"):
        room.world.add_message(sender=stranger, scanned=now - DAY)
    room.world.add_message(sender="eve@b.example", envelope_from="bob@b.example", scanned=now - DAY)
    history = await told(room, History, room.world.add_message(sender="bob@b.example"))
    assert (history.messages, history.dispositions, history.more) == (3, {"NONE": 2, "SPAM": 1}, False)
    assert history.first_at is not None
    assert history.last_at is not None
    assert (history.first_at.timestamp(), history.last_at.timestamp()) == (now - 29 * DAY, now - DAY)
    assert calls(room, "GET investigate") == 1


async def test_a_history_is_one_page_and_says_when_there_is_more() -> None:
    room = Room()
    for number in range(1001):
        room.world.add_message(sender="bob@b.example", scanned=room.clock.now() - number - 10)
    history = await told(room, History, room.world.add_message(sender="bob@b.example", disposition="NONE"))
    assert history.more
    assert 999 <= history.messages <= 1000
    assert calls(room, "GET investigate") == 1


@pytest.mark.parametrize("name", [b"id", b"from"])
async def test_a_history_says_that_there_may_be_more_when_earlier_mail_cannot_be_read(name: bytes) -> None:
    room = Room()
    room.world.add_message(sender="a@b.example", scanned=room.clock.now() - DAY)
    mail = room.world.add_message(sender="a@b.example", scanned=room.clock.now() - 5)
    assert not (await told(room, History, mail)).more
    room.meddle = garbling(b'"%s":"' % name, b'"%s":{},"was":"' % name)
    assert (await told(room, History, mail)).more


@pytest.mark.parametrize("sender", ["", "b.example", "x" * 400 + "@b.example"])
async def test_a_sender_that_is_no_address_has_no_history_and_costs_no_call(sender: str) -> None:
    room = Room()
    room.world.add_message(sender="bob@b.example", scanned=room.clock.now() - DAY)
    assert await told(room, History, room.world.add_message(sender=sender)) == History()
    assert calls(room, "GET investigate") == 0


async def test_a_registry_that_cannot_be_had_holds_the_event_until_it_can() -> None:
    room = Room(asks("Registry", Notify("soc")))
    room.world.add_message()
    room.world.faults.script([Fault("html", "GET", "settings/impersonation_registry", count=5)])
    await room.read()
    assert await room.targets() == []
    room.clock.advance(61)
    await room.held.step()
    assert await room.targets() == ["soc"]


async def test_a_list_that_cannot_be_had_is_asked_for_once_for_a_whole_page() -> None:
    room = Room(asks("Registry", Notify("soc")))
    for _ in range(200):
        room.world.add_message()
    room.world.faults.script([Fault("html", "GET", "settings/impersonation_registry", count=5)])
    await room.read()
    assert calls(room, "GET settings/impersonation_registry") == 5  # one reading, tried five times in place
    room.clock.advance(61)
    while not await room.held.step():
        pass
    assert len(await room.targets()) == 200
    assert calls(room, "GET settings/impersonation_registry") == 6


async def test_one_list_that_cannot_be_had_does_not_hide_another() -> None:
    room = Room()
    room.world.faults.script([Fault("html", "GET", "settings/impersonation_registry", count=5)])
    with pytest.raises(ServerFault):
        await room.facts.registry()
    assert (await room.facts.policies()).domains != ()


async def test_times_that_make_no_sense_leave_a_history_that_does() -> None:
    room = Room()
    now = room.clock.now()
    for odd in ("0001-01-01T00:00:00Z", "2026-09-21T10:00:00", "9999-12-31T23:59:59Z"):
        room.world.add_message(sender="bob@b.example", scanned=now - DAY, scanned_at=odd)
    room.world.add_message(sender="bob@b.example", scanned=now - 2 * DAY)
    history = await told(
        room, History, room.world.add_message(sender="bob@b.example", scanned_at="0001-01-01T00:00:00Z")
    )
    assert history.messages == 4
    assert history.first_at is not None
    assert history.last_at is not None
    assert (history.first_at.timestamp(), history.last_at.utcoffset()) == (now - 2 * DAY, timedelta(0))


@pytest.mark.parametrize("raw", [b'{"id":"x","from":{"at":"b.example"}}', b'{"id":[]}', b"{"])
async def test_a_record_of_which_nothing_can_be_made_is_refused_as_one_that_makes_no_sense(raw: bytes) -> None:
    with pytest.raises(Permanent, match="cannot make sense of the API's answer"):
        await Room().facts.ask("History", raw)


@pytest.mark.parametrize("damage", [b"\xff", rb"\ud83d", b"\x01"])
async def test_a_sender_whose_address_is_damaged_has_no_history_and_costs_no_call(damage: bytes) -> None:
    room = Room()
    raw = b'{"id":"x","from":"bo' + damage + b'b@b.example"}'
    assert await room.facts.ask("History", raw) == (msgspec.json.encode(History()), (), ())
    assert calls(room, "GET investigate") == 0


async def test_an_own_domain_that_cannot_be_read_is_protected_all_the_same() -> None:
    room = Room()
    room.world.add_entry("domains", domain="Odd.example", lookback_hops="two")
    assert "odd.example" in (await room.facts.policies()).domains


async def test_an_entry_of_the_own_lists_that_names_nobody_is_a_fault_and_no_empty_list() -> None:
    room = Room()
    room.world.add_entry("allow_policies", pattern=[7])
    with pytest.raises(ServerFault, match="it is unknown whom it protects"):
        await room.facts.policies()


def changing(list_name: str, **fields: object) -> Meddle:
    """Change fields of each entry of a list."""

    def meddle(request: Request, answer: Response) -> Response:
        if not request.path.endswith(f"/{list_name}"):
            return answer
        told = msgspec.json.decode(answer.body)
        told["result"] = [one | fields for one in told["result"]]
        return Response(status=answer.status, headers=answer.headers, body=msgspec.json.encode(told))

    return meddle


@pytest.mark.parametrize(
    ("list_name", "field"), [("domains", "domain"), ("allow_policies", "pattern"), ("trusted_domains", "pattern")]
)
async def test_a_list_in_which_no_entry_has_a_name_is_a_fault_and_no_empty_list(list_name: str, field: str) -> None:
    room = Room()
    entry: dict[str, Any] = {field: "partner.example"}
    spared: dict[str, Any] = {"is_acceptable_sender": True} if list_name == "allow_policies" else {}
    room.world.add_entry(list_name, **entry, **spared)
    room.meddle = changing(list_name, **{field: None})
    with pytest.raises(ServerFault, match="it is unknown whom it protects"):
        await room.facts.policies()


@pytest.mark.parametrize("flag", ["is_acceptable_sender", "is_trusted_sender", "is_exempt_recipient"])
async def test_an_allow_policy_that_does_not_say_what_it_allows_protects_its_sender(flag: str) -> None:
    room = Room()
    room.world.add_entry("allow_policies", pattern="a@b.example", pattern_type="EMAIL", **{flag: True})
    assert (await room.facts.policies()).protects("a@b.example") == ("allow policies" if "sender" in flag else "")
    room.meddle = changing("allow_policies", **{flag: None})
    room.clock.advance(301)
    assert (await room.facts.policies()).protects("a@b.example") == "allow policies"


@pytest.mark.parametrize(
    ("field", "value"),
    [*product(["name", "email", "is_email_regex"], [{"is": "an object"}]), ("name", None), ("email", None)],
)
async def test_an_entry_of_the_registry_that_cannot_be_read_is_a_fault_and_no_shorter_registry(
    field: str, value: object
) -> None:
    room = Room()
    room.meddle = changing("impersonation_registry", **{field: value})
    with pytest.raises(ServerFault, match="an entry of the impersonation registry"):
        await room.facts.registry()


async def test_a_person_without_an_address_has_none_that_mail_could_be_compared_with() -> None:
    room = Room()
    room.world.add_entry("impersonation_registry", name="Max Roe", email="", is_email_regex=False)
    registry = await room.facts.registry()
    assert (registry.knows("Max Roe"), registry.addresses("Max Roe")) == (True, ())


async def test_a_record_that_is_too_deep_hides_no_message_that_another_event_names() -> None:
    room = Room()
    mail = room.world.add_message()
    deep = b'{"id":"other","nested":' + b"[" * 3000 + b"]" * 3000 + b"}"
    room.meddle = garbling(b'"result":[{', b'"result":[' + deep + b",{")
    at = datetime.fromtimestamp(mail.scanned, UTC)
    about = replace(sample.submission(original_postfix_id=mail.postfix, subject=""), requested_at=at)
    assert read_message(msgspec.Raw(await room.facts.find_message(about)), 0.0).thing.id == mail.id


async def test_an_entry_of_the_own_lists_that_is_too_deep_is_a_fault() -> None:
    room = Room()
    deep = b'"comments":' + b"[" * 3000 + b"]" * 3000 + b","
    room.meddle = garbling(b'"result":[{', b'"result":[{' + deep)
    with pytest.raises(ServerFault, match=r"an entry of the account's (domains|allow policies|trusted domains), so"):
        await room.facts.policies()
