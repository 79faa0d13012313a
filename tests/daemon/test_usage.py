"""Usage: a rule that may use a field is named when it has gone, however its code takes it."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from msgspec.structs import replace

from tests.cells import each
from tests.judging.test_presence import change
from tests.reading import Room
from tests.rule_files import rule_files
from tests.support import Meddle, open_mail
from worker.api import Request, Response
from worker.daemon.usage import find_judged, find_users, is_own
from worker.errors import ServerFault
from worker.judging.facts import Facts
from worker.judging.presence import describe_shape
from worker.judging.watches import KINDS
from worker.language.base import Noun
from worker.rulehost.loader import load

TAKES = '''
    from ._shared import look

    @rule
    def takes(message: Message) -> Move | None:
        """Look at one field."""
        {takes}
        return Move("JunkEmail") if found else None
'''
WAYS = {
    "a dot": "found = message.subject",
    "getattr": "found = getattr(message, 'subject')",
    "a getter of several": "import operator; found = operator.attrgetter('sender', 'validation.subject')(message)",
    "a pattern": "match message:\n            case Message(subject=found): pass",
    "a list of names": "found = any(getattr(message, name) for name in ('sender', 'subject'))",
    "a shared file of a shared one": "found = look(message)",
    "none": "found = message.sender  # not message.subject",
}


@each("way", WAYS)
def test_a_rule_that_takes_a_field_in_any_way_uses_it(way: str, tmp_path: Path) -> None:
    deep = "def deep(message):\n    return message.subject" if "shared" in way else "deep = bool"
    rule_files(tmp_path, takes=TAKES.format(takes=WAYS[way]), _shared="from ._deep import deep as look", _deep=deep)
    rules = [rule.info for rule in load(tmp_path).rules]
    assert find_users(rules, "Message", "subject") == (() if way == "none" else ("takes",))


def test_what_a_rule_uses_is_what_is_loaded_whatever_its_file_says_by_now(tmp_path: Path) -> None:
    files = {"takes": TAKES.format(takes="found = message.subject"), "_shared": "look = 1"}
    rules = [rule.info for rule in load(rule_files(tmp_path, **files)).rules]
    (tmp_path / "takes.py").write_text("found = message.sender")
    assert (find_users(rules, "Message", "subject"), find_users(rules, "Message", "sender")) == (("takes",), ())


ASKS = """
    from worker import ActionLog

    @rule
    def asks(message: Message, detection: Detection, log: ActionLog) -> Move | None:
        "Look at facts."
        return Move("JunkEmail") if detection.links or log.entries[0].folder else None

    @rule
    def hears(message: Message) -> Move | None:
        "Ask for no fact."
        return Move("JunkEmail")
"""
ASKS_FOR = """
    @rule
    def {name}(message: Message, fact: {fact}) -> Move | None:
        "Ask for a fact."
        return Move("JunkEmail") if fact else None
"""
USED = {
    ("Detection", "links"): True,
    ("Detection", "headers"): False,
    ("Trace", "inbound.lines"): False,
    ("ActionLog", "properties.folder"): True,
    ("ActionLog", "properties"): True,
    ("ActionLog", "properties.service"): False,
}


@each(("fact", "path"), USED)
def test_a_rule_uses_what_it_takes_from_the_facts_that_it_asks_for(fact: str, path: str, tmp_path: Path) -> None:
    rules = [rule.info for rule in load(rule_files(tmp_path, asks=ASKS)).rules]
    assert find_users(rules, fact, path) == (("asks",) if USED[fact, path] else ())


def test_what_is_judged_by_a_field_is_what_the_rules_hear_that_use_it_and_what_the_worker_reads(tmp_path: Path) -> None:
    asks = ASKS_FOR.format(name="knows", fact="Policies").replace("message: Message", "report: Report")
    rules = [rule.info for rule in load(rule_files(tmp_path, knows=asks, looks=ASKS)).rules]
    fields = [("AllowPolicy", "pattern"), ("Detection", "links"), ("Detection", "headers"), ("Message", "sender")]
    found = [set(find_judged(rules, *field)) for field in fields]
    assert found == [{"AllowPolicy", "Report"}, {"Message"}, set(), {"Message"}]


LISTS = {
    "AccountDomain": "domains",
    "AllowPolicy": "allow_policies",
    "TrustedDomain": "trusted_domains",
    "Registrant": "impersonation_registry",
}
ENTRIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("allow_policies", {"pattern": "a.example", "pattern_type": "DOMAIN", "is_acceptable_sender": True}),
    ("allow_policies", {"pattern": "b.example", "pattern_type": "DOMAIN", "is_trusted_sender": True}),
    ("trusted_domains", {"pattern": "c.example", "is_regex": False, "is_recent": True}),
    ("trusted_domains", {"pattern": "d[.]example", "is_regex": True, "is_recent": True}),
    ("impersonation_registry", {"name": "Eve", "email": "eve@corp.example", "is_email_regex": False}),
    ("impersonation_registry", {"name": "Max", "email": "m.*@corp[.]example", "is_email_regex": True}),
)
FACTS_OF_LISTS = {"Policies": Facts.policies, "Registry": Facts.registry}


def without(name: str, field: str, how: str) -> Meddle:
    """Let all entries of a list lack a field."""

    def meddle(request: Request, answer: Response) -> Response:
        if not request.path.endswith(name):
            return answer
        body = json.decode(answer.body)
        body["result"] = [change(entry, field, how) for entry in body["result"] if field in entry]
        return replace(answer, body=json.encode(body))

    return meddle


async def find_changed(room: Room, whole: Mapping[str, Noun]) -> set[str]:
    """Return the facts that say something else than they did, and are no fault either."""
    changed = set[str]()
    for fact, ask in FACTS_OF_LISTS.items():
        with suppress(ServerFault):
            changed |= {fact} if await ask(Facts(room.client, room.clock, open_mail)) != whole[fact] else set()
    return changed


@pytest.mark.slow
@each("kind", LISTS)
@each("how", ["renamed", "absent", "null"])
async def test_whatever_changes_a_fact_that_is_made_of_lists_is_needed_by_who_asks_for_it(
    kind: str, how: str, tmp_path: Path
) -> None:
    asking = {fact.lower(): ASKS_FOR.format(name=fact.lower(), fact=fact) for fact in FACTS_OF_LISTS}
    rules = [rule.info for rule in load(rule_files(tmp_path, **asking)).rules]
    room, silent = Room(), []
    for name, entry in ENTRIES:
        room.world.add_entry(name, **{"is_exempt_recipient": True} | entry if "allow" in name else entry)
    whole = {fact: await ask(Facts(room.client, room.clock, open_mail)) for fact, ask in FACTS_OF_LISTS.items()}
    for path, field in describe_shape(KINDS[kind]).written.items():
        room.meddle = without(LISTS[kind], field, how)
        users = find_users(rules, kind, path)
        silent += [(field, fact) for fact in await find_changed(room, whole) if fact.lower() not in users]
    assert silent == []


def test_what_tells_who_really_wrote_and_who_is_registered_is_the_workers_own() -> None:
    proof = ("sender", "envelope_from", "validation", "validation.dmarc", "smtp_helo_server_ip", "properties")
    assert all(is_own("Message", path) for path in proof)
    assert is_own("Registrant", "email")
    assert is_own("AllowPolicy", "is_regex")
