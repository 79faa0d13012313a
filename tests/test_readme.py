"""What the documentation says is so: its tables are those of the code, its examples run, its links lead somewhere."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from inspect import Parameter, isfunction, signature
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
import typer
from msgspec.json import Decoder
from msgspec.structs import fields

from rules.malicious_mail import malicious_mail
from tests.cells import each
from tests.cli.test_demo import read_exports, start
from tests.reading import Room, says
from tests.surface import HELD
from worker import Message, sample
from worker.cli import app
from worker.cli.demo import list_figures
from worker.cli.demo_story import tell_story
from worker.cli.demo_world import Figures
from worker.daemon.readiness import TURNS
from worker.intake.sources import AllowPolicies, Messages, Reports
from worker.language.actions import ACTIONS
from worker.language.base import Noun
from worker.language.models import DISPOSITIONS, FACTS, MESSAGE_FACTS, TRIGGERS
from worker.language.rules import Mode, to_actions
from worker.ledger.entries import FOLLOWS
from worker.ledger.records import NOTHING, VERBS, Json, canonical, hash_record
from worker.rulehost.evaluation import Event, judge
from worker.rulehost.loader import load
from worker.sandbox import ACCOUNT, MailFlow, World
from worker.sandbox.control import ROUTES, handle
from worker.sandbox.edge.auth import READ_ONLY, WRONG
from worker.sandbox.wire import IncomingRequest
from worker.settings import Settings, describe
from worker.telemetry import Metrics

ROOT = Path(__file__).parents[1]
README, RULES, REFERENCE, OPERATIONS, LEDGER = (
    (ROOT / name).read_text()
    for name in ("README.md", "docs/rules.md", "docs/reference.md", "docs/operations.md", "docs/ledger.md")
)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
HOSTS = {"api.cloudflare.com", "keepachangelog.com", "semver.org", "pay.example"}
each_page = each("page", PAGES)


def table(text: str, first: str) -> list[list[str]]:
    """Give the rows of the table whose first column has this heading."""
    found = re.search(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"no table of {first}s"
    rows = [re.split(r"(?<!\\)\|", row.strip("|")) for row in found[1].splitlines()]
    return [[cell.strip().replace(r"\|", "|") for cell in row] for row in rows]


def named(text: str, first: str) -> list[str]:
    """Give the first word in backticks of each row."""
    return [re.split(r"\W", row[0].strip("`"))[0] for row in table(text, first)]


def blocks(text: str, language: str) -> list[str]:
    """Give the blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(group: object = None, before: str = "worker") -> Iterator[tuple[str, set[str]]]:
    """Give each command with its options."""
    within = getattr(group or typer.main.get_command(app), "commands", {})
    for name, command in within.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before} {name}")
        else:
            words = {word for parameter in command.params for word in parameter.opts}
            yield f"{before} {name}", {word for word in words if word.startswith("--")}


def test_the_table_of_settings_is_that_of_the_code() -> None:
    told = [(name.strip("`"), default.strip("`"), meaning) for name, default, meaning in table(README, "setting")]
    assert told == [tuple(row) for row in describe()]


@each("name", [row.name for row in describe()])
def test_each_setting_is_explained(name: str) -> None:
    assert f"`{name}`" in OPERATIONS


def test_the_table_of_commands_is_that_of_the_command_line() -> None:
    told = [row[0].strip("`") for row in table(README, "command")]
    assert sorted(told) == sorted(name for name, _ in commands())


def test_the_table_of_options_is_that_of_the_command_line() -> None:
    told = {
        command.strip("`"): set(re.findall(r"`(--[a-z]+)`", options))
        for command, options in table(OPERATIONS, "command")
    }
    assert told == dict(commands())


def test_every_action_fact_trigger_and_mode_is_in_its_table() -> None:
    told = [name for row in table(README, "action") for name in re.findall(r"`(\w+)\(", row[0])]
    assert told == named(RULES, "action") == list(ACTIONS)
    assert named(RULES, "fact") == list(FACTS)
    assert named(RULES, "trigger") == list(TRIGGERS)
    assert named(RULES, "mode") == list(Mode.__members__)


def test_every_sample_is_named() -> None:
    made = {f"sample.{name}" for name, one in vars(sample).items() if isfunction(one)}
    assert set(re.findall(r"`(sample\.\w+)`", RULES)) == made


def parts(hint: Any) -> Iterator[type[Noun]]:  # noqa: ANN401 (any annotation)
    """Give the nouns that a type is made of, and those in their fields."""
    noun = isinstance(hint, type) and issubclass(hint, Noun)
    yield from [hint] if noun else []
    for inside in get_type_hints(hint).values() if noun else get_args(hint):
        yield from parts(inside)


NOUNS = {part.__name__: part for noun in (TRIGGERS | FACTS).values() for part in parts(noun)}


def written(hint: Any) -> str:  # noqa: ANN401 (any annotation)
    """Write a type as Python does."""
    inside = ["..." if one is ... else written(one) for one in get_args(hint)]
    if get_origin(hint) in {Union, UnionType}:
        return " | ".join(inside)
    name = "None" if hint is NoneType else (get_origin(hint) or hint).__name__
    return f"{name}[{', '.join(inside)}]" if inside else str(name)


def read_of(kind: type[Noun]) -> Iterator[tuple[str, str]]:
    """Give all that a rule can read of a noun, with its type: the fields, then what is made of them."""
    hints = get_type_hints(kind)
    for one in fields(kind):  # null reads as the empty value, where there is one
        yield one.name, written(hints[one.name]).removesuffix("" if one.default is None else " | None")
    every = [pair for base in reversed(kind.__mro__) for pair in vars(base).items() if pair[0][0] != "_"]
    for name, made in [pair for pair in every if pair[0] not in {"unread", "mended"}]:  # which every noun has
        if isinstance(made, property):
            yield name, written(get_type_hints(made.fget)["return"])
        elif isfunction(made):
            takes = ", ".join([*signature(made).parameters][1:])
            yield f"{name}({takes})", written(get_type_hints(made)["return"])


def test_the_reference_has_a_table_for_every_noun_and_every_part_of_one() -> None:
    assert re.findall(r"^###+ `(\w+)`$", REFERENCE, re.MULTILINE) == list(NOUNS)


@each("name", NOUNS)
def test_the_fields_in_the_reference_are_those_that_a_rule_can_read(name: str) -> None:
    rows = table(REFERENCE.partition(f"# `{name}`\n")[2], "field")
    assert [(field.strip("`"), kind.strip("`")) for field, kind, _ in rows] == list(read_of(NOUNS[name]))
    assert [row for row in rows if not row[2]] == []


def arguments(function: Any) -> Iterator[str]:  # noqa: ANN401 (any function)
    """Give what a sample takes, with what that is when left out; what follows an asterisk is given by name."""
    starred = False
    for one in signature(function).parameters.values():
        yield from ["`*`"] if one.kind is Parameter.KEYWORD_ONLY and not starred else []
        starred = starred or one.kind in {Parameter.KEYWORD_ONLY, Parameter.VAR_POSITIONAL}
        default = "NOON" if one.default is sample.NOON else repr(one.default).replace("'", '"')
        bare = one.name if one.default is Parameter.empty else f"{one.name}={default}"
        yield f"`*{one.name}`" if one.kind is Parameter.VAR_POSITIONAL else f"`{bare}`"


def test_the_arguments_of_samples_in_the_reference_are_those_of_the_code() -> None:
    made = [[f"`sample.{name}`", ", ".join(arguments(one))] for name, one in vars(sample).items() if isfunction(one)]
    assert table(REFERENCE, "sample") == made


def test_the_reference_names_every_disposition_and_every_fact_of_a_message() -> None:
    (dispositions,) = re.findall(r"^## Dispositions\n\n(.+)", REFERENCE, re.MULTILINE)
    assert re.findall(r"`(.+?)`", dispositions) == list(DISPOSITIONS)
    (facts,) = re.findall(r"^(.+) are facts of a message", REFERENCE, re.MULTILINE)
    assert set(re.findall(r"`(.+?)`", facts)) == MESSAGE_FACTS.keys()


def test_the_table_of_metrics_is_that_of_the_registry() -> None:
    assert sorted(named(OPERATIONS, "metric")) == list(Metrics().names)


def test_the_states_of_an_entry_and_what_follows_them_are_those_of_the_ledger() -> None:
    told = {state.strip("`"): set(re.findall(r"`(\w+)`", following)) for state, _, following in table(LEDGER, "state")}
    assert told == FOLLOWS


def test_the_architecture_names_files_that_are_there() -> None:
    named = set(re.findall(r"`(?:worker/)?([\w/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text()))
    assert {file for file in named if not (ROOT / "worker" / file).exists()} == set()
    assert len(named) > 30


def test_contributing_names_files_and_folders_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:worker|tests|docs|helm)/[\w./]*)`", text))
    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert len(named) > 40


def test_the_verbs_of_records_are_those_that_are_written() -> None:
    told = {verb for row in table(LEDGER, "verb") for verb in re.findall(r"`([a-z ]+)`", row[0])}
    assert sorted(told) == sorted(VERBS)
    files = [file for room in ("ledger", "daemon", "executor") for file in (ROOT / "worker" / room).rglob("*.py")]
    assert told == {verb for file in files for verb in verbs(ast.parse(file.read_text()))}


def verbs(tree: ast.Module) -> Iterator[str]:
    """Give what a file passes as the verb of a record."""
    place = {"add": 0, "move": 2, "go_on": 2, "NewRecord": 0}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = node.args[place[name] : place[name] + 1] if name in place else []
            yield from (one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str))


@pytest.mark.parametrize("text", blocks(README + RULES, "python"))
def test_the_rules_that_are_shown_load_and_pass_their_examples(text: str, tmp_path: Path) -> None:
    (tmp_path / "shown.py").write_text(text)
    assert len(load(tmp_path, frozenset({"soc"})).rules) == 1


def test_the_first_rule_acts_on_mail_of_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "shown.py").write_text(blocks(README, "python")[0])
    world = World(now=lambda: 1_800_000_000.0, mail_flow=MailFlow(messages=500))
    events = [Event(key=mail.id, kind="Message", raw=mail.encode(mail.now)) for mail in world.mails]
    said = judge(load(tmp_path), events)
    acted = [one for one in said if one.proposals]
    assert (len(acted) > 0, [one for one in said if one.failed]) == (True, [])


@pytest.mark.slow
async def test_the_first_rule_can_be_tried_as_it_is_told(tmp_path: Path) -> None:
    rules = Path(shutil.copytree(ROOT / "rules", tmp_path / "rules"))
    (rules / "borrowed_payroll.py").write_text(blocks(README, "python")[0])
    sandbox = await start("sandbox", "--port", "0", "--messages", "200", "--arrivals", "0/s")
    settings = await read_exports(sandbox)
    (told,) = [block for block in blocks(README, "sh") if "borrowed_payroll" in block]
    out = err = b""
    for before, words in re.findall(r"^(.*)\bworker ((?:run|audit) .+)$", told, re.MULTILINE):
        settings |= {name: value for name, _, value in (word.partition("=") for word in before.split()) if value}
        process = await start(*words.split(), folder=tmp_path, **settings)
        out, err = await process.communicate()
        assert process.returncode == 0, err
    assert b"done" in out
    sandbox.terminate()
    await sandbox.communicate()


def test_what_is_said_of_the_sandbox_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    app(["sandbox", "--help"], prog_name="worker", standalone_mode=False)
    shown = capsys.readouterr().out
    assert {(verb, path) for verb, path in ROUTES if f"/_sandbox/{path}" not in shown} == set()
    told = {(verb, row[0].strip("`")) for verb in ("GET", "POST") for row in table(OPERATIONS, verb) if row[0]}
    assert told == {(verb, f"/_sandbox/{path}") for verb, path in ROUTES}
    assert [word for word in (READ_ONLY, WRONG) if word not in shown or f"`{word}`" not in OPERATIONS] == []


def test_what_is_shown_to_stir_the_sandbox_does() -> None:
    world, path = World(now=lambda: 1_800_000_000.0, mail_flow=MailFlow(messages=1)), ""
    for first, body, _ in table(OPERATIONS, "POST"):
        path = first.strip("`") or path
        text = body.strip("`").replace("…", world.mails[0].id)
        assert handle(world, IncomingRequest("POST", path, body=text.encode())).status == 200


def mask(line: str) -> str:
    """Replace what differs from story to story: times, the sender, the subject, the number and the hash."""
    for found, shown in ((r"\d\d(:\d\d){2}\.\d", "TIME"), (r" *\+\d+\.\d s", " +SECONDS"), (r"from \S+:", "from ONE:")):
        line = re.sub(found, shown, line)
    return re.sub(r"record \d+, hash \w{64}$", "record NUMBER, hash HASH", re.sub(r'".*"$', "SUBJECT", line))


async def test_the_story_in_the_readme_is_one_that_the_demo_tells() -> None:
    message = Decoder(Message)
    room = Room(lambda event: says(event, *to_actions(malicious_mail(message.decode(event.raw))), rule="lookalike"))
    room.world.add_message(sender="elif75@c0rp.example", subject="Urgent payment 3179")
    for _ in range(5):
        await room.read(1)
        await room.executor.step()
    (shown,) = re.findall(r"<!-- story -->\n```text\n(.+?)\n```\n<!-- /story -->", README, re.DOTALL)
    told = "\n".join((await tell_story(room.ledger, ACCOUNT, 0.0)).lines).replace("lookalike", malicious_mail.__name__)
    assert [mask(line) for line in shown.splitlines()] == [mask(line) for line in told.splitlines()]


def test_the_figures_that_must_be_zero_are_named_as_the_demo_prints_them() -> None:
    nothing = dict.fromkeys(set(Figures.__struct_fields__) - {"entries"}, 0.0)
    names = [name for name, _ in list_figures(Figures(entries={}, **nothing))]  # type: ignore[arg-type]
    assert f"must be zero, or the demo fails: {', '.join(names[-4:-1])}, and {names[-1]}." in " ".join(README.split())


def test_the_first_rule_has_ten_lines_at_most() -> None:
    first = blocks(README, "python")[0]
    assert len([line for line in first.splitlines() if line]) <= 10


def test_the_record_that_is_shown_has_the_keys_of_a_record_in_their_order() -> None:
    (shown,) = map(json.loads, blocks(LEDGER, "json"))
    assert [*shown] == [*sorted(shown.keys() - {"hash"}), "hash"]
    assert shown.keys() <= {re.split(r"\W", key)[0] for key in HELD["records"][shown["verb"]]}


@pytest.mark.slow
def test_the_program_that_verifies_records_finds_the_one_that_was_changed() -> None:
    one: dict[str, Json] = {"number": 1, "previous": NOTHING, "said": "grün"}
    two: dict[str, Json] = {"number": 2, "previous": hash_record(NOTHING, one), "said": ""}
    lines = [canonical({**body, "hash": hash_record(str(body["previous"]), body)}) for body in (one, two)]
    assert verified(b"\n".join(lines)) == ""
    assert verified(b"\n".join(lines).replace("ü".encode(), b"u")).startswith("record 1 was changed")
    assert verified(lines[1] + b"\n" + lines[0]).startswith("record 1 was changed")


def verified(records: bytes) -> str:
    """Run the program in the documentation; return what it objects to."""
    (program,) = blocks(LEDGER, "python")
    done = subprocess.run([sys.executable, "-c", program], input=records, capture_output=True, check=False)  # noqa: S603 (our own)
    return done.stderr.decode()


def test_the_file_of_accounts_that_is_shown_can_be_read(tmp_path: Path) -> None:
    (text,) = blocks(OPERATIONS, "toml")
    (tmp_path / "accounts.toml").write_text(text)
    accounts = Settings.load({"WORKER_ACCOUNTS": str(tmp_path / "accounts.toml")}).accounts()
    assert [bool(account.token) for account in accounts] == [True, False]


def test_what_counts_as_late_is_said_in_seconds() -> None:
    settings = Settings.load({})
    late = [
        TURNS * settings.poll_every * source.pace + settings.request_timeout
        for source in (Messages, Reports, AllowPolicies)
    ]
    assert "({:.0f} s for messages, {:.0f} s for reports and submissions, {:.0f} s for lists".format(*late) in " ".join(
        OPERATIONS.split()
    )


@each_page
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@each_page
def test_a_page_names_no_package_index_and_no_path_of_a_machine(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"https?://([^/\s)`\"]+)", text)) <= HOSTS
    assert re.findall(r"(?<![\w.-])/(?:work|root|home|tmp|Users|mnt)\b|index-url|pypi", text) == []


def test_the_readme_can_be_read_at_once() -> None:
    assert len(README.splitlines()) <= 250
