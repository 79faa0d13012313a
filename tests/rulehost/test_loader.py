"""The loader: a folder of rule files is loaded whole or not at all, and every problem is reported at once."""

import os
import sys
from pathlib import Path

import pytest

from tests.rule_files import PRELUDE, mail, rule_files
from worker.errors import RuleError
from worker.rulehost.evaluation import judge
from worker.rulehost.loader import PACKAGE, Sources, build, load, read, to_error
from worker.rulehost.validation import Problem

FINE = '''
    spam, ham = sample.message(), sample.message(final_disposition="NONE")

    @rule(mode=ENFORCE, limit=per_hour(50), priority=3)
    @example(spam, gives=Move("JunkEmail"))
    @example(ham, gives=None)
    def fine(message: Message) -> Move | None:
        """It is fine.

        More about it.
        """
        return Move("JunkEmail") if message.final_disposition == "SPAM" else None
'''


def refused(folder: Path, **files: str) -> str:
    """Load rule files that are rejected and return the error without the folder's path."""
    with pytest.raises(RuleError) as caught:
        load(rule_files(folder, **files))
    return str(caught.value).replace(f"{folder}/", "")


def test_a_rule_is_described_by_its_signature_and_its_marks(tmp_path: Path) -> None:
    (rule,) = load(rule_files(tmp_path, fine=FINE)).rules
    info = rule.info
    assert (info.name, info.file, info.line) == ("fine", f"{tmp_path}/fine.py", 8)
    assert (info.doc, info.trigger, info.facts, info.actions) == ("It is fine.", "Message", (), ("Move",))
    assert (info.mode.name, info.priority, info.limit.count, info.limit.per) == ("ENFORCE", 3, 50, 3600)
    assert len(info.fingerprint) == 32


def test_rules_without_marks_observe_a_hundred_an_hour(tmp_path: Path) -> None:
    (rule,) = load(rule_files(tmp_path, fine=FINE.replace("(mode=ENFORCE, limit=per_hour(50), priority=3)", ""))).rules
    assert (rule.info.mode.name, rule.info.limit.count, rule.info.priority) == ("OBSERVE", 100, 0)


NOTIFIES = """
    HELP = "helpdesk"
    told = sample.message(subject="pay")

    def channel(message: Message) -> str:
        return message.subject

    @rule
    @example(told, gives={example})
    def notifies(message: Message) -> Notify | None:
        "It notifies."
        return {notice} if message.subject == "pay" else None
"""


@pytest.mark.parametrize(
    ("notice", "example", "channels"),
    [
        ('Notify("soc")', 'Notify("soc")', ("soc",)),
        ('Notify(channel="soc", because="x")', 'Notify("soc")', ("soc",)),
        ("Notify(HELP)", "Notify(HELP)", ("helpdesk",)),
        ("Notify(channel(message))", 'Notify("pay")', ("pay",)),
        ("Notify(channel(message))", "Notify(told.subject)", ()),
    ],
    ids=["written out", "by keyword", "a constant of the file", "named by an example only", "computed"],
)
def test_the_channels_that_a_rule_may_notify_are_read_from_it(
    tmp_path: Path, notice: str, example: str, channels: tuple[str, ...]
) -> None:
    (rule,) = load(rule_files(tmp_path, notifies=NOTIFIES.format(notice=notice, example=example))).rules
    assert rule.info.channels == channels


FIRST = "the type of the first parameter says what triggers the rule; use Message"
PLAIN = "a rule is a plain function: not async, no yield"


@pytest.mark.parametrize(
    ("change", "to", "problem"),
    [
        ('"""It is fine.', '"', "fine.py:9: this is not Python: unterminated string literal"),
        ('"""It is fine.\n\n        More about it.\n        """', "", "fine.py:8: fine: it has no docstring"),
        ("message: Message", "message: Detection", FIRST),
        ("message: Message", "message", FIRST),
        ("(message: Message)", "()", FIRST),
        ("(message: Message)", "(message: Message, x: str)",
         "the type of parameter x is not a fact; use Detection, ActionLog"),
        ("(message: Message)", "(message: Message, x)", "the type of parameter x is not a fact; use Detection"),
        ("(message: Message)", "(message: Message, a: Now, b: Now)", "two parameters have the same fact as their type"),
        ("(message: Message)", "(message: Message, *rest: Now)", PLAIN),
        ("(message: Message)", "(message: Message, *, now: Now)", PLAIN),
        ("def fine", "async def fine", PLAIN),
        ("message: Message", "message: 'Massage'", "its annotations cannot be read: name 'Massage' is not defined"),
        ("-> Move | None", "", "it has no return type"),
        ("-> Move | None", "-> str | None", "its return type has str; use Move, Release"),
        ("-> Move | None", "-> tuple[Move, None]", "its return type has None;"),
        ("-> Move | None", "-> object", "its return type has object"),
        ("-> Move | None", "-> None", "its return type has no action"),
        ("-> Move | None", "-> Release | None", "example 1: TypeError: Move is not in the rule's return type"),
        ('=Move("JunkEmail")', '=Move("Inbox")', 'expected Move("Inbox"), but the rule returned Move("JunkEmail")'),
        ("@example(ham", "@example(spam", 'example 2: expected no action, but the rule returned Move("JunkEmail")'),
        ("@example(ham,", "@example(", "example 2: it gives the rule (), but the rule takes (Message)"),
        ("@example(ham,", "@example(3,", "example 2: it gives the rule (int), but the rule takes (Message)"),
        ("@example(ham, gives=None)", "", "a rule in ENFORCE needs an example in which it does not act"),
        ('@example(spam, gives=Move("JunkEmail"))', "", "a rule in ENFORCE needs an example in which it acts"),
        ("return Move", "return 1 / 0 and Move", "example 1: ZeroDivisionError: division by zero (line 13)"),
        ("mode=ENFORCE", "mode='enforce'", "mode is 'enforce'; use OFF, OBSERVE, APPROVE or ENFORCE"),
        ("priority=3", "priority='high'", "priority is 'high'; use a whole number"),
        ("per_hour(50)", "50", "limit is 50; use per_hour(50)"),
        ("per_hour(50)", "limit(5, per='1s')", "with a window of 1m to 30d"),
        ("per_hour(50)", "per_hour(-1)", "fine.py:5: it cannot be loaded: ValueError: a limit must be 0 or"),
        ("priority=3", "dispositions=['Spam']", "unknown disposition 'Spam'; use MALICIOUS, MALICIOUS-BEC"),
        ("@rule(mode=ENFORCE, limit=per_hour(50), priority=3)", "", "fine: it has examples but no @rule above them"),
        ("def fine", "def fine(message: Message) -> None: ...\n    @rule\n    def fine", "fine is defined twice"),
        ("spam, ham", "import os\n    spam, ham", "fine.py:3: os cannot be imported in a rule file"),
        ("spam, ham", "from os import path\n    spam, ham", "os.path cannot be imported in a rule file"),
        ("spam, ham", "from worker import Bundle\n    spam, ham", "worker.Bundle cannot be imported in a rule file"),
        ("spam, ham", "from worker import Mesage\n    spam, ham",
         "worker.Mesage cannot be imported in a rule file; did you mean Message?; rules import names from worker"),
        ("spam, ham", "from worker.api import Client\n    spam, ham",
         "worker.api.Client cannot be imported in a rule file"),
        ("spam, ham", "from ._nobody import x\n    spam, ham", "._nobody cannot be imported in a rule file"),
        ("spam, ham", "from .other import x\n    spam, ham", ".other.x cannot be imported in a rule file"),
        ("return Move", "import socket; return Move", "socket cannot be imported in a rule file"),
        ("return Move", "open('/etc/passwd'); return Move",
         "fine.py:13: open() is not allowed in a rule: rules cannot read files"),
        ("spam, ham", "raise SystemExit(4)\n    spam, ham", "fine.py:3: it cannot be loaded: SystemExit: 4"),
        ("spam, ham", "undefined\n    spam, ham", "it cannot be loaded: NameError: name 'undefined' is not defined"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, change: str, to: str, problem: str) -> None:
    assert change in FINE
    assert problem in refused(tmp_path, fine=FINE.replace(change, to, 1))


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        a=FINE.replace("fine(", "a(").replace("message: Message", "message: str"),
        b=FINE.replace("-> Move | None", ""),
        c="this is no Python",
        d="x = 1",
    )
    assert [line.partition(":")[0] for line in told.splitlines()] == ["c.py", "a.py", "b.py", "d.py"]
    assert "this file has no rule; begin its name with _ if other files import it" in told


def test_the_error_lies_where_the_first_problem_lies() -> None:
    error = to_error([Problem("one", "a.py", 3), Problem("two", "b.py", 4)])
    assert str(error) == "a.py:3: one\nb.py:4: two"
    assert (error.file, error.line) == ("a.py", 3)


def test_two_files_cannot_use_one_name(tmp_path: Path) -> None:
    told = refused(tmp_path, a=FINE, b=FINE)
    assert told == "b.py:8: fine: a.py:8 has a rule of this name; rename one of them"


def test_an_exemption_needs_a_message_it_is_not_about(tmp_path: Path) -> None:
    keeps = FINE.replace("Move(", "Keep(").replace("Move", "Keep").replace('"JunkEmail"', "")
    assert load(rule_files(tmp_path, fine=keeps)).rules
    always = keeps.replace("@example(ham, gives=None)", "")
    assert "an example in which it does not act" in refused(tmp_path, fine=always)


def test_keeping_counts_as_not_acting_for_a_rule_that_may_do_more(tmp_path: Path) -> None:
    either = FINE.replace("Move | None", "Move | Keep").replace("else None", "else Keep()")
    assert load(rule_files(tmp_path, fine=either.replace("gives=None", "gives=Keep()"))).rules


def test_a_channel_needs_an_address_once_channels_are_known(tmp_path: Path) -> None:
    tells = FINE.replace('Move("JunkEmail")', 'Notify("soc")').replace("Move", "Notify")
    folder = rule_files(tmp_path, fine=tells)
    assert load(folder).rules
    assert load(folder, frozenset({"soc"})).rules
    with pytest.raises(RuleError, match="channel 'soc' has no address; set WORKER_NOTIFY_SOC"):
        load(folder, frozenset({"other"}))


def test_neighbours_lend_to_rule_files_and_are_not_rule_files(tmp_path: Path) -> None:
    rule_files(tmp_path, _words="from ._more import WORD\n", _more="WORD = 'SPAM'\n@rule\ndef lent() -> None: ...\n")
    borrows = "from ._words import WORD\nfrom . import _more" + FINE.replace("\n    ", "\n").replace('"SPAM"', "WORD")
    bundle = load(rule_files(tmp_path, fine=borrows + "\nlent = _more.lent\n"))
    assert [rule.info.name for rule in bundle.rules] == ["fine"]
    assert len(judge(bundle, [mail()])[0].proposals) == 1
    assert not [name for name in sys.modules if name.startswith(PACKAGE)]


def test_a_broken_neighbour_is_told_once_and_hides_nothing_but_what_borrows_from_it(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        _words="import os",
        _more="from ._words import os",
        borrows="from ._more import os\nraise ValueError",
        other=FINE.replace("-> Move | None", ""),
    )
    assert told.splitlines()[0].startswith(
        "_words.py:2: os cannot be imported in a rule file; rules import names from worker"
    )
    assert [line.partition(": ")[0] for line in told.splitlines()] == ["_words.py:2", "other.py:8"]


def test_what_a_neighbour_raises_is_told_once_whoever_borrows_from_it(tmp_path: Path) -> None:
    borrows = "from ._words import x"
    told = refused(
        tmp_path, _words="raise ValueError('no')", a=borrows, b=borrows, c=FINE.replace("-> Move | None", "")
    )
    assert [line.partition(": ")[0] for line in told.splitlines()] == ["_words.py:2", "c.py:8"]


def test_pure_modules_may_be_imported_in_every_way(tmp_path: Path) -> None:
    imports = "from __future__ import annotations\n" + PRELUDE
    imports += (
        "import re, collections.abc\nfrom urllib import parse\nfrom email.utils import parseaddr\nimport datetime as d"
    )
    (tmp_path / "fine.py").write_text(imports + FINE.replace("\n    ", "\n"))
    assert load(tmp_path).rules


def test_the_folders_of_a_config_map_are_read_once(tmp_path: Path) -> None:
    hidden = tmp_path / "..2026_01_05"
    hidden.mkdir()
    rule_files(hidden, fine=FINE)
    (tmp_path / "..data").symlink_to(hidden)
    (tmp_path / "fine.py").symlink_to(tmp_path / "..data" / "fine.py")
    (tmp_path / ".hidden.py").write_text("this is not Python")
    (tmp_path / "notes.txt").write_text("nor is this")
    (tmp_path / "folder.py").mkdir()
    assert list(read(tmp_path).files) == ["fine.py"]


@pytest.mark.parametrize("files", [{}, {"_words": "WORD = 1"}])
def test_a_folder_without_rules_is_an_error_that_names_the_setting(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(RuleError, match="this folder has no rule file; add one, or set WORKER_RULES"):
        read(rule_files(tmp_path, **files))


def test_a_folder_that_cannot_be_read_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"nowhere: cannot read the rules folder \(No such file or directory\)"):
        read(tmp_path / "nowhere")


def test_a_folder_that_is_a_file_is_an_error_that_names_the_folder_around_it(tmp_path: Path) -> None:
    rule_files(tmp_path, fine=FINE)
    with pytest.raises(RuleError, match=f"this is not a folder, .*; try `worker check {tmp_path}`"):
        read(tmp_path / "fine.py")


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.py")
    (tmp_path / "nothing.py").symlink_to(tmp_path / "nowhere")
    assert list(read(rule_files(tmp_path, fine=FINE)).files) == ["fine.py"]


@pytest.mark.parametrize("target", ["/proc/self/environ", "../secrets/token", "more/environ"])
def test_a_link_that_leads_out_of_the_folder_is_refused_and_not_read(tmp_path: Path, target: str) -> None:
    for name in ("rules", "secrets"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets/token").write_text("s3cret = 1")
    rules = rule_files(tmp_path / "rules", fine=FINE)
    (rules / "more").symlink_to("/proc/self")
    (rules / "_words.py").symlink_to(target)
    with pytest.raises(RuleError, match=r"_words\.py: this is a link to a file outside of the rules folder"):
        read(rules)


@pytest.mark.parametrize("sign", ["\x1b[31m", "\n::error::x", "\u202e", "\u200b"])
def test_a_name_with_hidden_characters_is_refused_and_escaped(tmp_path: Path, sign: str) -> None:
    (rule_files(tmp_path, fine=FINE) / f"a{sign}.py").write_text("x = (")
    with pytest.raises(RuleError, match="rename the file; its name has control") as caught:
        read(tmp_path)
    assert sign not in str(caught.value)


@pytest.mark.parametrize(("name", "problem"), [("my-rule.py", "rename the file"), ("nul.py", "this is not Python")])
def test_odd_files_are_told(name: str, problem: str) -> None:
    _, problems = build(Sources("rules", {name: b"x = 1" if name == "my-rule.py" else b"x = 1\0"}))
    assert problem in problems[0].text
    assert problems[0].file == f"rules/{name}"


def test_a_rule_under_two_names_is_one_rule(tmp_path: Path) -> None:
    assert len(load(rule_files(tmp_path, fine=FINE + "    other = fine\n")).rules) == 1
