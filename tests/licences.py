"""Licences of what the worker needs to run: ``python -m tests.licences`` writes the table of docs/dependencies.md."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "dependencies.md"
NAMES = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""The older names of licences, in classifiers, and those of SPDX."""


def list_licences() -> Iterator[tuple[str, str]]:
    """Yield each package in requirements.txt with its licence, as the installed package names it."""
    text = (ROOT / "requirements.txt").read_text()
    for name in re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", text, re.MULTILINE):
        yield name, _find_licence(distribution(name).metadata)


def _find_licence(metadata: PackageMetadata) -> str:
    """Return the licence by its name of SPDX; it stands in one of three fields."""
    told = [one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier") or () if one.startswith("License ::")]
    for name in ("License-Expression", "License"):
        if name in metadata and (name == "License-Expression" or not told):
            return metadata[name]
    return " OR ".join(NAMES[one] for one in told)


def write_table() -> str:
    """Write the table."""
    rows = "\n".join(f"| {name} | {licence} |" for name, licence in list_licences())
    return f"| package | licence |\n|---|---|\n{rows}\n"


if __name__ == "__main__":
    sys.stdout.write(write_table())
