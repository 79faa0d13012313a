"""What a mail is made of, as values."""

from __future__ import annotations

from hashlib import md5, sha1, sha256

from msgspec import Struct

ZIP, ZIP_FLAGS = b"PK\x03\x04", 6
"""How a ZIP archive begins, and where the flags of its first entry are."""


class MailHeader(Struct, frozen=True):
    """A header as a reader sees it, and unfolded as it was written."""

    name: str
    value: str
    written: str = ""


class MailLink(Struct, frozen=True):
    """A link: where a click leads, with the host in punycode and in letters, and what the person sees of it.

    ``text_host`` is the host that the visible text names, if it looks like an address.
    """

    href: str
    text: str = ""
    shown: str = ""
    host: str = ""
    text_host: str = ""


class Enclosure(Struct, frozen=True):
    """A file. One whose end is missing has size 0 and no hashes, since those would be of another file.

    ``links`` are those of a page, which a person sees who opens it.
    """

    name: str
    kind: str
    size: int = 0
    md5: str = ""
    sha1: str = ""
    sha256: str = ""
    encrypted: bool = False
    data: bytes = b""
    links: tuple[MailLink, ...] = ()


class Letter(Struct, frozen=True):
    """A mail; ``problems`` says what was cut, guessed or could not be read."""

    fields: tuple[MailHeader, ...] = ()
    text: str = ""
    html: str = ""
    links: tuple[MailLink, ...] = ()
    files: tuple[Enclosure, ...] = ()
    problems: tuple[str, ...] = ()

    def header(self, name: str) -> str:
        """Return the value of the first header of a name in any case, empty without one."""
        return next((one.value for one in self.fields if one.name.lower() == name.lower()), "")


def enclose(name: str, kind: str, data: bytes) -> Enclosure:
    """Return a file with its hashes, which identify it and protect nothing."""
    weak, weaker, strong = (make(data, usedforsecurity=False).hexdigest() for make in (sha1, md5, sha256))
    return Enclosure(name, kind, len(data), weaker, weak, strong, _is_encrypted(data), data)


def _is_encrypted(data: bytes) -> bool:
    """Tell whether it is a ZIP archive whose first entry is encrypted: the lowest bit of its flags says so."""
    return data.startswith(ZIP) and len(data) > ZIP_FLAGS and data[ZIP_FLAGS] & 1 == 1
