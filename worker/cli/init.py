"""Init: the first process of a container leaves the work to a child, passes signals on, and reaps orphans."""

import os
import signal
from typing import NoReturn

FIRST = 1
PASSED_ON = frozenset({
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
})  # fmt: skip
HEARD = PASSED_ON | {signal.SIGCHLD}
BY_SIGNAL = 128
"""What shells add to the number of the signal that has ended a process."""


def be_init() -> None:
    """Fork if this is the first process; return in the child, and nowhere else.

    The first process inherits all whose parents have ended, and nobody else can reap these. The child would take exit
    codes from those of its own parts that wait for a process.
    """
    if os.getpid() != FIRST:
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    child = os.fork()
    if child:
        _serve(child)
    os.setpgid(0, 0)  # so that Ctrl-C reaches it once, by way of the first process
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(child: int) -> NoReturn:
    """Pass signals on and reap until the child ends; end with its exit code."""
    while True:
        number = signal.sigwait(HEARD)
        if number in PASSED_ON:
            os.kill(child, number)  # until it is reaped, its number is nobody else's
        elif (code := _reap(child)) is not None:
            os._exit(code if code >= 0 else BY_SIGNAL - code)


def _reap(child: int) -> int | None:
    """Reap all that have ended; return the exit code of the child when it has."""
    while (ended := os.waitpid(-1, os.WNOHANG))[0]:
        if ended[0] == child:
            return os.waitstatus_to_exitcode(ended[1])
    return None
