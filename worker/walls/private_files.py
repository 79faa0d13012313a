"""Private files: made for their owner alone, or for a group that shares their folder, whatever the umask is."""

import os
import stat
from contextlib import suppress
from pathlib import Path

OWNER, GROUP = 0o600, 0o660


def make_private(file: Path, *, shared: bool = True) -> int:
    """Make a file and return its descriptor, to read and write; raises FileExistsError when it is there.

    It is for its owner alone; if ``shared``, for its group, too, in a folder that hands its group on (setgid).
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER)
    mode = GROUP if shared and file.parent.stat().st_mode & stat.S_ISGID else OWNER
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        with suppress(PermissionError):  # a disk that knows no modes
            os.fchmod(descriptor, mode)
    return descriptor


def open_private(file: Path, flags: int = 0) -> int:
    """Open a file to read and write, with more flags, and make it when it is not there; its mode stays as it is."""
    file = Path(os.path.realpath(file))
    with suppress(FileExistsError):
        os.close(make_private(file))
    return os.open(file, os.O_RDWR | os.O_CLOEXEC | flags)
