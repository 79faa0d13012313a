"""What programs read stays as it is: every name, key and code is compared with the list in surface.json."""

import ast
import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import Enum
from inspect import Parameter, Signature, isclass, isfunction, ismodule, signature
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from aiohttp import ClientSession

import worker
import worker.testing
from tests.cli.shell import Shell
from tests.cli.test_bulk import begin_all
from tests.daemon.bench import Bench, until
from tests.every_record import write_every_record
from tests.rule_files import rule_files
from tests.serving import sandbox
from tests.surface import HELD, LIST, hold, list_keys
from worker import daemon
from worker.cli import app
from worker.language.actions import Action
from worker.ledger.records import VERBS
from worker.sandbox import MailFlow, SandboxOptions
from worker.sandbox.content.by_hand import KNOWN
from worker.sandbox.control import ROUTES
from worker.settings import Account, describe
from worker.telemetry import Metrics
from worker.web import Readiness
from worker.web.server import build_application

ROOT = Path(__file__).parents[1]
WORDS = {"lane", "mode", "proof", "review", "to", "what"}
"""Keys of records whose values are words that programs know."""
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """Give a shell in a place where no worker answers."""
    shell = Shell(monkeypatch, capfd, tmp_path)
    shell.set(WORKER_LISTEN="127.0.0.1:1")
    return shell


def pick_held(kind: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return what is held of the names that one test finds; others find the rest."""
    return {name: held for name, held in HELD[kind].items() if name in found}


def test_the_list_is_sorted_and_each_name_has_its_line() -> None:
    assert LIST.read_text("utf-8") == json.dumps(HELD, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_settings_keep_their_names_and_defaults() -> None:
    found = {row.name: row.default for row in describe()}
    hold("settings", HELD["settings"], found)
    hold("file of accounts", HELD["file of accounts"], {"account": set(Account.model_fields)})


def walk_commands(within: Any, name: str = "worker") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (typer keeps its classes private)
    """Give each command by what is typed."""
    if not hasattr(within, "commands"):
        yield name, within
    for word, command in getattr(within, "commands", {}).items():
        yield from walk_commands(command, f"{name} {word}")


COMMANDS = dict(walk_commands(typer.main.get_command(app)))


def describe_parameter(parameter: Any) -> str:  # noqa: ANN401 (typer keeps its classes private)
    """Say what an option or argument takes."""
    if getattr(parameter, "is_flag", False):
        return "nothing"
    kind = parameter.type_descriptor.annotation
    what = "|".join(kind) if isclass(kind) and issubclass(kind, Enum) else "value"
    need = ", required" if parameter.required else ", any number" if parameter.nargs < 0 else ""
    return what + (f" = {parameter.default}" if parameter.default else need)


def test_commands_keep_their_arguments_and_options() -> None:
    found: dict[str, dict[str, str]] = {}
    for name, command in {"worker": typer.main.get_command(app), **COMMANDS}.items():
        options = [one for one in command.params if one.opts[0].startswith("-")]
        arguments = [one for one in command.params if one not in options]
        found[name] = {word: describe_parameter(one) for one in options for word in one.opts + one.secondary_opts}
        found[name] |= {f"argument {place}": describe_parameter(one) for place, one in enumerate(arguments, 1)}
    hold("commands", HELD["commands"], found)


def test_exit_codes_keep_their_meaning(shell: Shell) -> None:
    (shell.folder / "records.jsonl").write_text("no record\n")
    typed = {
        "done": ("--help",),
        "found something": ("audit", "verify", str(shell.folder / "records.jsonl")),
        "usage or settings": ("audit", "query", "--verb", "dances"),
        "could not": ("gaps",),
    }
    found = {meaning: shell.type(*words)[0] for meaning, words in typed.items()}
    hold("exit codes", HELD["exit codes"], found)


def collect_keys(lines: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """Return the keys of records by their verb, those of the actions in them by their type, and the words they use."""
    found: dict[str, dict[str, set[str]]] = {kind: defaultdict(set) for kind in ("records", "actions", "words")}
    for record in map(json.loads, lines):
        if action := record.get("action"):
            found["actions"][action["type"]].update(action)
            record["action"] = "listed by its type"
        found["records"][record["verb"]].update(list_keys(record))
        for name in WORDS & record.keys():
            found["words"][name].add(record[name])
    return found


@pytest.mark.slow
def test_records_and_the_commands_that_read_a_ledger_keep_their_keys(shell: Shell) -> None:
    asyncio.run(write_every_record(f"sqlite:///{shell.folder / 'worker.db'}"))
    names = ("waiting", "brake", "status", "audit verify")
    printed = {f"worker {name}": list_keys(shell.json(*name.split())) for name in names}
    printed["worker gaps"] = list_keys(shell.json("gaps", code=1))
    hold("--json", pick_held("--json", printed), printed)
    found = collect_keys(shell.type("audit", "query", "--json")[1].splitlines())
    hold("records", HELD["records"], found["records"])
    hold("actions in records", HELD["actions in records"], found["actions"])
    hold("words in records", HELD["words in records"], found["words"])


def test_the_list_has_every_verb_and_every_command_that_prints_json() -> None:
    verbs = {*HELD["records"], *HELD["records of a daemon"]}
    hold("records", {"verb": verbs}, {"verb": set(VERBS)})
    printing = {name for name, one in COMMANDS.items() if any("--json" in each.opts for each in one.params)}
    held = {*HELD["--json"], "worker audit query"}  # which prints records
    hold("commands", {"with --json": held}, {"with --json": printing})


def find_calls(names: Iterable[str]) -> Iterator[ast.Call]:
    """Give every call in the files of the source in which one of these methods is named."""
    for file in sorted((ROOT / "worker").rglob("*.py")):
        text = file.read_text("utf-8")
        if re.search(rf"\.({'|'.join(names)})\b", text):
            yield from (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and node.args)


def sides_of(node: ast.expr) -> list[ast.expr]:
    """Return both sides of a choice, or the node itself."""
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]


@pytest.mark.slow
def test_log_lines_keep_their_events_levels_and_keys() -> None:
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: {"keys": set(), "level": set()})
    for call in find_calls(LEVELS):
        levels = {one.attr for one in sides_of(call.func) if isinstance(one, ast.Attribute)} & LEVELS
        for event in sides_of(call.args[0]) if levels else ():
            if isinstance(event, ast.Constant):
                found[str(event.value)]["level"] |= levels
                found[str(event.value)]["keys"] |= {str(one.arg) for one in call.keywords}
    hold("log lines", HELD["log lines"], found)


def test_metrics_keep_their_names_types_and_labels() -> None:
    found = {}
    for collector in Metrics().registry._collector_to_names:  # noqa: SLF001 (the library tells labels nowhere else)
        (family,) = collector.collect()
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = {"type": family.type, "labels": list(getattr(collector, "_labelnames", ()))}
    hold("metrics", HELD["metrics"], found)


def walk_schema(schema: dict[str, Any], path: str = "values") -> Iterator[tuple[str, str]]:
    """Give what a schema allows for each value."""
    parts = {name: schema.get(name, {}) for name in ("definitions", "properties", "patternProperties")}
    yield path, ", ".join(f"{name} {said}" for name, said in schema.items() if name not in {*parts, "$schema", "title"})
    for kind, within in parts.items():
        for name, inside in within.items():
            yield from walk_schema(inside, f"#/definitions/{name}" if kind == "definitions" else f"{path}.{name}")


def test_the_chart_keeps_its_values_and_what_they_may_be() -> None:
    values = yaml.safe_load((ROOT / "helm/values.yaml").read_text("utf-8"))
    schema = json.loads((ROOT / "helm/values.schema.json").read_text("utf-8"))
    hold("chart values", HELD["chart values"], values)
    hold("chart schema", HELD["chart schema"], dict(walk_schema(schema)))


async def measure_nothing() -> bytes:
    """Return no metric."""
    return b""


def test_the_web_server_and_the_sandbox_keep_their_routes() -> None:
    routes = build_application(lambda: Readiness(ready=True), measure_nothing).router.resources()
    paths = {one.canonical for one in routes if "{" not in one.canonical}
    hold("routes", {"path": set(HELD["routes"])}, {"path": paths})
    stirring = {f"{verb} /_sandbox/{path}" for verb, path in ROUTES}
    hold("sandbox", HELD["sandbox"], {"routes": stirring, "fields of a message to add": set(KNOWN)})


def describe_call(function: Any) -> str:  # noqa: ANN401 (any function or class)
    """Write what a function takes, without types and defaults; of a class, what it takes in order."""
    said = signature(function).parameters.values()
    bare = [one.replace(annotation=Parameter.empty, default=Parameter.empty) for one in said]
    return str(Signature([one for one in bare if isfunction(function) or one.kind is not Parameter.KEYWORD_ONLY]))


def list_members(one: Any) -> Any:  # noqa: ANN401 (anything the front door offers)
    """Return what rules may read of something that the front door offers."""
    if ismodule(one):
        return {name: describe_call(made) for name, made in vars(one).items() if isfunction(made) and name[0] != "_"}
    if isclass(one):
        named = one.__struct_fields__ if issubclass(one, Action) else dir(one)
        return [describe_call(one), *(name for name in named if name[0] != "_")]
    return describe_call(one) if isfunction(one) else str(one)


def test_the_front_door_keeps_its_names_and_what_they_take() -> None:
    found = {name: list_members(getattr(worker, name)) for name in worker.__all__}
    hold("worker", HELD["worker"], found)


def test_the_plugin_for_rule_authors_keeps_its_place_and_its_setting() -> None:
    adding = [call for call in find_calls(["addini"]) if getattr(call.func, "attr", "") == "addini"]
    found = {worker.testing.__name__: [ast.literal_eval(call.args[0]) for call in adding]}
    hold("plugin", HELD["plugin"], found)


@pytest.mark.slow
def test_the_commands_that_run_rules_or_ask_the_api_keep_their_keys(shell: Shell) -> None:
    with sandbox(mail_flow=MailFlow(120), seed=5, options=SandboxOptions(job_step=0.01)) as serving:
        shell.set(**serving.environment(shell.folder, WORKER_CEILING="approve"))
        printed = {f"worker {name}": shell.json(*name.split()) for name in ("rules", "check", "run --once")}
        serving.world.arrive(40, "outbreak")
        job = begin_all(serving)
        printed |= {"worker bulk list": shell.json("bulk", "list"), "worker bulk show": shell.json("bulk", "show", job)}
    printed["worker run"] = printed.pop("worker run --once")
    found = {name: list_keys(one) for name, one in printed.items()}
    hold("--json", pick_held("--json", found), found)


@pytest.mark.slow
async def test_a_daemon_keeps_the_keys_of_its_pages_records_and_log_lines(tmp_path: Path) -> None:
    bench, pages = Bench(tmp_path), {}
    async with bench.api(), bench.worker() as house, daemon.serve(house) as url, ClientSession() as web:
        await until(lambda: house.check_readiness().ready)
        rule_files(bench.rules, broken="def f(:\n")
        await until(lambda: any("refused" in line["event"] for line in bench.told()))
        for path in ("/livez", "/readyz"):
            async with web.get(url + path) as answer:
                pages[path] = list_keys(await answer.json())
    hold("routes", pick_held("routes", pages), pages)
    written = collect_keys(bench.records.getvalue().decode().splitlines())["records"]
    found = {verb: written[verb] for verb in HELD["records of a daemon"]}
    hold("records of a daemon", HELD["records of a daemon"], found)
    common = {"event", "level", "timestamp"}
    assert [line for line in bench.told() if {*line} - common != {*HELD["log lines"][line["event"]]["keys"]}] == []
