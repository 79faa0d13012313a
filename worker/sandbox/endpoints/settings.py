"""The settings lists: list, get, create, edit, replace, delete and batch, written once for all lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from worker.sandbox.account.account import AccountState
from worker.sandbox.account.list_changes import change_list
from worker.sandbox.account.list_schemas import LIST_SCHEMAS, ListSchema
from worker.sandbox.wire import Call, Json, OutgoingResponse, ok, ok_page

if TYPE_CHECKING:
    from worker.sandbox.endpoints import Handler

MOST_IN_A_BATCH = 1000
MADE_BY_LISTS = "trusted_domains"
"""The list that takes several new entries at once, in the era of the seeds."""
DIRECTIONS = frozenset({"asc", "desc"})


class ListEndpoints:
    """The operations of one list."""

    def __init__(self, name: str, schema: ListSchema) -> None:
        self.name, self.schema = name, schema

    def list_entries(self, account: AccountState, call: Call) -> OutgoingResponse:
        """Answer a page of the entries, by default the newest first."""
        reader, request = account.reader, call.request
        rows = self._filter(account, call, account.read_all(account.lists.get(self.name, {}), call.now))
        rows = self._sort(account, call, rows)
        number, size = reader.number(request, "page", 1, 10**9), reader.number(request, "per_page", 20, 1000)
        return ok_page([self._render(account, row) for row in rows], number, size)

    def get(self, account: AccountState, call: Call) -> OutgoingResponse:
        """Answer one entry."""
        return ok(self._render(account, account.find_entry(self.name, call.ids[0], call.now)))

    def create(self, account: AccountState, call: Call) -> OutgoingResponse:
        """Add an entry."""
        body = account.reader.json(call.request)
        several = isinstance(body, list) and account.options.seeds and self.name == MADE_BY_LISTS
        bodies = _read_objects(account, "the body", body) if several else [account.reader.mapping(call.request)]
        with change_list(account, call, self.name, self.schema) as changes:
            entries = [self._render(account, changes.create(one)) for one in bodies]
        return ok(entries if several else entries[0], status=201)

    def edit(self, account: AccountState, call: Call) -> OutgoingResponse:
        """Change the given fields of an entry."""
        with change_list(account, call, self.name, self.schema) as changes:
            entry = changes.edit(call.ids[0], self._read_change(account, call))
        return ok(self._render(account, entry))

    def _read_change(self, account: AccountState, call: Call) -> Json:
        """Read the fields to change. In the era of the seeds, those of a domain have one that is required."""
        body = account.reader.mapping(call.request)
        if account.options.seeds and self.name == "domains" and "ip_restrictions" not in body:
            account.reader.refuse("ip_restrictions is required")
        return body

    def replace(self, account: AccountState, call: Call) -> OutgoingResponse:
        """Replace a whole entry."""
        with change_list(account, call, self.name, self.schema) as changes:
            entry = changes.replace(call.ids[0], account.reader.mapping(call.request))
        return ok(self._render(account, entry))

    def delete(self, account: AccountState, call: Call) -> OutgoingResponse:
        """Delete an entry."""
        with change_list(account, call, self.name, self.schema) as changes:
            gone = changes.delete(call.ids[0])
        return ok(gone)

    def delete_many(self, account: AccountState, call: Call) -> OutgoingResponse:
        """Delete the entries of an array of {id}. Without ids it is refused, or means all if an option says so."""
        asked = _read_objects(account, "the body", account.reader.json(call.request) if call.request.body else [])
        if not asked and account.options.domains_without_ids == "400":
            account.reader.refuse("the body must name the ids to delete")
        with change_list(account, call, self.name, self.schema) as changes:
            idents = [_read_id(account, one) for one in asked] or list(changes.entries)
            gone = [changes.delete(ident) for ident in idents]
        return ok(gone)

    def batch(self, account: AccountState, call: Call) -> OutgoingResponse:
        """Carry out deletes, patches, puts and posts in this order, or nothing where one fails."""
        body = self._read_parts(account, account.reader.mapping(call.request))
        with change_list(account, call, self.name, self.schema) as changes:
            acts: Mapping[str, Callable[[Json], Json]] = {
                "deletes": lambda one: changes.delete(_read_id(account, one)),
                "patches": lambda one: self._render(account, changes.edit(_read_id(account, one), one)),
                "puts": lambda one: self._render(account, changes.replace(_read_id(account, one), one)),
                "posts": lambda one: self._render(account, changes.create(one)),
            }
            done = {part: [acts[part](one) for one in body[part]] for part in self.schema.parts}
        return ok(done)

    def _render(self, account: AccountState, entry: Json) -> Json:
        return self.schema.render(entry, deprecated=account.options.deprecated)

    def _filter(self, account: AccountState, call: Call, rows: list[Json]) -> list[Json]:
        """Leave out the rows that a filter or the search excludes."""
        query, older = call.request.query, self.schema.deprecated if account.options.seeds else {}
        for name, rule in self.schema.filters.items():
            wanted = [value for key, value in query if name in {key, older.get(key)}]
            if strange := [value for value in wanted if rule.words and value not in rule.words]:
                account.reader.refuse(f"{name} must be one of {', '.join(rule.words)}, not {strange[0]}")
            rows = [row for row in rows if rule.fits(name, row, wanted)]
        text = (call.request.get("search") or "").lower() if self.schema.orders else ""
        return [row for row in rows if text in self.schema.text(row)]

    def _sort(self, account: AccountState, call: Call, rows: list[Json]) -> list[Json]:
        """Sort the rows; a list without orders shows the newest first."""
        if not self.schema.orders:
            return sorted(rows, key=lambda row: str(row["created_at"]), reverse=True)
        order = account.reader.one_of(call.request, "order", frozenset(self.schema.orders)) or "created_at"
        upwards = account.reader.one_of(call.request, "direction", DIRECTIONS) == "asc"
        return sorted(rows, key=lambda row: str(row.get(order) or ""), reverse=not upwards)

    def _read_parts(self, account: AccountState, body: Json) -> dict[str, list[Json]]:
        """Read the arrays of a batch; all are required, empty ones included."""
        parts = {name: _read_objects(account, name, body.get(name)) for name in self.schema.parts}
        if sum(map(len, parts.values())) > MOST_IN_A_BATCH:
            account.reader.refuse(f"a batch must not have more than {MOST_IN_A_BATCH} items")
        return parts


def _read_objects(account: AccountState, name: str, value: object) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        account.reader.refuse(f"{name} must be an array of objects")
    return value


def _read_id(account: AccountState, item: Json) -> str:
    ident = item.get("id")
    if type(ident) is not (int if account.options.seeds else str):
        account.reader.refuse(f"id must be a {'number' if account.options.seeds else 'string'}")
    return str(ident)


Endpoint = Callable[[ListEndpoints, AccountState, Call], OutgoingResponse]
VERBS: Mapping[str, tuple[str, str, Endpoint]] = MappingProxyType({
    "list": ("GET", "", ListEndpoints.list_entries),
    "create": ("POST", "", ListEndpoints.create),
    "delete_many": ("DELETE", "", ListEndpoints.delete_many),
    "batch": ("POST", "/batch", ListEndpoints.batch),
    "get": ("GET", "/{id}", ListEndpoints.get),
    "edit": ("PATCH", "/{id}", ListEndpoints.edit),
    "replace": ("PUT", "/{id}", ListEndpoints.replace),
    "delete": ("DELETE", "/{id}", ListEndpoints.delete),
})  # fmt: skip


def get_verification(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer the TXT record a domain waits for, or 204 where it is verified or an integration vouches for it."""
    domain = account.find_entry("domains", call.ids[0], call.now)
    verified = domain.get("status") == "ACTIVE" and account.options.verified_domain == "204"
    if verified or domain.get("integration_id"):
        return OutgoingResponse(204, {}, b"")
    authorization = domain.get("authorization")
    return ok(
        {
            "status": domain.get("status"),
            "txt_record_name": f"_cf-email-sec-challenge.{domain['domain']}",
            "txt_record_value": str(domain["id"]).replace("-", ""),
            "last_checked_at": authorization["timestamp"] if isinstance(authorization, dict) else None,
        }
    )


def list_routes() -> Iterable[tuple[str, str, Handler]]:
    """Yield (method, path, handler) of every operation of every list in the table."""
    for name, schema in LIST_SCHEMAS.items():
        endpoints = ListEndpoints(name, schema)
        for verb in sorted(schema.verbs):
            method, tail, act = VERBS[verb]
            yield method, f"settings/{name}{tail}", partial(act, endpoints)
    yield "GET", "settings/domains/{id}/verification", get_verification
