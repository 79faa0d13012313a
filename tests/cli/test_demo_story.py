"""The story that the demo tells of one message, and what it suggests to try next."""

import re
from typing import Any

import pytest
import typer
from msgspec.structs import replace

from tests.cells import each
from tests.cli.test_demo import ROOT
from tests.ledger.desk import JUNK, ME, T0, TRASH, Desk
from worker.cli import app
from worker.cli.demo import STOPPED, explain_looking, explain_next, find_command, list_figures, print_report
from worker.cli.demo_story import Story, tell_story, write_story
from worker.cli.demo_world import Figures
from worker.language.actions import Move
from worker.language.rules import ENFORCE
from worker.ledger.entries import Entry

ENTRY = Entry(
    id="e1",
    account=ME,
    lane="placement",
    target="m1",
    cause="",
    action=Move("DeletedItems"),
    state="done",
    mode=ENFORCE,
    rules=("malicious_mail",),
    fingerprints=("f",),
    because="judged MALICIOUS and delivered",
    item="",
    verdict="MALICIOUS|delivered",
    sender="ada@c0rp.example",
    subject="Invoice 4711",
    scanned_at=1_795_780_804.0,
)
HASH = "7fdf" * 16
RECORDS: list[dict[str, Any]] = [
    {"verb": "entered", "to": "ready", "at": "2026-11-27T12:00:05.400Z"},
    {"verb": "claimed", "to": "claimed", "at": "2026-11-27T12:00:05.500Z", "attempt": 1},
    {"verb": "answered", "to": "ready", "at": "2026-11-27T12:00:05.600Z", "said": "could not connect"},
    {"verb": "claimed", "to": "claimed", "at": "2026-11-27T12:00:15.600Z", "attempt": 2},
    {"verb": "answered", "to": "sent", "at": "2026-11-27T12:00:15.700Z"},
    {"verb": "settled", "to": "done", "at": "2026-11-27T12:00:17.700Z", "proof": "seen", "said": "a move is shown"},
]
LAST = {"number": 7, "hash": HASH}


def test_the_story_says_what_happened_when_and_where_that_is_on_record() -> None:
    assert list(write_story(ENTRY, [*RECORDS[:-1], RECORDS[-1] | LAST])) == [
        '12:00:04.0           mail from ada@c0rp.example: "Invoice 4711"',
        "                     scanned by Cloudflare: MALICIOUS",
        "12:00:05.4   +1.4 s  rule malicious_mail wants Move DeletedItems: judged MALICIOUS and delivered",
        "12:00:05.5   +0.1 s  claimed, attempt 1: on record before the request leaves",
        "12:00:05.6   +0.1 s  not carried out, to be tried again: could not connect",
        "12:00:15.6  +10.0 s  claimed, attempt 2: on record before the request leaves",
        "12:00:15.7   +0.1 s  the API answered: accepted",
        "12:00:17.7   +2.0 s  done, read back: a move is shown",
        f"audit record 7, hash {HASH}",
    ]


def test_a_story_of_hostile_and_endless_words_stays_harmless_within_a_hundred_columns() -> None:
    hostile = "\x1b[2J\u202e\n" + "word " * 1000
    mail = replace(ENTRY, sender=hostile, subject=hostile, because=hostile)
    lines = list(write_story(mail, [RECORDS[0], RECORDS[-1] | LAST | {"said": hostile}]))
    text = "\n".join(lines)
    assert max(map(len, text.splitlines())) <= 100
    assert text.replace("\n", "").isprintable()


async def test_the_story_is_that_of_the_first_message_that_was_moved_with_proof() -> None:
    desk = Desk()
    await desk.wish(JUNK, "m1")
    for message in ("m2", "m3"):
        await desk.carry_out(await desk.wish(TRASH, message, subject=f"about {message}"))
    entry, told = await tell_story(desk.ledger, ME, T0)
    assert (len(told), "about m2" in told[0], "done, read back" in told[-2]) == (7, True, True)
    assert f"  {find_command()} audit query --entry {entry}  " in "\n".join(explain_looking("sqlite:///x", "u", entry))
    assert await tell_story(desk.ledger, ME, T0 + 1) == Story()
    assert "audit query" not in "\n".join(explain_looking("sqlite:///x", "u", ""))


def make_figures() -> Figures:
    """Return the figures of a demo in which nothing happened."""
    return Figures(
        **{name: 0.0 for name in Figures.__struct_fields__ if name != "entries"},  # type: ignore[arg-type]
        entries={},
    )


def test_the_last_four_figures_are_those_that_must_be_nothing() -> None:
    assert list(list_figures(make_figures()))[-4:] == [
        ("effects that happened twice", 0),
        ("malicious mail left in inboxes", 0),
        ("actions not proved", 0),
        ("open gaps", "none"),
    ]


def test_a_stopped_demo_prints_its_figures_but_no_story(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(["the story"], make_figures(), stopped=True, quietly=False)
    out, _ = capsys.readouterr()
    assert (out.startswith(STOPPED), "the story" in out, "actions not proved" in out) == (True, False, True)


def test_a_stopped_demo_leaves_stdout_to_its_json_and_says_so_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_report([], make_figures(), stopped=True, quietly=True)
    assert capsys.readouterr() == ("", f"{STOPPED}\n\n")
    print_report([], make_figures(), stopped=False, quietly=True)
    assert capsys.readouterr() == ("", "")


@each(
    "line",
    [line for line in (*explain_next(), *explain_looking("sqlite:///x", "http://h:1", "e1")) if "worker " in line],
)
def test_what_is_suggested_next_are_commands_and_options_that_exist(line: str) -> None:
    command: Any = typer.main.get_command(app)
    for word in re.split(r"\s{2,}|$", line.partition(f"{find_command()} ")[2])[0].split():
        if word.startswith("--"):
            assert word in {option for parameter in command.params for option in parameter.opts}
        elif hasattr(command, "commands"):
            command = command.commands[word]


def test_the_first_rule_is_where_the_demo_says() -> None:
    (page, anchor) = re.findall(r"(\S+\.md)#(\S+)", "\n".join(explain_next()))[0]
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"\W+", "-", heading.lower()) for heading in headings}


def test_what_had_nothing_to_do_is_counted_and_explained() -> None:
    figures = replace(make_figures(), entries={"BlockSender": {"done": 6, "moot": 147}, "Move": {"moot": 7}})
    assert ("moot: done before, or the mail met a block of ours", 154) in list(list_figures(figures))
