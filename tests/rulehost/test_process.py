"""One child process: how long it may be silent, and that it never outlives the daemon."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rule_files import BAD, GOOD, mail, rule_files
from tests.serving import find_children
from worker.rulehost.loader import read
from worker.rulehost.process import Child, Patience, Stopped
from worker.rulehost.protocol import EventPage

pytestmark = pytest.mark.slow
DAEMON = """
import asyncio, pathlib, sys
from worker.rulehost.host import Deadlines, Host
async def main():
    walls = SANDBOXES["off"]  # the rule itself kills the daemon, so it is certain to be running when that happens
    async with Host(pathlib.Path(sys.argv[1]), deadlines=Deadlines(60, 60), sandbox=walls) as host:
        print(host.pid, flush=True)
        raw = b'{"id": "1", "subject": "bad", "final_disposition": "SPAM"}'
        await host.propose([Event(key="1", kind="Message", raw=raw)])
from worker.rulehost.evaluation import Event
from worker.rulehost.host import Deadlines
from worker.walls import SANDBOXES
asyncio.run(main())
"""


async def start(rules: Path) -> Child:
    """Start a child that has loaded a folder."""
    child = await Child.start(sys.executable)
    await child.hear(Patience(10, 20))  # which walls stand
    await child.ask(read(rules), Patience(10, 20))  # the fingerprints of the files
    await child.hear(Patience(10, 20), 2)  # the rules
    return child


async def test_a_child_that_was_not_given_any_cpu_is_waited_for_ten_times_as_long(tmp_path: Path) -> None:
    child = await start(rule_files(tmp_path, good=GOOD))
    os.kill(child.pid, signal.SIGSTOP)
    clock = asyncio.get_running_loop().time
    begun = clock()
    with pytest.raises(Stopped, match=r"did not end within 0\.05 s"):
        await child.ask(EventPage((mail(),)), Patience(0.05, 10))
    assert clock() - begun >= 0.5
    await child.end()


async def test_a_page_may_take_longer_than_the_deadline_of_one_call(tmp_path: Path) -> None:
    slow = BAD.replace("{does}", "return Move('Inbox') if sum(range(1_000_000)) else None")
    child = await start(rule_files(tmp_path, bad=slow))
    clock = asyncio.get_running_loop().time
    begun = clock()
    await child.ask(EventPage(tuple(mail(str(number), subject="bad") for number in range(40))), Patience(0.25, 20))
    assert clock() - begun > 0.25
    await child.end()


async def test_a_start_that_is_cancelled_leaves_no_process() -> None:
    before = find_children(os.getpid())
    starting = asyncio.create_task(Child.start(sys.executable))
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait({starting})
    assert (starting.cancelled(), find_children(os.getpid())) == (True, before)


def test_a_looping_child_dies_with_a_daemon_that_is_killed(tmp_path: Path) -> None:
    rule_files(tmp_path, bad=BAD.replace("{does}", "os.kill(os.getppid(), 9)\n            while True: pass"))
    with subprocess.Popen([sys.executable, "-c", DAEMON, str(tmp_path)], stdout=subprocess.PIPE) as daemon:  # noqa: S603
        assert daemon.stdout
        child = os.pidfd_open(int(daemon.stdout.readline()))
        assert daemon.wait(10) == -signal.SIGKILL
    ended, _, _ = select.select([child], [], [], 10)
    os.close(child)
    assert ended
