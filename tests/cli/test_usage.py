"""The command line: words that do not exist, help that teaches, and the exit codes programs go by."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from tests.cli.shell import Shell
from tests.serving import passed_on
from worker.cli import app, context
from worker.errors import RuleError, SettingsError, StoreError, Unreachable
from worker.settings import NAMES


def commands() -> list[tuple[str, ...]]:
    """Return every command as it is typed."""
    groups = [((str(group.name),), group.typer_instance) for group in app.registered_groups]
    return [
        (*before, command.name or command.callback.__name__)
        for before, within in [((), app), *groups]
        if within
        for command in within.registered_commands
        if command.callback
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_help_of_every_command_teaches_by_an_example(shell: Shell, command: tuple[str, ...]) -> None:
    code, out, _ = shell.type(*command, "--help")
    assert code == 0
    assert f"worker {' '.join(command)}" in out.split("Example:", 1)[1]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_help_names_arguments_and_options_without_types_of_python(shell: Shell, command: tuple[str, ...]) -> None:
    _, out, _ = shell.type(*command, "--help")
    assert set(re.findall(r"<.*?>", out)) <= {"<CHANNEL>"}


def test_help_still_says_what_arguments_and_options_mean(shell: Shell) -> None:
    _, out, _ = shell.type("audit", "verify", "--help")
    arguments, options = out.split("Arguments:\n")[1].split("Options:\n")
    assert re.match(r"  FILE +Files of records, one JSON object per line", arguments)
    assert re.match(r"  --json +Print JSON", options)


def test_the_help_of_run_lists_every_setting(shell: Shell) -> None:
    _, out, _ = shell.type("run", "--help")
    assert [name for name in NAMES if name not in out] == []


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert shell.type("--version") == (0, f"worker {project['version']}\n", "")


def test_without_a_command_the_help_is_shown(shell: Shell) -> None:
    code, out, _ = shell.type()
    assert code == 0
    assert "Email Security worker" in out
    assert "Watch an outbreak arrive" in out


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("stauts",), "status"), (("audit", "verfy"), "verify"), (("status", "--jsn"), "--json")],
)
def test_an_unknown_word_is_named_with_its_nearest_known_one(shell: Shell, words: tuple[str, ...], meant: str) -> None:
    code, out, err = shell.type(*words)
    assert (code, out) == (2, "")
    assert words[-1] in err
    assert meant in err
    assert f"(see `worker{' audit' if words[0] == 'audit' else ' status' if len(words) > 1 else ''} --help`)" in err


def test_an_unknown_variable_is_named_with_its_nearest_known_one(shell: Shell) -> None:
    shell.set(WORKER_CIELING="enforce")
    code, _, err = shell.type("status")
    assert (code, err) == (2, "worker: WORKER_CIELING is not a setting; did you mean WORKER_CEILING?\n")


@pytest.mark.parametrize("command", ["status", "gaps", "waiting", "brake"])
def test_a_ledger_that_is_not_there_is_not_made_to_be_looked_at(shell: Shell, command: str) -> None:
    code, _, err = shell.type(command)
    assert (code, "there is no ledger at" in err) == (3, True)
    assert list(shell.folder.iterdir()) == []


def failing(error: BaseException) -> typer.Typer:
    """Return a command line whose command fails with an error."""
    broken = typer.Typer(rich_markup_mode=None)

    @broken.command()
    def work(word: str) -> None:
        assert word == "now"
        raise error

    return broken


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (SettingsError("WORKER_X is wrong"), 2, "worker: WORKER_X is wrong\n"),
        (RuleError("no example", file="a.py", line=3), 2, "worker: a.py:3: no example\n"),
        (StoreError("the disk is full"), 3, "worker: the disk is full\n"),
        (Unreachable("no route"), 3, "worker: no route\n"),
        (
            PermissionError(13, "Permission denied", "worker.db"),
            3,
            "worker: cannot use worker.db: Permission denied; check the path and its permissions\n",
        ),
        (
            OSError(28, "No space left on device"),
            3,
            "worker: cannot go on: No space left on device; check the disk, the folders and their permissions\n",
        ),
    ],
)
def test_what_went_wrong_is_one_sentence_and_an_exit_code(
    shell: Shell, error: BaseException, code: int, told: str
) -> None:
    assert (context.run(failing(error), ["now"]), *shell.read()) == (code, "", told)


@pytest.mark.parametrize("error", [ZeroDivisionError("so"), OSError("so")], ids=["arithmetic", "no file"])
def test_a_mistake_of_ours_does_not_look_like_a_finding(shell: Shell, error: Exception) -> None:
    code = context.run(failing(error), ["now"])
    _, err = shell.read()
    assert code == 3
    assert "please report it" in err
    assert "Error: so" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("rules",), ("rules", "--json"), ("check",), ("--help",), ("--version",)], ids=" ".join
)
def test_a_full_disk_below_the_output_is_one_sentence(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "worker", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)  # noqa: S603 (ours)
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1)
    assert done.stderr.startswith(b"worker: cannot go on: No space left on device; check")


@pytest.mark.slow
def test_a_command_loads_no_database_before_it_needs_one() -> None:
    loaded = "import sys, worker.cli; print(*{'sqlalchemy', 'aiohttp', 'pydantic'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", loaded], text=True, env=passed_on()) == "\n"  # noqa: S603 (ours)


@pytest.mark.slow
def test_a_reader_that_has_gone_is_no_failure() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "worker", "rules", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        assert (child.stderr.read(), child.wait()) == (b"", 0)


def test_a_secret_is_taken_out_of_the_environment_once_it_is_read(shell: Shell) -> None:
    shell.set(CLOUDFLARE_API_TOKEN="s3cret", CLOUDFLARE_API_KEY="s3cret", WORKER_NOTIFY_SOC="slack://s3cret")  # noqa: S106
    assert context.read_settings().token
    assert [name for name, value in os.environ.items() if "s3cret" in value] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--faults", "some"), "--faults"),
        (("--arrivals", "lots"), "such as 5/s"),
        (("--arrivals", "5/parsec"), "--arrivals"),
        (("--latency", "slow"), "--latency"),
        (("--quota", "1200"), "such as 1200/300s"),
        (("--port", "many"), "--port"),
    ],
)
def test_a_bad_option_of_the_sandbox_is_named(shell: Shell, words: tuple[str, ...], told: str) -> None:
    code, _, err = shell.type("sandbox", *words)
    assert (code, told in err) == (2, True)
