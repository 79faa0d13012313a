"""The settings lists: list, get, create, edit, replace, delete and batch, written once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType

from worker.sandbox.account.activity import Life
from worker.sandbox.account.list_changes import drafted, entry_of
from worker.sandbox.account.list_schemas import SHAPES, Shape
from worker.sandbox.wire import Answer, Call, Json, ok, page_of

Handler = Callable[[Life, Call], Answer]
MOST_IN_A_BATCH = 1000
DIRECTIONS = frozenset({"asc", "desc"})


class Listing:
    """The operations of one list."""

    def __init__(self, name: str, shape: Shape) -> None:
        """Take the list's row of the table."""
        self.name, self.shape = name, shape

    def page(self, life: Life, call: Call) -> Answer:
        """Answer a page of the entries, by default the newest first."""
        reader, request = life.reader, call.request
        rows = self._filtered(life, call, life.shown(life.lists.get(self.name, {}), call.now))
        rows = self._in_order(life, call, rows)
        number, size = reader.number(request, "page", 1, 10**9), reader.number(request, "per_page", 20, 1000)
        return page_of([self._shown(life, row) for row in rows], number, size)

    def get(self, life: Life, call: Call) -> Answer:
        """Answer one entry."""
        return ok(self._shown(life, entry_of(life, call, self.name)))

    def create(self, life: Life, call: Call) -> Answer:
        """Add an entry."""
        with drafted(life, call, self.name, self.shape) as draft:
            entry = draft.create(life.reader.mapping(call.request))
        return ok(self._shown(life, entry), status=201)

    def edit(self, life: Life, call: Call) -> Answer:
        """Change the given fields of an entry."""
        with drafted(life, call, self.name, self.shape) as draft:
            entry = draft.edit(call.ids[0], life.reader.mapping(call.request))
        return ok(self._shown(life, entry))

    def replace(self, life: Life, call: Call) -> Answer:
        """Put a whole entry in the place of another."""
        with drafted(life, call, self.name, self.shape) as draft:
            entry = draft.replace(call.ids[0], life.reader.mapping(call.request))
        return ok(self._shown(life, entry))

    def delete(self, life: Life, call: Call) -> Answer:
        """Take an entry out."""
        with drafted(life, call, self.name, self.shape) as draft:
            gone = draft.delete(call.ids[0])
        return ok(gone)

    def delete_many(self, life: Life, call: Call) -> Answer:
        """Take the entries of an array of {id} out; without any the request is refused, or by a switch means all."""
        asked = _objects(life, "the body", life.reader.json(call.request) if call.request.body else [])
        if not asked and life.switches.domains_without_ids == "400":
            life.reader.wrong("the body must name the ids to delete")
        with drafted(life, call, self.name, self.shape) as draft:
            idents = [_ident(life, one) for one in asked] or list(draft.entries)
            gone = [draft.delete(ident) for ident in idents]
        return ok(gone)

    def batch(self, life: Life, call: Call) -> Answer:
        """Carry out deletes, patches, puts and posts in this order; where one fails nothing is done."""
        body = self._parts(life, life.reader.mapping(call.request))
        with drafted(life, call, self.name, self.shape) as draft:
            acts: Mapping[str, Callable[[Json], Json]] = {
                "deletes": lambda one: draft.delete(_ident(life, one)),
                "patches": lambda one: self._shown(life, draft.edit(_ident(life, one), one)),
                "puts": lambda one: self._shown(life, draft.replace(_ident(life, one), one)),
                "posts": lambda one: self._shown(life, draft.create(one)),
            }
            done = {part: [acts[part](one) for one in body[part]] for part in self.shape.parts}
        return ok(done)

    def _shown(self, life: Life, entry: Json) -> Json:
        return self.shape.shown(entry, deprecated=life.switches.deprecated)

    def _filtered(self, life: Life, call: Call, rows: list[Json]) -> list[Json]:
        """Leave out what a filter or the search does not want."""
        query = call.request.query
        for name, rule in self.shape.filters.items():
            wanted = [value for key, value in query if key == name]
            if strange := [value for value in wanted if rule.words and value not in rule.words]:
                life.reader.wrong(f"{name} must be one of {', '.join(rule.words)}, not {strange[0]}")
            rows = [row for row in rows if rule.fits(name, row, wanted)]
        text = (call.request.get("search") or "").lower() if self.shape.orders else ""
        return [row for row in rows if text in self.shape.text(row)]

    def _in_order(self, life: Life, call: Call, rows: list[Json]) -> list[Json]:
        """Sort the rows; a list without orders shows the newest first."""
        if not self.shape.orders:
            return sorted(rows, key=lambda row: str(row["created_at"]), reverse=True)
        order = life.reader.one_of(call.request, "order", frozenset(self.shape.orders)) or "created_at"
        upwards = life.reader.one_of(call.request, "direction", DIRECTIONS) == "asc"
        return sorted(rows, key=lambda row: str(row.get(order) or ""), reverse=not upwards)

    def _parts(self, life: Life, body: Json) -> dict[str, list[Json]]:
        """Read the arrays of a batch; all are required, empty ones included."""
        parts = {name: _objects(life, name, body.get(name)) for name in self.shape.parts}
        if sum(map(len, parts.values())) > MOST_IN_A_BATCH:
            life.reader.wrong(f"a batch must not have more than {MOST_IN_A_BATCH} items")
        return parts


def _objects(life: Life, name: str, value: object) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        life.reader.wrong(f"{name} must be an array of objects")
    return value


def _ident(life: Life, item: Json) -> str:
    ident = item.get("id")
    if not isinstance(ident, str):
        life.reader.wrong("id is required")
    return ident


VERBS: Mapping[str, tuple[str, str, Callable[[Listing, Life, Call], Answer]]] = MappingProxyType({
    "list": ("GET", "", Listing.page),
    "create": ("POST", "", Listing.create),
    "delete_many": ("DELETE", "", Listing.delete_many),
    "batch": ("POST", "/batch", Listing.batch),
    "get": ("GET", "/{id}", Listing.get),
    "edit": ("PATCH", "/{id}", Listing.edit),
    "replace": ("PUT", "/{id}", Listing.replace),
    "delete": ("DELETE", "/{id}", Listing.delete),
})  # fmt: skip


def routes() -> Iterable[tuple[str, str, Handler]]:
    """Return (method, path, handler) of every operation of every list in the table."""
    for name, shape in SHAPES.items():
        listing = Listing(name, shape)
        for verb in sorted(shape.verbs):
            method, tail, act = VERBS[verb]
            yield method, f"settings/{name}{tail}", partial(act, listing)
        for (method, tail), handler in shape.more.items():
            yield method, f"settings/{name}/{tail}", handler
