"""Usage: a rule that may use a field is named when it has gone, however its code takes it."""

from pathlib import Path

from tests.cells import each
from tests.rule_files import rule_files
from worker.daemon.usage import find_users
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
