"""Make text that strangers wrote safe to show."""

import re
import unicodedata

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that control a terminal or are invisible: controls, bidi, zero-width, line separators."""
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that are drawn as nothing, although their category does not say so."""


DOTS = ".\u2024\u3002\ufe52\uff0e\uff61"
"""The dot, and other signs that programs take for it in the name of a host."""
OURS = "".join(f"(?<!(?<![a-z0-9+.-]){scheme})" for scheme in ("sqlite", "log"))
"""Not behind the schemes of our own settings, of which no program makes a link."""
HANDLERS = r"ms-[a-z-]{1,40}|search-ms"
"""Schemes that start a program of Windows, also without slashes."""
ADDRESS = re.compile(
    rf"(?<=[a-z0-9+.-]){OURS}://(?!(?<=\bhttps://)one\.dash\.cloudflare\.com/)([\w{DOTS}-]*)"
    rf"|\bwww[{DOTS}](?=\w)|\b(?:{HANDLERS}):(?=\w)",
    re.IGNORECASE,
)
"""An address of which programs make a link, whatever its scheme; those of Cloudflare's dashboard may stay one."""
DOT = re.compile(f"[{DOTS}]")
BRACKETED = re.compile(rf"\[([{DOTS}:])\]")


def defang(text: str) -> str:
    """Write web addresses so that no program makes links of them: ``https[:]//evil[.]example``."""
    return ADDRESS.sub(_defang, text)


def refang(name: str) -> str:
    """Return a name as it was before it was shown without links; people copy it from there."""
    return BRACKETED.sub(r"\1", name)


def _defang(address: re.Match[str]) -> str:
    host: str | None = address[1]
    return f"{address[0][:-1]}[{address[0][-1]}]" if host is None else f"[:]//{DOT.sub(_bracket, host)}"


def _bracket(dot: re.Match[str]) -> str:
    return f"[{dot[0]}]"


def escape(text: str, limit: int = 300) -> str:
    r"""Write characters that control a terminal or are invisible as ``\uXXXX``; return at most ``limit`` characters."""
    if len(text) <= limit and text.isascii() and text.isprintable():  # nearly all texts, so this is worth a shortcut
        return text
    shown: list[str] = []
    room = limit
    for character in text[: limit + 1]:
        part = _visible(character)
        if len(part) > room:
            return _cut("".join(shown), limit)
        shown.append(part)
        room -= len(part)
    return "".join(shown)


def is_hidden(character: str) -> bool:
    """Return whether a character controls a terminal or is invisible."""
    return character in BLANKS or unicodedata.category(character) in UNSEEN


def _visible(character: str) -> str:
    """Return a character, or its number when it is invisible."""
    if not is_hidden(character):
        return character
    number = ord(character)
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"  # noqa: PLR2004 (what four digits hold)


def _cut(text: str, limit: int) -> str:
    """Cut a text and end it with an ellipsis."""
    return text[: limit - 1] + "…"
