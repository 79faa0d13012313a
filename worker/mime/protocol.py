"""The protocol between the daemon and the processes that take mail apart: frames of four bytes of length and msgpack.

A socket per mail: the daemon sends the text of the mail and whether it is cut, and is sent which walls stand, the mail
without its links, and the mail whole.
"""

from struct import Struct as Layout

HEAD = Layout("<I")
FRAME_LIMIT = 64 << 20
"""Bytes of one frame at most."""
MEMORY = 1 << 30
"""Bytes of address space that taking a mail apart may use: some 20 times the longest mail."""
CPU, WALL = 12, 30
"""Seconds of CPU time, and by the clock, after which a process is ended that takes a mail apart."""
STAGES = 2
"""How often a mail is sent: without its links, and whole."""
TOKEN = b"m"
"""What is sent with the socket of a mail."""
