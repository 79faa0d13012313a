"""Where the interpreter finds the code that it imports: what a process behind walls must be able to read."""

import sysconfig
from pathlib import Path
from types import ModuleType
from zoneinfo import TZPATH

INSTALLED = {"site-packages", "dist-packages"}


def list_libraries(*packages: ModuleType) -> tuple[Path, ...]:
    """Return the folders of the standard library, of the time zones, and of these packages.

    Of an installed package it is the folder of all installed ones, because they import each other; of one in a folder
    of its own, such as a checkout, nothing but the package itself.
    """
    standard = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    own = {_find_folder(Path(path)) for package in packages for path in package.__path__}
    return tuple(sorted({*standard, *map(Path, TZPATH), *own}))


def _find_folder(package: Path) -> Path:
    return package.parent if package.parent.name in INSTALLED else package
