"""The settings lists as a table: their fields, the values those take, and how a list is filtered and ordered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from worker.sandbox.account import domains, validators
from worker.sandbox.account.account import AccountState
from worker.sandbox.account.mail import TEN
from worker.sandbox.account.validators import Complaint
from worker.sandbox.wire import Json

EVERY_VERB = frozenset({"list", "get", "create", "edit", "delete", "batch"})
PARTS = ("deletes", "patches", "puts", "posts")
WHOLE = ("create", "replace")
ALWAYS = (*WHOLE, "edit")
STAMPS = ("id", "created_at", "modified_at")
NONE: Mapping[str, str] = MappingProxyType({})
KINDS: Mapping[type, str] = MappingProxyType({str: "a string", int: "a number", bool: "true or false", list: "a list"})
STAMPED = MappingProxyType({"last_modified": "modified_at"})


class Field(Struct, frozen=True):
    """One field of a body: its type, whether a whole body needs it, which verbs may set it to null, and its values.

    ``least`` and ``most`` limit the characters of a text and the value of a number; ``each`` is the rule for each item
    of an array.
    """

    kind: type
    required: bool = False
    nullable: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    check: Callable[[str], Complaint] | None = None
    each: Field | None = None

    def validate(self, value: object, verb: str) -> Complaint:
        """Say what is wrong with a value."""
        if value is None and verb in self.nullable:
            return None
        if type(value) is not self.kind:
            return f"must be {KINDS[self.kind]}"
        if isinstance(value, list) and self.each:
            complaints = (self.each.validate(one, verb) for one in value)
            return next((f"has an item that {complaint}" for complaint in complaints if complaint), None)
        if self.words and value not in self.words:
            return f"must be one of {', '.join(self.words)}"
        if self.most is not None and not self.least <= _size(value) <= self.most:
            return f"must be {self.least} to {self.most}{' characters long' if isinstance(value, str) else ''}"
        return self.check(value) if self.check and isinstance(value, str) else None


def _size(value: object) -> int:
    return value if isinstance(value, int) else len(str(value))


class Filter(Struct, frozen=True):
    """One filter of a list: its words, and the value of a row it looks at (by default the field of its name)."""

    words: tuple[str, ...] = ()
    value_of: Callable[[Json], object] | None = None

    def fits(self, name: str, row: Json, wanted: list[str]) -> bool:
        """Tell whether a row has one of the wanted values; without any, every row fits."""
        value = self.value_of(row) if self.value_of else row.get(name)
        found = value if isinstance(value, list) else [value]
        return not wanted or any(_word(one) in wanted for one in found if one is not None)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class ListSchema(Struct, frozen=True):
    """One list: its fields, the key that makes an entry unique, its filters, orders and verbs.

    ``fixed`` fields are not set by the verbs in ``fixing``; ``initial`` is what the API itself decides about a new
    entry; ``deprecated`` names old fields and whose value they show.
    """

    key: tuple[str, ...]
    fields: Mapping[str, Field]
    filters: Mapping[str, Filter] = {}
    orders: tuple[str, ...] = ()
    verbs: frozenset[str] = EVERY_VERB
    parts: tuple[str, ...] = PARTS
    check: Callable[[Json], Complaint] = lambda _: None
    fixed: tuple[str, ...] = ()
    fixing: tuple[str, ...] = ("edit", "replace")
    initial: Mapping[str, object] = {}
    deprecated: Mapping[str, str] = STAMPED
    on_create: Callable[[AccountState, str, float], None] = lambda *_: None

    def target(self, entry: Json) -> str:
        """Return the key of an entry as one text in lower case."""
        return ":".join(str(entry.get(name)) for name in self.key).lower()

    def settable(self, verb: str) -> dict[str, Field]:
        """Return the fields that create, edit or replace may set."""
        return {name: rule for name, rule in self.fields.items() if verb not in self.fixing or name not in self.fixed}

    def select(self, body: Json, verb: str, *, deprecated: bool) -> Json:
        """Return the fields that a body sets. Unknown ones are ignored, deprecated ones set their successor."""
        old = self.deprecated if deprecated else NONE
        body = {old[name]: value for name, value in body.items() if name in old} | body
        return {name: body[name] for name in self.settable(verb) if name in body}

    def validate(self, given: Json, verb: str) -> Complaint:
        """Say which of the given fields is wrong, or which is missing in a whole entry."""
        for name, rule in self.settable(verb).items():
            if name not in given:
                if rule.required and verb in WHOLE:
                    return f"{name} is required"
            elif complaint := rule.validate(given[name], verb):
                return f"{name} {complaint}"
        return None

    def render(self, entry: Json, *, deprecated: bool) -> Json:
        """Return an entry as responses show it: every documented field, null where it has no value."""
        row = {name: entry.get(name) for name in (*STAMPS, *self.fields, *self.initial)}
        return row | {old: entry.get(new) for old, new in (self.deprecated if deprecated else NONE).items()}

    def text(self, entry: Json) -> str:
        """Return the text that the parameter ``search`` looks at, in lower case."""
        texts = [str(entry.get(name) or "") for name, rule in self.fields.items() if rule.kind is str]
        return "\n".join(texts).lower()


WRITTEN = ("EMAIL", "DOMAIN", "IP")
MODES = ("DIRECT", "BCC", "JOURNAL", "API", "RETRO_SCAN")
REGIONS = ("GLOBAL", "AU", "DE", "IN", "US")
DIRECTORIES = ("A1S_INTERNAL", "SNOOPY-CASB_OFFICE_365", "SNOOPY-OFFICE_365", "SNOOPY-GOOGLE_DIRECTORY")
EXEMPTIONS = ("is_acceptable_sender", "is_exempt_recipient", "is_trusted_sender", "verify_sender")

_PATTERN = Field(str, required=True, least=1, most=1024)
_TYPE = Field(str, required=True, words=WRITTEN)
_ANY_TYPE = Field(str, required=True, words=(*WRITTEN, "UNKNOWN"))
_COMMENTS = Field(str, nullable=ALWAYS, most=1024)
_TEXT = Field(str, required=True)
_NOTE = Field(str, nullable=ALWAYS)
_NUMBER = Field(int, nullable=ALWAYS)
_YES_OR_NO = Field(bool, required=True)
_MAYBE = Field(bool, nullable=WHOLE)
_FLAG = Filter(("true", "false"))
_BY_PATTERN = {"pattern": Filter()}
_BY_TYPE = {"pattern_type": Filter((*WRITTEN, "UNKNOWN"))}

LIST_SCHEMAS: Mapping[str, ListSchema] = MappingProxyType({
    "block_senders": ListSchema(
        ("pattern_type", "pattern"),
        {"pattern": _PATTERN, "pattern_type": _TYPE, "is_regex": _YES_OR_NO, "comments": _COMMENTS},
        _BY_PATTERN | _BY_TYPE, orders=("pattern", "created_at"), check=validators.check_pattern),
    "allow_policies": ListSchema(
        ("pattern_type", "pattern"),
        {"pattern": _PATTERN, "pattern_type": _TYPE, "is_regex": _YES_OR_NO, "comments": _COMMENTS}
        | dict.fromkeys(EXEMPTIONS, _YES_OR_NO),
        _BY_PATTERN | _BY_TYPE | dict.fromkeys(EXEMPTIONS, _FLAG), orders=("pattern", "created_at"),
        check=validators.check_pattern,
        deprecated={"is_recipient": "is_exempt_recipient", "is_sender": "is_trusted_sender",
                    "is_spoof": "is_acceptable_sender", **STAMPED}),
    "trusted_domains": ListSchema(
        ("pattern",),
        {"pattern": _PATTERN, "is_recent": _YES_OR_NO, "is_similarity": _YES_OR_NO, "is_regex": _YES_OR_NO,
         "comments": _COMMENTS},
        _BY_PATTERN | dict.fromkeys(("is_recent", "is_similarity"), _FLAG), orders=("pattern", "created_at"),
        check=lambda entry: validators.check_pattern(entry | {"pattern_type": "DOMAIN"})),
    "content_policies": ListSchema(
        ("name",),
        {"name": _TEXT, "pattern": _PATTERN, "enabled": _YES_OR_NO, "notes": _NOTE,
         "targets": Field(list, required=True, each=Field(str, words=("SUBJECT", "BODY")))},
        {"name": Filter(), "enabled": _FLAG}, orders=("name", "created_at"), deprecated=NONE),
    "impersonation_registry": ListSchema(
        ("name", "email"),
        {"name": _TEXT, "email": _TEXT, "is_email_regex": _YES_OR_NO, "comments": _COMMENTS,
         "directory_id": _NUMBER, "directory_node_id": _NUMBER, "external_directory_node_id": _NOTE,
         "provenance": Field(str, nullable=ALWAYS, words=DIRECTORIES)},
        {"provenance": Filter(DIRECTORIES)}, orders=("name", "email", "created_at"),
        verbs=EVERY_VERB - {"batch"}, check=validators.check_person),
    "sending_domain_restrictions": ListSchema(
        ("domain",),
        {"domain": Field(str, required=True, check=validators.check_domain), "comments": _COMMENTS,
         "exclude": Field(list, required=True, each=Field(str))},
        orders=("domain", "created_at"), parts=("deletes",)),
    "url_ignore_patterns": ListSchema(
        ("pattern",), {"pattern": _PATTERN, "comments": _COMMENTS}, verbs=EVERY_VERB - {"batch"}),
    "domains": ListSchema(
        ("domain",),
        {"domain": Field(str, required=True, check=validators.check_domain),
         "allowed_delivery_modes": Field(list, required=True, each=Field(str, words=MODES)),
         "drop_dispositions": Field(list, required=True, each=Field(str, words=tuple(sorted(TEN)))),
         "ip_restrictions": Field(list, required=True, each=Field(str, check=validators.check_network)),
         "regions": Field(list, required=True, each=Field(str, words=REGIONS)),
         "folder": Field(str, nullable=ALWAYS, words=("AllItems", "Inbox")),
         "integration_id": Field(str, nullable=ALWAYS, check=validators.check_uuid),
         "lookback_hops": Field(int, nullable=WHOLE, least=1, most=20),
         "require_tls_inbound": _MAYBE, "require_tls_outbound": _MAYBE, "transport": Field(str, nullable=WHOLE)},
        {"domain": Filter(), "integration_id": Filter(), "status": Filter(domains.STATES),
         "allowed_delivery_mode": Filter(MODES, lambda row: row.get("allowed_delivery_modes")),
         "active_delivery_mode": Filter(MODES, domains.active_modes)},
        orders=("domain", "created_at"), verbs=EVERY_VERB | {"replace", "delete_many"},
        fixed=("domain",), initial=domains.UNCHECKED, on_create=domains.schedule_check),
})  # fmt: skip


def age(schema: ListSchema) -> ListSchema:
    """Return a list as the older reference pages have it: domains can be renamed, and UNKNOWN be written."""
    fields = {name: _ANY_TYPE if rule is _TYPE else rule for name, rule in schema.fields.items()}
    return replace(schema, fields=fields, fixing=("replace",))
