"""Locales: what is typed and what files are called is UTF-8, whatever the locale; what is shown can be read."""

import codecs
import json
import os
import sys
from collections.abc import Mapping

ESCAPED = "worker.escaped"
"""How a stream writes what its encoding lacks: as JSON does, so that JSON stays JSON."""


def use_utf8() -> None:
    """Start the interpreter again in its UTF-8 mode, if arguments, paths and the environment would be read otherwise.

    To be called before anything else, as the process loses what it has set.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 (this very program)


def escape_streams() -> None:
    """Let stdout and stderr escape what their encoding lacks."""
    codecs.register_error(ESCAPED, _escape)
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.reconfigure(errors=ESCAPED)  # type: ignore[union-attr] # as Python has opened them


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def read_text(text: str) -> str:
    """Return an argument or a variable with U+FFFD in the place of bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables with U+FFFD in the place of bytes that are not UTF-8."""
    return {read_text(name): read_text(text) for name, text in environment.items()}
