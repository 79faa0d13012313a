"""What mypy reports to rule authors, in a checkout and where the wheel is installed."""

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
TYPING = ROOT / "tests" / "typing"
IGNORE = re.compile(r"  # type: ignore\[([a-z-]+)\]")


@pytest.mark.slow
def test_mypy_tells_each_mistake_and_accepts_each_use(tmp_path: Path) -> None:
    mistakes = (TYPING / "mistakes.py").read_text()
    (tmp_path / "mistakes.py").write_text(IGNORE.sub("", mistakes))
    (tmp_path / "uses.py").write_text((TYPING / "uses.py").read_text())
    expected = {
        (f"mistakes.py:{number}", found[1])
        for number, line in enumerate(mistakes.splitlines(), 1)
        if (found := IGNORE.search(line))
    }
    config = f"--config-file={ROOT / 'pyproject.toml'}"
    command = [sys.executable, "-m", "mypy", config, "--cache-dir", str(tmp_path / "cache"), "mistakes.py", "uses.py"]
    told = subprocess.run(  # noqa: S603 (all arguments are ours)
        command, cwd=tmp_path, env={"MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert set(re.findall(r"(\w+\.py:\d+): error: .* \[([a-z-]+)\]", told.stdout)) == expected
    assert len(expected) == 10


def wheel(folder: Path) -> Path:
    """Build the wheel, without the network and outside of the checkout."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True)  # noqa: S603 (all arguments are ours)
    (built,) = folder.glob("*.whl")
    return built


def environment(folder: Path, built: Path) -> Path:
    """Return the Python of a fresh environment with only the wheel; dependencies come from the current one."""
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    ZipFile(built).extractall(packages)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "python"


@pytest.mark.slow
def test_rules_are_clean_under_strict_mypy_where_only_the_wheel_is_installed(tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", wheel(tmp_path))
    shutil.copytree(ROOT / "rules", tmp_path / "rules", ignore=shutil.ignore_patterns("__pycache__"))
    strict = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--explicit-package-bases",
        "--config-file=",
        f"--python-executable={python}",
    ]
    told = subprocess.run(  # noqa: S603 (all arguments are ours)
        [*strict, "--cache-dir", str(tmp_path / "cache"), "rules"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout.partition(":")[0]) == (0, "Success"), told.stdout
