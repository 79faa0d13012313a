"""Changes to one settings list that are made all together, or not at all."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from worker.sandbox.account.account import Effect
from worker.sandbox.account.list_schemas import age
from worker.sandbox.account.timeline import Timeline
from worker.sandbox.wire import Refused, format_moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.sandbox.account.account import AccountState
    from worker.sandbox.account.list_schemas import ListSchema
    from worker.sandbox.wire import Call, Json


class ListChanges:
    """Changes to one list, made on a copy of its true state until they are committed."""

    def __init__(self, account: AccountState, call: Call, name: str, schema: ListSchema) -> None:
        self.account, self.call, self.name = account, call, name
        self.schema = schema = age(schema) if account.options.seeds else schema
        timelines = account.lists.setdefault(name, {})
        self.entries = {ident: timeline.value for ident, timeline in timelines.items() if timeline.value is not None}
        self.targets = Counter(schema.target(entry) for entry in self.entries.values())
        self.effects: list[Effect] = []
        self.refused: list[Effect] = []

    def create(self, body: Json) -> Json:
        """Add an entry."""
        given = self._read_fields(body, "create")
        ident = self.account.make_entry_id(str(UUID(int=self.account.rng.getrandbits(128), version=4)))
        stamp = format_moment(self.call.now)
        fresh: Json = {"id": ident, "created_at": stamp, **dict.fromkeys(self.schema.fields), **self.schema.initial}
        return self._put("create", fresh | given)

    def edit(self, ident: str, body: Json) -> Json:
        """Change the given fields of an entry."""
        before = self._find_entry(ident, "edit")
        return self._put("edit", before | self._read_fields(body, "edit"))

    def replace(self, ident: str, body: Json) -> Json:
        """Replace a whole entry, except for the fields that the API itself sets."""
        before = self._find_entry(ident, "replace")
        cleared: Json = dict.fromkeys(self.schema.settable("replace"))
        return self._put("replace", before | cleared | self._read_fields(body, "replace"))

    def delete(self, ident: str) -> Json:
        """Delete an entry."""
        entry = self._find_entry(ident, "delete")
        del self.entries[ident]
        self.targets[self.schema.target(entry)] -= 1
        self.effects.append(self._effect("delete", entry, changed=True))
        return {"id": ident}

    def commit(self) -> None:
        """Write the changes into the list."""
        now, timelines = self.call.now, self.account.lists[self.name]
        for ident, entry in self.entries.items():
            if ident not in timelines:
                timelines[ident] = Timeline(now, entry)
                self.schema.on_create(self.account, ident, now)
            elif timelines[ident].value != entry:
                timelines[ident].become(now, entry)
        for ident, timeline in timelines.items():
            if ident not in self.entries and timeline.value is not None:
                timeline.become(now, None)
        self.account.effects += self.effects

    def _find_entry(self, ident: str, verb: str) -> Json:
        """Return an entry. To try again on one that is gone is an effect that changes nothing."""
        if ident not in self.entries:
            timeline = self.account.lists[self.name].get(ident)
            if timeline is not None and (last := timeline.value or timeline.past[-1][1]):
                self.refused.append(self._effect(verb, last, changed=False))
            raise Refused(404, 10005, f"no entry {ident} in {self.name}")
        return self.entries[ident]

    def _read_fields(self, body: Json, verb: str) -> Json:
        given = self.schema.select(body, verb, deprecated=self.account.options.deprecated)
        if complaint := self.schema.validate(given, verb):
            self.account.reader.refuse(complaint)
        return given

    def _put(self, verb: str, entry: Json) -> Json:
        """Put an entry into the copy, if it is valid and no other has the same key."""
        if complaint := self.schema.check(entry):
            self.account.reader.refuse(complaint)
        ident, target = str(entry["id"]), self.schema.target(entry)
        before = self.entries.get(ident)
        if before is not None:
            self.targets[self.schema.target(before)] -= 1
        if before is None or self.schema.target(before) != target:
            self._refuse_duplicate(verb, entry, target)
        self.targets[target] += 1
        self.effects.append(self._effect(verb, entry, changed=before != entry))
        self.entries[ident] = entry | {"modified_at": format_moment(self.call.now)}
        return self.entries[ident]

    def _refuse_duplicate(self, verb: str, entry: Json, target: str) -> None:
        """Refuse an entry whose key is taken. The attempt is an effect that changes nothing."""
        if self.targets[target] and self.account.options.duplicates == "409":
            attempt = entry if entry["id"] in self.entries else entry | {"id": None}
            self.refused.append(self._effect(verb, attempt, changed=False))
            raise Refused(409, 10006, f"an entry for {target} exists already")

    def _effect(self, verb: str, entry: Json, *, changed: bool) -> Effect:
        detail: Json = {"id": entry.get("id"), "comments": entry.get("comments")}
        return Effect(self.call.now, f"{self.name}.{verb}", self.schema.target(entry), self.call.by, changed, detail)


@contextmanager
def change_list(account: AccountState, call: Call, name: str, schema: ListSchema) -> Iterator[ListChanges]:
    """Commit all changes of a block at its end, or none when one is refused; then only the attempt is on record."""
    changes = ListChanges(account, call, name, schema)
    try:
        yield changes
    except Refused:
        account.effects += changes.refused
        raise
    changes.commit()
