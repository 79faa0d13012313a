"""Runs a worker on a machine whose clock is wrong: ``wrong_clock.py FILE run`` adds the seconds that the file says."""

import sys
import time
from pathlib import Path

_true, _wrong = time.time, Path(sys.argv.pop(1))


def tell_wrong_time() -> float:
    """Tell the time of the machine, and be wrong by as much as the file says."""
    return _true() + float(_wrong.read_text(encoding="ascii") or 0)


if __name__ == "__main__":
    time.time = tell_wrong_time
    from worker.cli import main

    main()
