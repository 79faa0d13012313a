"""Validation of rule files, and fingerprints: they change when a decision could change, and only then."""

import ast
from pathlib import Path

import pytest

from tests.rule_files import rule_files
from worker.errors import RuleError
from worker.language.models import FACTS, MESSAGE_FACTS, TRIGGERS
from worker.rulehost.loader import load
from worker.rulehost.validation import normalise

FILES = {
    "one": '''
    """A file."""
    from ._words import WORDS

    @rule
    @example(sample.message(), sample.detection(), gives=None)
    def one(message: Message, detection: Detection) -> tuple[Move, Notify] | Keep | None:
        """Say one."""
        return Keep() if message.subject in WORDS else None
''',
    "two": '''
    @rule
    def two(message: Message) -> Keep | None:
        """Say two."""
        return None
''',
    "_words": "WORDS = {'a'}",
}


def prints(folder: Path, stem: str = "", change: str = "", to: str = "") -> tuple[str, str, str]:
    """Load the files, one of them changed, and return the fingerprints of both rules and of the bundle."""
    assert not stem or change in FILES[stem]
    bundle = load(rule_files(folder, **FILES | ({stem: FILES[stem].replace(change, to)} if stem else {})))
    return bundle.rules[0].info.fingerprint, bundle.rules[1].info.fingerprint, bundle.fingerprint


@pytest.mark.parametrize(
    ("stem", "change", "to", "changed"),
    [
        ("one", "Say one.", "Say otherwise.", (False, False, False)),
        ("one", "A file.", "Another file.", (False, False, False)),
        ("one", "@example(sample.message(), sample.detection(), gives=None)", "", (False, False, False)),
        ("one", "\n    @rule", "\n\n    # a comment\n    @rule", (False, False, False)),
        ("one", "message.subject in", "message.from_name in", (True, False, True)),
        ("one", "@rule", "@rule(priority=2)", (True, False, True)),
        ("two", "return None", "return Keep()", (False, True, True)),
        ("_words", "'a'", "'b'", (True, True, True)),
    ],
)
def test_a_fingerprint_covers_what_decides(
    tmp_path: Path, stem: str, change: str, to: str, changed: tuple[bool, bool, bool]
) -> None:
    before, after = prints(tmp_path), prints(tmp_path, stem, change, to)
    assert tuple(one != other for one, other in zip(before, after, strict=True)) == changed


def test_what_is_bare_says_nothing_about_lines_and_words() -> None:
    source = '"""Doc."""\n@example(1, gives=None)\ndef f():\n    """Doc."""\nclass C:\n    """Doc."""\n    x = 1\n'
    assert "Doc" not in normalise(ast.parse(source))
    assert "example" not in normalise(ast.parse(source))
    assert normalise(ast.parse(source)) == normalise(ast.parse(source.replace("@example", "\n\n@example")))


def test_a_signature_tells_trigger_facts_and_actions(tmp_path: Path) -> None:
    one = load(rule_files(tmp_path, **FILES)).rules[0].info
    assert (one.trigger, one.facts, one.actions) == ("Message", ("Detection",), ("Move", "Notify", "Keep"))


ANY = """
    from worker import ActionLog

    @rule{mark}
    def any_rule(e: {trigger}, f: {fact}) -> Keep:
        "Why."
        return Keep()
"""


@pytest.mark.parametrize(
    ("trigger", "fact"),
    [(trigger, fact) for trigger in TRIGGERS for fact in FACTS if trigger == "Message" or fact not in MESSAGE_FACTS],
)
def test_every_trigger_goes_with_every_fact_that_is_about_it(tmp_path: Path, trigger: str, fact: str) -> None:
    (rule,) = load(rule_files(tmp_path, any=ANY.format(mark="", trigger=trigger, fact=fact))).rules
    assert (rule.info.trigger, rule.info.facts) == (trigger, (fact,))


@pytest.mark.parametrize("trigger", sorted(TRIGGERS.keys() - {"Message"}))
@pytest.mark.parametrize("fact", sorted(MESSAGE_FACTS))
def test_a_rule_about_something_else_cannot_ask_for_a_fact_of_a_message(
    tmp_path: Path, trigger: str, fact: str
) -> None:
    with pytest.raises(RuleError, match=f"{fact} is a fact of a message, so a rule about {trigger} cannot use it"):
        load(rule_files(tmp_path, any=ANY.format(mark="", trigger=trigger, fact=fact)))


DOES = '''
    @rule{mark}
    def does(entry: {trigger}) -> {action} | None:
        """Why."""
        return None
'''


@pytest.mark.parametrize("trigger", ["AllowPolicy", "BlockedSender"])
@pytest.mark.parametrize("action", ["Move", "Release", "Reclassify"])
def test_a_rule_about_a_list_cannot_touch_messages(tmp_path: Path, trigger: str, action: str) -> None:
    with pytest.raises(RuleError, match=f"{action} needs a message, and a rule about {trigger} has none"):
        load(rule_files(tmp_path, does=DOES.format(mark="", trigger=trigger, action=action)))


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_trigger_can_notify_and_change_lists(tmp_path: Path, trigger: str) -> None:
    may = "tuple[Notify, BlockSender] | Unblock"
    (rule,) = load(rule_files(tmp_path, does=DOES.format(mark="", trigger=trigger, action=may))).rules
    assert rule.info.actions == ("Notify", "BlockSender", "Unblock")


@pytest.mark.parametrize("trigger", ["Submission", "BlockedSender", "AllowPolicy"])
def test_what_has_no_disposition_cannot_be_narrowed_by_one(tmp_path: Path, trigger: str) -> None:
    with pytest.raises(RuleError, match=f"{trigger} has no disposition of its own; leave dispositions= out"):
        load(rule_files(tmp_path, does=DOES.format(mark="(dispositions=['SPAM'])", trigger=trigger, action="Notify")))


@pytest.mark.parametrize(
    ("mark", "trigger", "refused"),
    [
        ('(dispositions=("NONE",))', "Message", True),
        ('(dispositions=("NONE", "NONE"))', "Message", True),
        ('(dispositions=("NONE", "SPAM"))', "Message", False),
        ("", "Message", False),
        ("(dispositions=())", "Message", False),
        ('(dispositions=("NONE",))', "Report", False),
        ("", "Submission", False),
    ],
)
def test_a_rule_that_could_only_ask_about_clean_mail_is_refused(
    tmp_path: Path, mark: str, trigger: str, *, refused: bool
) -> None:
    files = rule_files(tmp_path, does=DOES.format(mark=mark, trigger=trigger, action="Reclassify"))
    if refused:
        with pytest.raises(RuleError, match="it hears clean mail only, and Reclassify of that is invalid"):
            load(files)
    else:
        assert load(files).rules


@pytest.mark.parametrize("trigger", sorted(TRIGGERS.keys() - {"Submission"}))
def test_only_what_a_user_submitted_can_be_escalated(tmp_path: Path, trigger: str) -> None:
    with pytest.raises(RuleError, match=f"a rule about {trigger} cannot return it|and a rule about {trigger} has none"):
        load(rule_files(tmp_path, does=DOES.format(mark="", trigger=trigger, action="Escalate")))


def test_a_rule_about_submissions_may_escalate_them(tmp_path: Path) -> None:
    (rule,) = load(rule_files(tmp_path, does=DOES.format(mark="", trigger="Submission", action="Escalate"))).rules
    assert rule.info.actions == ("Escalate",)
