"""The folder of rules: which files it has, and which of them may be read. Nothing here runs one."""

import os
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISREG

from worker.errors import RuleError
from worker.escaping import escape, is_hidden
from worker.rulehost.validation import Problem

LONGEST_PATH = 1000
"""Characters of a path that are shown."""


def list_files(folder: Path) -> list[Path]:
    """Return what a folder has for rule files, by name; raise RuleError when it cannot be read."""
    try:
        os.stat(f"{folder}/.")  # noqa: PTH116 (pathlib drops the dot, which only who may search the folder can look up)
        return [path for path in sorted(folder.iterdir()) if path.suffix == ".py" and path.name[0] != "."]
    except OSError as problem:
        raise RuleError(_explain_closed(folder, problem), file=str(folder)) from problem


def _explain_closed(folder: Path, problem: OSError) -> str:
    """Say why a folder cannot be read, and what to do."""
    advice = "set WORKER_RULES to a folder of rule files"
    if isinstance(problem, NotADirectoryError):
        return (
            f"this is not a folder, and rules are loaded by the folder; try `worker check {folder.parent}`, or {advice}"
        )
    if isinstance(problem, PermissionError):
        advice = f"let this user (uid {os.geteuid()}) read and search it, or {advice}"
    return f"cannot read the rules folder ({problem.strerror}); {advice}"


def read_files(paths: Iterable[Path]) -> tuple[dict[str, bytes], list[Problem]]:
    """Read what is a file, and no folder, and no link to nothing; return the problems of all that is not read."""
    files, problems = dict[str, bytes](), list[Problem]()
    for path in paths:
        try:
            if S_ISREG(path.stat().st_mode):
                if strange := _find_strange(path):
                    problems.append(Problem(strange, escape(str(path), LONGEST_PATH)))
                else:
                    files[path.name] = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as problem:
            advice = f"let this user (uid {os.geteuid()}) read it, or take it out of the folder"
            problems.append(Problem(f"this rule file cannot be read ({problem.strerror}); {advice}", str(path)))
    return files, problems


def _find_strange(path: Path) -> str:
    """Say why a file of the folder must not be read; empty when it may be.

    Folders come from strangers, too: a link would let a rule read what this process can, such as its environment.
    """
    if any(map(is_hidden, path.name)):
        return "rename the file; its name has control characters or invisible ones"
    if path.resolve().is_relative_to(path.parent.resolve()):
        return ""
    return "this is a link to a file outside of the rules folder, which no rule may read; put the file itself here"
