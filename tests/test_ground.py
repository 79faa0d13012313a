"""What holds for the repository as a whole: its pins, its image, and the shape of its files."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml

from tests.cells import each
from tests.licences import PAGE, list_licences, write_table
from tests.serving import passed_on

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "worker").rglob("*.py"))
EXTRAS = r"(?:\[[a-z0-9,-]+\])?"
PIN = re.compile(rf"([a-z0-9.-]+){EXTRAS}==([^ ;]+)(?: ; [^/]+)? \\\n((?:    --hash=sha256:[0-9a-f]{{64}}(?: \\)?\n)+)")
PINNED = ("requirements.txt", "requirements-dev.txt", "requirements-build.txt", "requirements-tools.txt")
each_pins = pytest.mark.parametrize("name", PINNED)
PERMISSIVE = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
"""Licences that ask to be named; MPL-2.0 also for changes to its own files, of which there are none."""
each_source = each("path", SOURCES)


def pins(name: str) -> dict[str, str]:
    """Give the pinned version of each package in a requirements file."""
    return {package: version for package, version, _ in PIN.findall((ROOT / name).read_text())}


@pytest.mark.parametrize("name", [*PINNED, "requirements-helm.txt"])
def test_a_requirements_file_holds_pins_and_nothing_else(name: str) -> None:
    text = (ROOT / name).read_text()
    rest = [line for line in PIN.sub("", text).splitlines() if line and not line.startswith("#")]
    assert rest == []
    assert "/" not in text


@each_pins
def test_pins_are_for_more_than_one_machine(name: str) -> None:
    hashes = {package: lines.count("sha256:") for package, _, lines in PIN.findall((ROOT / name).read_text())}
    assert hashes
    assert [package for package, count in hashes.items() if count == 1] == []


def test_tests_run_on_the_versions_that_are_shipped() -> None:
    assert pins("requirements.txt").items() <= pins("requirements-dev.txt").items()


def test_everything_that_is_asked_for_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {re.split(r"[\[><=]", each)[0] for each in asked} <= pins("requirements-dev.txt").keys()


def test_a_package_that_is_asked_for_with_an_extra_is_pinned_with_it() -> None:
    # An older pip takes no other pin for it, and then fails as soon as there is a newer version.
    asked = {line for each in distributions() for line in each.requires or () if "extra ==" not in line}
    extras = {found[0] for line in asked if (found := re.match(r"[A-Za-z0-9._-]+\[[a-z0-9,-]+\]", line))}
    pinned = set(re.findall(r"^([^=\n]+\])==", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE))
    assert extras
    assert {each.lower() for each in extras} <= pinned


@pytest.mark.slow
def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_built_from_what_is_let_through() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(" ".join(copied).split()) == sorted(allowed)
    assert all((ROOT / name).exists() for name in allowed)


def test_the_base_of_the_image_can_be_chosen() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^ARG BASE_IMAGE=(\S+)$", text, re.MULTILINE)
    assert {name for name in re.findall(r"^FROM (\S+)", text, re.MULTILINE) if name != "venv"} == {"${BASE_IMAGE}"}


def test_the_base_of_the_image_is_named_by_digest() -> None:
    assert re.search(r"^ARG BASE_IMAGE=\S+@sha256:[0-9a-f]{64}$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_every_package_that_is_shipped_is_listed_with_a_licence_that_allows_it() -> None:
    assert PAGE.read_text().endswith(f"\n\n{write_table()}")
    licences = {name: re.split(r" AND | OR ", licence) for name, licence in list_licences()}
    assert {name for name, parts in licences.items() if not PERMISSIVE.issuperset(parts)} == set()


def test_a_commit_is_checked_by_what_make_check_runs() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert [hook["entry"] for hook in repo["hooks"]] == commands
    assert (repo["repo"], {hook["language"] for hook in repo["hooks"]}) == ("local", {"system"})


@pytest.mark.slow
def test_an_install_is_told_before_its_silence_and_only_when_there_is_one(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-build.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / "python").symlink_to("/bin/true")
    told = "Installing into .venv, once: about half a minute\n"
    assert [installed(tmp_path), installed(tmp_path)] == [told, ""]


def installed(folder: Path) -> str:
    """Run make install with a Python that does nothing; return what it prints."""
    words = ("make", "install", f"PYTHON={folder}/python", f"BIN={folder}")
    return subprocess.check_output(words, cwd=folder, text=True, env=passed_on())  # noqa: S603 (our own)


@each_source
def test_a_source_file_says_whose_room_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
