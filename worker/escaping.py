"""The bottom of the house: making text that strangers wrote safe to show."""

import unicodedata

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that steer a terminal or hide: controls, bidi and zero-width, surrogates, separators of lines."""
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that are drawn as nothing, though their category does not say so."""


def escaped(text: str, limit: int = 300) -> str:
    r"""Show what would steer a terminal or hide as ``\uXXXX``; the outcome has at most ``limit`` characters (≥ 1)."""
    if len(text) <= limit and text.isascii() and text.isprintable():  # most of all that is ever shown
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


def unseen(character: str) -> bool:
    """Tell whether a character steers a terminal, or hides."""
    return character in BLANKS or unicodedata.category(character) in UNSEEN


def _visible(character: str) -> str:
    """Return a character, or its number when it could not be seen."""
    if not unseen(character):
        return character
    number = ord(character)
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"  # noqa: PLR2004 (what four digits hold)


def _cut(text: str, limit: int) -> str:
    """Put the sign that something is missing at the end."""
    return text[: limit - 1] + "…"
