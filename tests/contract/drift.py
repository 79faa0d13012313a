"""`make drift`: compare the API of the newest official SDK with the one that this project was tested against.

``known_api.json`` has that one, an operation a line. After a change of the pinned SDK, read the differences, change the
client and the sandbox, and write the file anew: ``.venv/bin/python -m tests.contract.drift --write``.
"""

import json
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.contract import sdk_api

Api = dict[str, Any]
"""What ``sdk_api`` describes."""
KNOWN = Path(__file__).with_name("known_api.json")
SDK = "cloudflare"
PARTS = {"asked": "is asked", "answered": "answers"}
CANNOT = 2


def load_known() -> Api:
    """Return the API that this project was tested against."""
    known: Api = json.loads(KNOWN.read_text("utf-8"))
    return known


def write_known(api: Api) -> None:
    """Write an API down as the known one."""
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in api["operations"].items()]
    text = f'{{"version": {json.dumps(api["version"])}, "operations": {{\n' + ",\n".join(lines) + "\n}}\n"
    KNOWN.write_text(text, "utf-8")


def describe_newest() -> Api:
    """Install the newest SDK that pip serves in an environment of its own, and return the API it has."""
    with TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", SDK)
        described: Api = json.loads(_run(python, sdk_api.__file__))
        return described


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    if done.returncode:
        sys.stderr.write(f"{done.stderr}\n{' '.join(map(str, command[1:]))} failed: is pip able to install {SDK}?\n")
        sys.exit(CANNOT)
    return done.stdout


def compare(known: Api, found: Api) -> list[str]:
    """Return each difference between two APIs as a sentence."""
    before, now = known["operations"], found["operations"]
    return [
        *(f"{one} is new" for one in sorted(now.keys() - before.keys())),
        *(f"{one} is gone" for one in sorted(before.keys() - now.keys())),
        *(
            f"{one} {said}"
            for one in sorted(before.keys() & now.keys())
            for said in _compare_one(before[one], now[one])
        ),
    ]


def _compare_one(before: Api, now: Api) -> Iterator[str]:
    for part, verb in PARTS.items():
        old, new = before[part], now[part]
        yield from (f"{verb} {name} now: {_say(new[name])}" for name in sorted(new.keys() - old.keys()))
        yield from (f"{verb} {name} no longer" for name in sorted(old.keys() - new.keys()))
        for name in sorted(old.keys() & new.keys()):
            if gone := set(old[name]) - set(new[name]):
                yield f"{verb} {name}, which is never {_say(gone)} now"
            if more := set(new[name]) - set(old[name]):
                yield f"{verb} {name}, which may be {_say(more)} now"


def _say(kinds: Iterable[str]) -> str:
    """Name kinds and words."""
    return ", ".join(kind.removeprefix("=") for kind in sorted(kinds))


def main(words: list[str]) -> int:
    """Print the differences; return 1 when there are any."""
    if words == ["--write"]:
        write_known(sdk_api.describe())
        return 0
    known, newest = load_known(), describe_newest()
    differences = compare(known, newest)
    told = "the same API" if not differences else f"{len(differences)} differences"
    print(f"{SDK} {newest['version']}, known {known['version']}: {told}", *differences, sep="\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
