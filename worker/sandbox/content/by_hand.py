"""Mail that somebody adds by hand: which fields it may have, and the content that they give it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from mimetypes import guess_type
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import fields

from worker.mime.links import find_links
from worker.sandbox.account.mail import DESTINATIONS, TEN
from worker.sandbox.content.content import Content, File, Hyperlink, is_web
from worker.sandbox.content.mime_writer import write_eml
from worker.sandbox.content.writing import write_content
from worker.sandbox.wire import Json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from worker.sandbox.account.activity import Activity
from worker.sandbox.account.mail import Mail

T = TypeVar("T")
Moment = Annotated[float, Meta(ge=0, lt=2**32)]
Text = str | None | UnsetType
FileName = Annotated[str, Meta(min_length=1, max_length=255)]
Texts = tuple[str, ...] | None | UnsetType
Results = dict[str, str | None]
LONGEST = 100
"""Characters of what was given that an error shows."""
CHECKS = ("dkim", "dmarc", "spf")
RESULTS = frozenset({"pass", "neutral", "fail", "error", "none"})
KIND = r"^((application|audio|image|text|video)/[a-z0-9.+-]{1,100})?\Z"
UNKNOWN_KIND = "application/octet-stream"
ENCRYPTED = b"PK\x03\x04\x14\x00\x01\x00"
"""How a ZIP archive begins whose first entry is encrypted."""
PLACE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)
"""What msgspec says of a value, and where that is."""


class Misfit(ValueError):
    """A message that cannot be added or changed so; the text is one sentence that says what can."""


class GivenFile(Struct, frozen=True, forbid_unknown_fields=True):
    """An attachment; without a type, it has the one that its name suggests."""

    name: FileName
    content_type: Annotated[str, Meta(pattern=KIND)] = ""
    text: str = ""
    encrypted: bool = False


class GivenLink(Struct, frozen=True, forbid_unknown_fields=True):
    """A link, and what a reader sees of it."""

    href: str
    text: str | None = None


class GivenRecord(Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """The fields of the API that never change; those that are not given are left out."""

    alert_id: Text = UNSET
    client_recipients: tuple[str, ...] | UnsetType = UNSET
    delivery_mode: Text = UNSET
    detection_reasons: tuple[str, ...] | UnsetType = UNSET
    edf_hash: Text = UNSET
    envelope_from: Text = UNSET
    envelope_to: Texts = UNSET
    from_name: Text = UNSET
    htmltext_structure_hash: Text = UNSET
    id: str | UnsetType = UNSET
    is_phish_submission: bool | UnsetType = UNSET
    message_id: Text = UNSET
    postfix_id: Text = UNSET
    postfix_id_outbound: Text = UNSET
    properties: dict[str, Any] | UnsetType = UNSET
    replyto: Text = UNSET
    scanned_at: Text = UNSET
    sender: Text = UNSET
    sent_at: Text = UNSET
    sent_date: Text = UNSET
    smtp_helo_server_ip: Text = UNSET
    smtp_previous_hop_ip: Text = UNSET
    subject: Text = UNSET
    threat_categories: Texts = UNSET
    to: Texts = UNSET
    to_name: Texts = UNSET
    validation: Results | UnsetType | None = UNSET
    x_originating_ip: Text = UNSET


class GivenRest(Struct, frozen=True, kw_only=True):
    """The first state, the content, and short words for several fields of the API."""

    attachments: tuple[FileName | GivenFile, ...] = ()
    disposition: str = "MALICIOUS"
    dkim: str | None = None
    dmarc: str | None = None
    folder: str = "Inbox"
    indexed: Moment | None = None
    links: tuple[str | GivenLink, ...] = ()
    quarantined: bool = False
    recipients: tuple[str, ...] = ()
    scanned: Moment | None = None
    spf: str | None = None
    text: str = ""


class GivenMail(Struct, frozen=True):
    """A message to add, of which every field is known and fits."""

    record: Json
    rest: GivenRest


OTHER_NAMES = {"sender": "from", "final_disposition": "disposition", "is_quarantined": "quarantined"}
OF_THE_RECORD = frozenset(one.encode_name for one in fields(GivenRecord))
KNOWN = OF_THE_RECORD | {one.encode_name for one in fields(GivenRest)} | OTHER_NAMES.keys()


def read_mail(given: Mapping[str, Any]) -> GivenMail:
    """Read a message to add; raise Misfit for what no message has, and what no search could pass by."""
    require_names("a message to add", given, KNOWN)
    named = {OTHER_NAMES.get(name, name): value for name, value in given.items()}
    if len(named) < len(given):
        raise Misfit(f"a field is given by both its names: {', '.join(f'{a} is {b}' for a, b in OTHER_NAMES.items())}")
    record = convert({name: value for name, value in named.items() if name in OF_THE_RECORD}, GivenRecord)
    rest = convert({name: value for name, value in named.items() if name not in OF_THE_RECORD}, GivenRest)
    _check_rest(rest)
    return GivenMail(_write_record(record, rest), rest)


def require_names(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise Misfit for a name that is not known, with all that are."""
    for name in given:
        if name not in known:
            near = get_close_matches(name[:LONGEST], known, n=1)
            meant = f", perhaps {near[0]}" if near else ""
            raise Misfit(f"{what} has no field {name[:LONGEST]!r}{meant}: it may have {', '.join(sorted(known))}")


def require_word(name: str, word: str, words: Collection[str]) -> None:
    """Raise Misfit for a word that is none of these."""
    if word not in words:
        raise Misfit(f"{name} cannot be {word[:LONGEST]!r}: write one of {', '.join(sorted(words))}")


def convert(given: object, kind: type[T]) -> T:
    """Read values; raise Misfit that names the field that does not fit."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as wrong:
        said = PLACE.fullmatch(str(wrong))
        raise Misfit(f"{said[2]}: {said[1]}" if said else str(wrong)) from None


def _check_rest(rest: GivenRest) -> None:
    require_word("disposition", rest.disposition, TEN)
    require_word("folder", rest.folder, DESTINATIONS)
    for href in _list_links(rest):
        if not is_web(href.href):
            raise Misfit(f"links cannot lead to {href.href[:LONGEST]!r}: write an address such as https://a.example/b")


def _write_record(record: GivenRecord, rest: GivenRest) -> Json:
    """Return the fields of the record as they are given, and those that a short word stands for."""
    told: Json = msgspec.to_builtins(record)
    if rest.recipients:
        told = dict.fromkeys(("client_recipients", "envelope_to", "to"), rest.recipients) | told
    given = record.validation or {}
    results = {name: result for name in CHECKS if (result := getattr(rest, name)) is not None}
    _check_results({**given, **results})
    return told | {"validation": {**dict.fromkeys(("comment", *CHECKS)), **given, **results}} if results else told


def _check_results(results: Results) -> None:
    require_names("validation", results, ("comment", *CHECKS))
    for name, result in results.items():
        if name != "comment" and result is not None:
            require_word(name, result, RESULTS)


def add_mail(account: Activity, given: GivenMail) -> Mail:
    """Add a message; one with a text, attachments or links with a text of their own keeps what was written."""
    rest = given.rest
    links = _list_links(rest)
    found = (one.href for one in find_links(rest.text) if is_web(one.href))
    mail = account.add_message(
        disposition=rest.disposition,
        quarantined=rest.quarantined,
        folder=rest.folder,
        scanned=rest.scanned,
        indexed=rest.indexed,
        links=tuple(dict.fromkeys((*(link.href for link in links), *found))),
        **given.record,
    )
    if rest.text or rest.attachments or any(link.text for link in links):
        mail.original = write_eml(_write_given_content(mail, rest)).encode()
    return mail


def _write_given_content(mail: Mail, rest: GivenRest) -> Content:
    """Write what was given in the place of what would have been invented."""
    invented = write_content(mail)
    text = f"{rest.text}\n" if rest.text else invented.text
    return Content(invented.headers, text, _list_links(rest), tuple(map(_make_file, rest.attachments)))


def _list_links(rest: GivenRest) -> tuple[Hyperlink, ...]:
    return tuple(Hyperlink(link) if isinstance(link, str) else Hyperlink(link.href, link.text) for link in rest.links)


def _make_file(given: str | GivenFile) -> File:
    file = GivenFile(given, text=given) if isinstance(given, str) else given
    guessed = guess_type(file.name)[0] or ""
    kind = file.content_type or (guessed if re.match(KIND, guessed) else "") or UNKNOWN_KIND
    return File(file.name, kind, ENCRYPTED * file.encrypted + file.text.encode(), file.encrypted)
