"""Usage: a rule that may use a field is named when it has gone, however its code takes it."""

from pathlib import Path

from tests.cells import each
from tests.rule_files import rule_files
from worker.intake.usage import find_users
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


NOW: dict[str, bytes | None] = {"gone": None, "not Python": b"def", "not UTF-8": b"# \xff", "not text": b"\0"}


@each("now", NOW)
def test_a_rule_of_which_the_file_cannot_be_read_by_now_may_use_any_field(now: str, tmp_path: Path) -> None:
    files = {"takes": TAKES.format(takes="found = 1"), "_shared": "look = 1"}
    rules = [rule.info for rule in load(rule_files(tmp_path, **files)).rules]
    (tmp_path / "takes.py").unlink()
    if content := NOW[now]:
        (tmp_path / "takes.py").write_bytes(content)
    assert find_users(rules, "Message", "subject") == ("takes",)
