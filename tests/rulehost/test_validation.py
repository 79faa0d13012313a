"""Validation of rule files: what signatures mean."""

from pathlib import Path

import pytest

from tests.rule_files import rule_files
from worker.errors import RuleError
from worker.language.models import FACTS, MESSAGE_FACTS, TRIGGERS
from worker.rulehost.loader import load

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
