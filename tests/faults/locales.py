"""A process that types commands as a shell would in some locale: each in a fork of its own, with its real streams.

It is started as `python -m tests.faults.locales`, reads the commands from stdin and writes what they came to, as JSON.
"""

import os
import sys
import tempfile
from collections.abc import Sequence

import msgspec

from worker.cli import main

Said = tuple[int, bytes, bytes]
"""Exit code, stdout and stderr."""


def type_one(words: Sequence[str]) -> Said:
    """Run one command as a process of its own; arguments arrive as bytes, as from a shell."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            for stream, descriptor in ((out, 1), (err, 2)):
                os.dup2(stream.fileno(), descriptor)
            sys.argv[1:] = [os.fsdecode(word.encode()) for word in words]
            sys.orig_argv[1:] = ["-m", "worker", *sys.argv[1:]]
            main()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


if __name__ == "__main__":
    commands = msgspec.json.decode(sys.stdin.buffer.read(), type=list[list[str]])
    os.write(1, msgspec.json.encode([type_one(words) for words in commands]))
