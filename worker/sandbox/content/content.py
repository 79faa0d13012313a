"""The content of a message, real or invented: headers, text, links and files."""

from __future__ import annotations

import re
from hashlib import md5, sha1, sha256
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from worker.sandbox.wire import Json

SITE = re.compile(r"https?://[^/\s]", re.IGNORECASE)
LONGEST_LINK = 8000
# Extensions of files that run something dangerous with one click.
RISKY = (".bat", ".exe", ".hta", ".htm", ".html", ".iso", ".js", ".lnk", ".ps1", ".scr", ".vbs")


class NamedAddress(Struct, frozen=True):
    """A name, which may be empty, and an address."""

    name: str
    address: str

    def __str__(self) -> str:
        """Write both, as a header shows them."""
        return f"{self.name} <{self.address}>" if self.name else f"<{self.address}>"


class HeaderField(Struct, frozen=True):
    """One header: some text, or the people it names."""

    name: str
    text: str = ""
    people: tuple[NamedAddress, ...] = ()

    @property
    def value(self) -> str:
        """The header as a reader sees it, without any encoding."""
        return ", ".join(map(str, self.people)) or self.text


class Hyperlink(Struct, frozen=True):
    """Where a link leads, and its text; None for a bare address."""

    href: str
    text: str | None = None


class File(Struct, frozen=True):
    """One attachment."""

    name: str
    kind: str
    data: bytes
    encrypted: bool = False

    @property
    def risky(self) -> bool:
        """Whether its name alone is a reason to worry."""
        return self.name.lower().endswith(RISKY)

    def hashes(self) -> Json:
        """Return the three hashes that the API shows. They identify the file, and protect nothing."""
        return {
            "md5": md5(self.data, usedforsecurity=False).hexdigest(),
            "sha1": sha1(self.data, usedforsecurity=False).hexdigest(),
            "sha256": sha256(self.data).hexdigest(),
        }


class Content(Struct, frozen=True):
    """The content of one message; ``text`` is what a reader sees."""

    headers: tuple[HeaderField, ...]
    text: str
    links: tuple[Hyperlink, ...]
    files: tuple[File, ...]

    def header(self, name: str) -> str:
        """Return the value of the first header of a name, empty without one."""
        return next((one.value for one in self.headers if one.name.lower() == name.lower()), "")


def is_web(href: str) -> bool:
    """Tell whether a link leads to a named place on the web."""
    return len(href) <= LONGEST_LINK and SITE.match(href) is not None
