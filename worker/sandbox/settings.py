"""The settings lists: list, get, create, edit, delete and batch, written once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from worker.sandbox.account import Effect
from worker.sandbox.life import Life
from worker.sandbox.shapes import SHAPES, Shape
from worker.sandbox.timeline import Timeline
from worker.sandbox.wire import Answer, Call, Json, Refused, moment, ok, page_of

Handler = Callable[[Life, Call], Answer]
PARTS = ("deletes", "patches", "puts", "posts")
MOST_IN_A_BATCH = 1000
ORDERS = frozenset({"pattern", "domain", "created_at"})


class Draft:
    """Changes to one list that are made all together, or not at all."""

    def __init__(self, life: Life, call: Call, shape: Shape) -> None:
        """Begin with the list as it truly is."""
        self.life, self.call, self.shape = life, call, shape
        things = life.lists.setdefault(shape.name, {})
        self.entries = {ident: thing.value for ident, thing in things.items() if thing.value is not None}
        self.targets = {shape.target(entry): ident for ident, entry in self.entries.items()}
        self.effects: list[Effect] = []
        self.refused: list[Effect] = []

    def create(self, body: Json) -> Json:
        """Add an entry."""
        entry = self._checked(self._known(body))
        self._refuse_a_second(entry, None)
        ident, stamp = str(UUID(int=self.life.rng.getrandbits(128), version=4)), moment(self.call.now)
        return self._put("create", {"id": ident, "created_at": stamp, "modified_at": stamp, "comments": None} | entry)

    def edit(self, ident: str, body: Json) -> Json:
        """Change the given fields of an entry."""
        before = self._entry(ident, "edit")
        entry = self._checked(before | self._known(body))
        self._refuse_a_second(entry, ident)
        return self._put("edit", entry | {"modified_at": moment(self.call.now)})

    def replace(self, ident: str, body: Json) -> Json:
        """Put a whole entry in the place of another."""
        before = self._entry(ident, "replace")
        entry = self._checked(self._known(body))
        self._refuse_a_second(entry, ident)
        kept: Json = {"id": ident, "created_at": before["created_at"], "comments": None}
        return self._put("replace", kept | entry | {"modified_at": moment(self.call.now)})

    def delete(self, ident: str) -> Json:
        """Take an entry out."""
        entry = self._entry(ident, "delete")
        del self.entries[ident]
        self.targets.pop(self.shape.target(entry), None)
        self.effects.append(self._effect("delete", entry, changed=True))
        return {"id": ident}

    def commit(self) -> None:
        """Make the changes true."""
        things = self.life.lists[self.shape.name]
        for ident, entry in self.entries.items():
            if ident not in things:
                things[ident] = Timeline(self.call.now, entry)
            elif things[ident].value != entry:
                things[ident].become(self.call.now, entry)
        for ident, thing in things.items():
            if ident not in self.entries and thing.value is not None:
                thing.become(self.call.now, None)
        self.life.effects += self.effects

    def _entry(self, ident: str, verb: str) -> Json:
        """Return an entry; trying again on one that is gone is an effect that changes nothing."""
        if ident not in self.entries:
            thing = self.life.lists[self.shape.name].get(ident)
            if thing is not None and (last := thing.value or thing.past[-1][1]):
                self.refused.append(self._effect(verb, last, changed=False))
            raise Refused(404, 10005, f"no entry {ident} in {self.shape.name}")
        return self.entries[ident]

    def _known(self, body: Json) -> Json:
        return {name: value for name, value in body.items() if name in self.shape.fields}

    def _checked(self, entry: Json) -> Json:
        if complaint := self.shape.complaint(entry):
            self.life.reader.wrong(complaint)
        return entry

    def _refuse_a_second(self, entry: Json, ident: str | None) -> None:
        """Refuse an entry that is there already; the attempt is an effect that changes nothing."""
        if self.life.switches.duplicates == "second":
            return
        target = self.shape.target(entry)
        if self.targets.get(target, ident) != ident:
            self.refused.append(self._effect("edit" if ident else "create", entry, changed=False))
            raise Refused(409, 10006, f"an entry for {target} exists already")

    def _put(self, verb: str, entry: Json) -> Json:
        ident = str(entry["id"])
        before = self.entries.get(ident)
        if before is not None:
            self.targets.pop(self.shape.target(before), None)
        self.entries[ident] = entry
        self.targets[self.shape.target(entry)] = ident
        self.effects.append(self._effect(verb, entry, changed=before != entry))
        return entry

    def _effect(self, verb: str, entry: Json, *, changed: bool) -> Effect:
        detail: Json = {"id": entry.get("id"), "comments": entry.get("comments")}
        name = f"{self.shape.name}.{verb}"
        return Effect(self.call.now, name, self.shape.target(entry), self.call.by, changed, detail)


@contextmanager
def _draft(life: Life, call: Call, shape: Shape) -> Iterator[Draft]:
    """Commit a draft at its end. Where it is refused nothing is done, but that somebody tried again is on record."""
    draft = Draft(life, call, shape)
    try:
        yield draft
    except Refused:
        life.effects += draft.refused
        raise
    draft.commit()


def routes() -> Iterable[tuple[str, str, Handler]]:
    """Return (method, path, handler) of every operation of every list in the table."""
    for shape in SHAPES.values():
        whole, one = f"settings/{shape.name}", f"settings/{shape.name}/{{id}}"
        offered: dict[str, tuple[str, str, Callable[[Life, Call, Shape], Answer]]] = {
            "list": ("GET", whole, _list),
            "create": ("POST", whole, _create),
            "batch": ("POST", f"{whole}/batch", _batch),
            "get": ("GET", one, _get),
            "edit": ("PATCH", one, _edit),
            "delete": ("DELETE", one, _delete),
        }
        for verb in shape.verbs:
            method, path, act = offered[verb]
            yield method, path, _bound(act, shape)


def _bound(act: Callable[[Life, Call, Shape], Answer], shape: Shape) -> Handler:
    return lambda life, call: act(life, call, shape)


def _list(life: Life, call: Call, shape: Shape) -> Answer:
    reader, request = life.reader, call.request
    rows = life.shown(life.lists.get(shape.name, {}), call.now)
    for name in shape.exact:
        wanted = [value for key, value in request.query if key == name]
        rows = [row for row in rows if not wanted or row.get(name) in wanted]
    for name in shape.flags:
        flag = reader.flag(request, name, default=None)
        rows = [row for row in rows if flag is None or row.get(name) == flag]
    if text := request.get("search"):
        rows = [row for row in rows if text.lower() in f"{shape.target(row)} {row.get('comments')}".lower()]
    order = reader.one_of(request, "order", ORDERS) or "created_at"
    downwards = reader.one_of(request, "direction", frozenset({"asc", "desc"})) != "asc"
    rows.sort(key=lambda row: str(row.get(order)), reverse=downwards)
    return page_of(rows, reader.number(request, "page", 1, 10**9), reader.number(request, "per_page", 20, 1000))


def _get(life: Life, call: Call, shape: Shape) -> Answer:
    thing = life.lists.get(shape.name, {}).get(call.ids[0])
    entry = thing.seen(life.horizon(call.now, call.ids[0])) if thing is not None else None
    if entry is None:
        raise Refused(404, 10005, f"no entry {call.ids[0]} in {shape.name}")
    return ok(entry)


def _create(life: Life, call: Call, shape: Shape) -> Answer:
    with _draft(life, call, shape) as draft:
        entry = draft.create(life.reader.mapping(call.request))
    return ok(entry, status=201)


def _edit(life: Life, call: Call, shape: Shape) -> Answer:
    with _draft(life, call, shape) as draft:
        entry = draft.edit(call.ids[0], life.reader.mapping(call.request))
    return ok(entry)


def _delete(life: Life, call: Call, shape: Shape) -> Answer:
    with _draft(life, call, shape) as draft:
        gone = draft.delete(call.ids[0])
    return ok(gone)


def _batch(life: Life, call: Call, shape: Shape) -> Answer:
    """Carry out deletes, patches, puts and posts in this order; where one fails nothing is done."""
    body = _parts(life, life.reader.mapping(call.request))
    with _draft(life, call, shape) as draft:
        done = {
            "deletes": [draft.delete(_ident(life, one)) for one in body["deletes"]],
            "patches": [draft.edit(_ident(life, one), one) for one in body["patches"]],
            "puts": [draft.replace(_ident(life, one), one) for one in body["puts"]],
            "posts": [draft.create(one) for one in body["posts"]],
        }
    return ok(done)


def _parts(life: Life, body: Json) -> dict[str, list[Json]]:
    """Read the four arrays; all are required, empty ones included."""
    parts: dict[str, list[Json]] = {}
    for name in PARTS:
        part = body.get(name)
        if not isinstance(part, list) or not all(isinstance(one, dict) for one in part):
            life.reader.wrong(f"{name} must be an array of objects")
        parts[name] = part
    if sum(map(len, parts.values())) > MOST_IN_A_BATCH:
        life.reader.wrong(f"a batch must not have more than {MOST_IN_A_BATCH} items")
    return parts


def _ident(life: Life, item: Json) -> str:
    ident = item.get("id")
    if not isinstance(ident, str):
        life.reader.wrong("id is required")
    return ident
