"""What is shown: harmless, bounded, and short."""

import os
import pty
import subprocess
import sys

import msgspec
import pytest

from worker.cli.output import format_cell, print_card, print_json, print_rows, print_table
from worker.judging.hearing import explain
from worker.language.rules import Ask


def test_what_a_stranger_wrote_does_nothing_to_a_terminal() -> None:
    assert format_cell("\x1b[2J\u202egnp.exe\n") == r"\u001B[2J\u202Egnp.exe\u000A"
    assert format_cell(("a", "\x07")) == r"a, \u0007"
    assert format_cell("[bold]" * 100).startswith("[bold][bold]")
    assert len(format_cell("x" * 5_000_000)) <= 120


def test_a_document_does_nothing_to_a_terminal_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    nasty = {"subject": "\x1b[2J \x9b2J \x7f \u202egnp.exe \u200b \u3164 \U000e0041 \n", "\u2066": "Grüße"}
    print_json(nasty)
    out = capsys.readouterr().out
    assert msgspec.json.decode(out) == nasty
    assert out.replace("\n", "").isprintable()
    assert (r"\u009b2J \u007f \u202egnp.exe \u200b \u3164 \udb40\udc41" in out, "Grüße" in out) == (True, True)


def test_several_rules_of_one_row_leave_room_for_the_other_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("number", "rule", "target"), [(7, ("rule_of_a_long_name",) * 5, "a message")])
    out = capsys.readouterr().out
    assert out.count("rule_of_a_long_name") == 5
    assert "7 " in out
    assert "a message" in out


@pytest.mark.slow
def test_a_terminal_that_does_not_know_its_width_is_shown_the_whole_table() -> None:
    ours, theirs = pty.openpty()
    program = "from worker.cli.output import print_table; print_table(['id'], [['something']])"
    subprocess.run([sys.executable, "-c", program], stdout=theirs, check=True)  # noqa: S603 (ours)
    assert b"something" in os.read(ours, 4096)
    os.close(ours)
    os.close(theirs)


def test_what_the_worker_says_is_shown_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    advice = explain([Ask(rule="r", unread=("subject", "from_name", "sender"))], {})
    print_card({"held": f"40 events: {advice}"})
    print_rows([{"why": advice}], ["why"], as_json=False, empty="")
    assert " ".join(capsys.readouterr().out.split()).count("or at once by `worker held retry`; update the worker") == 2
