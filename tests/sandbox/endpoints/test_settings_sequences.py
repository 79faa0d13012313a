"""Any sequence of changes to any settings list leaves it whole, and the effects tell exactly what changed."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.sandbox.bodies import BATCHES, BODIES, Body
from tests.sandbox.sandbox import Reply, Sandbox
from worker.sandbox.account.account import Effect

pytestmark = pytest.mark.slow  # hundreds of invented sequences
JUNK: list[object] = [None, True, False, 0, 5, 21, -1, "", "x", "(", "MALICIOUS", "10.0.0.1", "é" * 1025, [], ["x"], {}]
ABOUT = st.sampled_from("abcdefgh")
SPOILT = st.tuples(st.integers(0, 20), st.sampled_from(JUNK))
ITEM = st.tuples(ABOUT, st.one_of(st.none(), st.none(), st.none(), SPOILT))
PICK = st.integers(0, 6)
Item = tuple[str, tuple[int, object] | None]
Rows = dict[str, Body]


class Changes(RuleBasedStateMachine):
    """One list that is created in, edited, replaced, deleted from and sent batches, with bodies that fit or do not."""

    @initialize(name=st.sampled_from(sorted(BODIES)))
    def begin(self, name: str) -> None:
        """Begin with one of the lists, as an account has it."""
        self.sandbox, self.name, self.path = Sandbox(quota=None), name, f"settings/{name}"
        self.gone = ["none"]
        for about in "abc":
            assert self.sandbox.ask("POST", self.path, BODIES[name](about)).status == 201

    @rule(item=ITEM)
    def create(self, item: Item) -> None:
        """A body that fits is taken, unless there is an entry for its target already."""
        taken = self.entry(item[0]) in self.entries()
        reply = self.told(lambda: self.sandbox.ask("POST", self.path, self.body(item)))
        if item[1] is None:
            assert reply.status == (409 if taken else 201)
        if reply.status == 201:
            assert reply.result in self.rows().values()

    @rule(pick=PICK, item=ITEM, keep=st.sets(st.integers(0, 12), max_size=4))
    def edit(self, pick: int, item: Item, keep: set[int]) -> None:
        """An edit changes what it gives, and nothing else."""
        ident, before = self.ident(pick), self.rows()
        given = {name: value for n, (name, value) in enumerate(self.body(item).items()) if n in keep}
        reply = self.told(lambda: self.sandbox.ask("PATCH", f"{self.path}/{ident}", given))
        if reply.status == 200:
            ignored = {"surprise", *(["domain"] if self.name == "domains" else [])}
            set_to = {name: value for name, value in given.items() if name not in ignored}
            assert unstamped(self.rows()[ident]) == unstamped(before[ident] | set_to)

    @rule(pick=PICK, item=ITEM)
    def replace(self, pick: int, item: Item) -> None:
        """A whole body is put in the place of an entry, where the list knows that."""
        reply = self.told(lambda: self.sandbox.ask("PUT", f"{self.path}/{self.ident(pick)}", self.body(item)))
        assert reply.status == 404 or self.name == "domains"

    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        """An entry that is there can be taken out, once."""
        ident, there = self.ident(pick), self.rows()
        reply = self.told(lambda: self.sandbox.ask("DELETE", f"{self.path}/{ident}"))
        assert reply.status == (200 if ident in there else 404)
        self.gone += [ident] * (ident in there)

    @rule(
        deletes=st.lists(PICK, max_size=3),
        patches=st.lists(st.tuples(PICK, ITEM), max_size=2),
        puts=st.lists(st.tuples(PICK, ITEM), max_size=2),
        posts=st.lists(ITEM, max_size=3),
    )
    def batch(
        self, deletes: list[int], patches: list[tuple[int, Item]], puts: list[tuple[int, Item]], posts: list[Item]
    ) -> None:
        """A batch happens whole or not at all; its answer has an item for each of its own."""
        asked: dict[str, list[Body]] = {
            "deletes": [{"id": self.ident(pick)} for pick in deletes],
            "patches": [{"id": self.ident(pick), **self.body(item)} for pick, item in patches],
            "puts": [{"id": self.ident(pick), **self.body(item)} for pick, item in puts],
            "posts": [self.body(item) for item in posts],
        }
        asked = {part: items for part, items in asked.items() if part in BATCHES[self.name]}
        sound = all(item[1] is None for item in (*posts, *(item for _, item in (*patches, *puts))))
        possible = self.possible(**asked) if asked else False
        reply = self.told(lambda: self.sandbox.ask("POST", f"{self.path}/batch", asked))
        assert (reply.status == 200) == possible or not sound
        if reply.status == 200:
            assert {part: len(rows) for part, rows in reply.result.items()} == {p: len(i) for p, i in asked.items()}
            self.gone += [str(one["id"]) for one in asked["deletes"]]
            assert {row["id"] for row in reply.result.get("posts", [])} <= self.rows().keys()

    @rule(passed=st.sampled_from([0.5, 400.0]))
    def wait(self, passed: float) -> None:
        """Let time pass, and what is due happen."""
        self.sandbox.time += passed
        self.sandbox.world.advance()

    @invariant()
    def the_list_is_whole(self) -> None:
        """Ids and targets are there once, the total is the number of entries, and reads see what is true."""
        reply = self.sandbox.ask("GET", self.path, per_page=3)
        rows, true = self.rows(), self.sandbox.world.lists.get(self.name, {})
        assert reply.body["result_info"]["total_count"] == len(rows)
        assert rows.keys() == {ident for ident, thing in true.items() if thing.value is not None}
        assert max(Counter(self.entries()).values(), default=1) == 1
        assert not set(self.gone) & rows.keys()

    def told(self, act: Any) -> Reply:  # noqa: ANN401 - a question to the sandbox
        """Act, and compare what changed with what the effects say; a refused request changes nothing."""
        before, first = self.rows(), len(self.sandbox.world.effects)
        reply: Reply = act()
        after = self.rows()
        said = [effect for effect in self.sandbox.world.effects[first:] if effect.changed]
        if reply.status >= 400:
            assert (after, said) == (before, [])
        by_verb = {verb: named(said, verb) for verb in ("create", "edit", "replace", "delete")}
        assert by_verb["create"] == Counter(after.keys() - before.keys())
        assert by_verb["delete"] == Counter(before.keys() - after.keys())
        differing = {i for i in before.keys() & after.keys() if unstamped(before[i]) != unstamped(after[i])}
        changed = by_verb["edit"] + by_verb["replace"]
        assert differing <= changed.keys()
        assert all(count > 1 for ident, count in changed.items() if ident not in differing)
        return reply

    def rows(self) -> Rows:
        """Return the list as a read sees it; nobody turned the clock, so nothing else happens."""
        reply = self.sandbox.ask("GET", self.path, per_page=1000)
        assert len(set(reply.ids)) == len(reply.ids)
        return {row["id"]: row for row in reply.result}

    def ident(self, pick: int) -> str:
        """Return the id of an entry, or of one that is gone."""
        idents = sorted(self.rows())
        return idents[pick % len(idents)] if idents and pick != 5 else self.gone[-1]

    def possible(
        self, deletes: list[Body], patches: Sequence[Body] = (), puts: Sequence[Body] = (), posts: Sequence[Body] = ()
    ) -> bool:
        """Tell whether a batch of sound bodies finds its entries, and leaves none with the target of another."""
        about = {ident: target(row) for ident, row in self.rows().items()}
        if not all(about.pop(str(one["id"]), None) for one in deletes):
            return False
        for n, one in enumerate((*patches, *puts, *posts)):
            ident = str(one.get("id", n))
            if "id" in one and ident not in about:
                return False
            before = about.pop(ident, "")
            aim = before if self.name == "domains" and before else target(one)
            if aim in about.values():
                return False
            about[ident] = aim
        return True

    def entry(self, about: str) -> str:
        """Return what the body about something is about."""
        return target(BODIES[self.name](about))

    def entries(self) -> list[str]:
        """Return what the entries are about."""
        return [target(row) for row in self.rows().values()]

    def body(self, item: Item) -> Body:
        """Return a body that fits, or one of which a field is spoilt."""
        about, spoilt = item
        body: Body = {"surprise": 1, **BODIES[self.name](about)}
        return body if spoilt is None else body | {list(body)[spoilt[0] % len(body)]: spoilt[1]}


def target(row: Body) -> str:
    """Name what an entry is about, as no two may be."""
    if "domain" in row:
        return str(row["domain"]).lower()
    return str(
        [row.get("pattern_type"), row.get("name"), row.get("email") or ("targets" in row) or row["pattern"]]
    ).lower()


def named(effects: list[Effect], verb: str) -> Counter[str]:
    """Count the entries that effects of a verb name."""
    return Counter(str(effect.detail["id"]) for effect in effects if effect.operation.endswith(f".{verb}"))


def unstamped(row: Body) -> Body:
    """Leave out when a row was changed."""
    return {name: value for name, value in row.items() if name != "modified_at"}


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
