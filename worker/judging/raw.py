"""The fact Raw, made of a mail that was taken apart. What took it apart read what a stranger wrote: it has bounds."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from worker.language.models import Header, Raw, RawAttachment, RawLink
from worker.language.shortening import shorten
from worker.mime.letter import Enclosure, Letter, MailLink

T = TypeVar("T")
MOST = 300
"""Headers, links, files and problems of a mail at most."""


def make_raw(letter: Letter) -> Raw:
    """Return what rules see of a mail: strings of 4,096 characters at most, and 300 things of each kind."""
    return shorten(
        Raw(
            headers=_take(Header(name=one.name, value=one.value) for one in letter.fields),
            text=letter.text,
            html=letter.html,
            links=_take(dict.fromkeys(href for link in letter.links for href in (link.href, link.shown))),
            hyperlinks=_take(map(_make_link, letter.links)),
            attachments=_take(_make_attachments(letter.files)),
            problems=_take(letter.problems),
        )
    )


def _take(things: Iterable[T]) -> tuple[T, ...]:
    return tuple(islice(things, MOST))


def _make_link(link: MailLink) -> RawLink:
    return RawLink(href=link.href, shown=link.shown, host=link.host, text=link.text, text_host=link.text_host)


def _make_attachments(files: Iterable[Enclosure]) -> Iterator[RawAttachment]:
    """Yield the files of a mail, with 300 links in all."""
    left = MOST
    for file in files:
        links = file.links[:left]
        left -= len(links)
        yield _make_attachment(file, links)


def _make_attachment(file: Enclosure, links: tuple[MailLink, ...]) -> RawAttachment:
    return RawAttachment(
        filename=file.name,
        content_type=file.kind,
        size=file.size,
        encrypted=file.encrypted,
        md5=file.md5,
        sha1=file.sha1,
        sha256=file.sha256,
        hyperlinks=tuple(map(_make_link, links)),
    )
