"""Where the interpreter finds the code that it imports: what a process behind walls must be able to read."""

import sysconfig
from pathlib import Path
from types import ModuleType
from zoneinfo import TZPATH


def list_libraries(*packages: ModuleType) -> tuple[Path, ...]:
    """Return the folders of the standard library, of the time zones, and of these packages."""
    standard = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    own = {path for package in packages for path in package.__path__}
    return tuple(sorted(Path(path) for path in {*standard, *TZPATH, *own}))
