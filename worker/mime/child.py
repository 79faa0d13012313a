"""The process that takes mail apart: one that has loaded everything starts one behind walls for each mail."""

import gc
import os
import resource
import signal
import socket
from pathlib import Path

import webencodings.labels
from msgspec.msgpack import decode, encode
from msgspec.structs import replace

from worker.mime.letter import Letter
from worker.mime.octets import restore_bytes
from worker.mime.protocol import CPU, HEAD, MEMORY, TOKEN, WALL
from worker.mime.reader import read_letter, read_stages
from worker.walls import Limits, die_with, hide, seal

OOM_SCORE = Path("/proc/self/oom_score_adj")
WARM = (
    "Content-Type: text/html\n\n<a href='https://xn--bcher-kva.example'>https://a.com</a> "
    "b\u00fccher.com ftp://a.com mailto:a@a.com 192.0.2.1"
)
"""A mail that uses everything which is loaded on first use."""


def main(link: int, daemon: int) -> None:
    """Start a process for each mail: ``link`` brings the socket of each, ``daemon`` is the parent's process id."""
    os.closerange(3, link)
    os.closerange(link + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    die_with(daemon)
    hide()
    OOM_SCORE.write_text("1000")  # where memory ends, what takes mail apart ends before the daemon does
    warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a child ended
    with socket.socket(fileno=link) as asked:
        while True:
            token, descriptors, _, _ = socket.recv_fds(asked, len(TOKEN), 1)
            if not token:
                return
            start(descriptors[0])


def warm_up() -> None:
    """Load what is loaded on first use: behind the walls, no file can be opened."""
    for name in set(webencodings.labels.LABELS.values()):
        webencodings.lookup(name)
    read_letter(restore_bytes(WARM))
    gc.collect()
    gc.freeze()


def start(mail: int) -> None:
    """Start a process for the mail that comes on this descriptor, and close it here."""
    parent = os.getpid()
    if os.fork() == 0:
        try:
            confine(mail, parent)
        finally:
            os._exit(0)
    os.close(mail)


def confine(mail: int, parent: int) -> None:
    """Give up everything but the socket of a mail, and take that apart."""
    os.dup2(mail, 3)
    os.closerange(4, mail + 1)
    die_with(parent)
    signal.setitimer(signal.ITIMER_REAL, WALL)  # the walls refuse to take this back
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    standing = seal((), Limits(MEMORY, 8))
    send(3, standing)
    serve(3)


def serve(link: int) -> None:
    """Read a mail, and send it as far as it is taken apart, twice."""
    with open(link, "rb", closefd=False) as asked:
        (size,) = HEAD.unpack(asked.read(HEAD.size))
        mail, is_cut = decode(asked.read(size), type=tuple[str, bool])
    for letter in read_stages(restore_bytes(mail)._replace(is_cut=is_cut)):
        send(link, without_data(letter))


def without_data(letter: Letter) -> Letter:
    """Return a mail without the bytes of its files, which the daemon does not want."""
    return replace(letter, files=tuple(replace(file, data=b"") for file in letter.files))


def send(link: int, frame: object) -> None:
    """Write one frame."""
    body = encode(frame)
    left = memoryview(HEAD.pack(len(body)) + body)
    while left:
        left = left[os.write(link, left) :]
