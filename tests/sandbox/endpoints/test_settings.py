"""The settings lists: what an entry must be, one at a time and in batches."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.cells import each
from tests.sandbox.sandbox import Sandbox
from worker.sandbox import SandboxOptions

BLOCKS = "settings/block_senders"


def entry(pattern: str = "ada@c0rp.example", kind: str = "EMAIL", **more: object) -> dict[str, object]:
    return {"pattern": pattern, "pattern_type": kind, "is_regex": False, **more}


def batch(**parts: object) -> dict[str, object]:
    return {"deletes": [], "patches": [], "puts": [], "posts": [], **parts}


def patterns(sandbox: Sandbox) -> list[str]:
    return sorted(row["pattern"] for row in sandbox.ask("GET", BLOCKS, per_page=1000).result)


def test_a_block_is_created_shown_changed_and_taken_back() -> None:
    sandbox = Sandbox()
    made = sandbox.ask("POST", BLOCKS, entry(comments="ours", surprise=1))
    assert made.status == 201
    one = f"{BLOCKS}/{made.result['id']}"
    assert sandbox.ask("GET", one).result == made.result
    assert "surprise" not in made.result
    changed = sandbox.ask("PATCH", one, {"comments": "adopted"}).result
    assert (changed["comments"], changed["pattern"]) == ("adopted", "ada@c0rp.example")
    assert sandbox.ask("DELETE", one).result == {"id": made.result["id"]}
    assert [sandbox.ask(method, one, {}).status for method in ("GET", "PATCH", "DELETE")] == [404, 404, 404]
    assert [effect.operation.split(".")[1] for effect in sandbox.world.effects if effect.changed] == [
        "create",
        "edit",
        "delete",
    ]
    assert {effect.target for effect in sandbox.world.effects} == {"email:ada@c0rp.example"}


@each(
    "wrong",
    [
        entry(""),
        entry("x" * 1025),
        entry("not an address"),
        entry("a@nodot"),
        entry("exa mple.test", "DOMAIN"),
        entry("203.0.113.300", "IP"),
        entry("10.0.0.1", "IP"),
        entry("127.0.0.0/8", "IP"),
        entry("::ffff:203.0.113.9", "IP"),
        entry("fe80::1", "IP"),
        entry("x", "UNKNOWN"),
        entry("(", is_regex=True),
        entry(is_regex="yes"),
        entry(comments="x" * 1025),
        entry(comments=5),
        {"pattern": "a@b.example", "pattern_type": "EMAIL"},
    ],
)
def test_an_entry_that_does_not_fit_is_refused(wrong: dict[str, object]) -> None:
    sandbox = Sandbox()
    assert sandbox.ask("POST", BLOCKS, wrong).status == 400
    assert (patterns(sandbox), sandbox.world.effects) == ([], [])


@each(
    "right",
    [
        entry(),
        entry("c0rp.example", "DOMAIN", comments=None),
        entry("203.0.113.9", "IP"),
        entry("203.0.113.0/24", "IP"),
        entry("2001:db8::/32", "IP"),
        entry(".*@c0rp", is_regex=True),
    ],
)
def test_an_entry_that_fits_is_taken(right: dict[str, object]) -> None:
    assert Sandbox().ask("POST", BLOCKS, right).status == 201


def test_a_second_entry_for_a_pattern_is_a_conflict_and_on_record() -> None:
    sandbox = Sandbox()
    statuses = [sandbox.ask("POST", BLOCKS, entry(name)).status for name in ("a@b.example", "A@b.example")]
    assert statuses == [201, 409]
    assert [effect.changed for effect in sandbox.world.effects] == [True, False]
    assert len(sandbox.world.repeats()) == 1


def test_by_an_option_there_may_be_two_entries_for_a_pattern() -> None:
    sandbox = Sandbox(options=SandboxOptions(duplicates="second"))
    assert [sandbox.ask("POST", BLOCKS, entry()).status for _ in range(2)] == [201, 201]
    assert len(patterns(sandbox)) == 2


def test_an_edit_may_not_make_a_second_entry_either() -> None:
    sandbox = Sandbox()
    sandbox.ask("POST", BLOCKS, entry("a@b.example"))
    other = sandbox.ask("POST", BLOCKS, entry("c@d.example")).result["id"]
    assert sandbox.ask("PATCH", f"{BLOCKS}/{other}", {"pattern": "a@b.example"}).status == 409


def test_a_list_is_filtered_exactly_searched_ordered_and_paged() -> None:
    sandbox = Sandbox()
    for n in range(5):
        sandbox.time += 1
        sandbox.ask("POST", BLOCKS, entry(f"n{n}@b.example", comments=f"note {n}"))

    def shown(**query: object) -> list[str]:
        return [row["pattern"][:2] for row in sandbox.ask("GET", BLOCKS, **query).result]

    assert shown() == ["n4", "n3", "n2", "n1", "n0"]
    assert shown(pattern="n1@b.example", pattern_type="EMAIL") == ["n1"]
    assert shown(pattern="n1@b") == []
    assert shown(search="NOTE 3") == ["n3"]
    assert shown(order="pattern", direction="asc", page=2, per_page=2) == ["n2", "n3"]
    info = sandbox.ask("GET", BLOCKS, page=2, per_page=2).body["result_info"]
    assert info == {"count": 2, "page": 2, "per_page": 2, "total_count": 5}


def test_a_new_entry_is_seen_after_the_lag() -> None:
    sandbox = Sandbox(options=SandboxOptions(lag=2.0))
    made = sandbox.ask("POST", BLOCKS, entry()).result["id"]
    assert (patterns(sandbox), sandbox.ask("GET", f"{BLOCKS}/{made}").status) == ([], 404)
    sandbox.time += 2
    assert patterns(sandbox) == ["ada@c0rp.example"]
    sandbox.ask("DELETE", f"{BLOCKS}/{made}")
    assert patterns(sandbox) == ["ada@c0rp.example"]


def test_a_customer_has_domains_and_people_it_trusts() -> None:
    sandbox = Sandbox()
    assert sorted(row["domain"] for row in sandbox.ask("GET", "settings/domains").result) == [
        "corp-eu.example",
        "corp.example",
    ]
    [trusted] = sandbox.ask("GET", "settings/trusted_domains", is_recent="true").result
    assert trusted["pattern"] == "partner.example"
    assert sandbox.ask("GET", "settings/trusted_domains", is_recent="false").result == []
    [allowed] = sandbox.ask("GET", "settings/allow_policies", is_acceptable_sender="true").result
    assert sandbox.ask("GET", f"settings/allow_policies/{allowed['id']}").result == allowed
    assert sandbox.ask("PUT", f"settings/allow_policies/{allowed['id']}", {}).status == 404


def test_a_batch_does_deletes_patches_puts_and_posts_in_this_order() -> None:
    sandbox = Sandbox()
    gone, edited, put = (sandbox.ask("POST", BLOCKS, entry(f"{n}@b.example")).result["id"] for n in range(3))
    done = sandbox.ask(
        "POST",
        f"{BLOCKS}/batch",
        batch(
            deletes=[{"id": gone}],
            patches=[{"id": edited, "comments": "mine"}],
            puts=[{"id": put, **entry("new@b.example")}],
            posts=[entry("0@b.example"), entry("2@b.example")],
        ),
    )
    assert done.status == 200
    assert {name: len(rows) for name, rows in done.result.items()} == {
        "deletes": 1,
        "patches": 1,
        "puts": 1,
        "posts": 2,
    }
    assert patterns(sandbox) == ["0@b.example", "1@b.example", "2@b.example", "new@b.example"]


@each(
    ("body", "status"),
    [
        ({"posts": [entry("x@y.example")]}, 400),
        (batch(posts={}), 400),
        (batch(posts=[entry("x@y.example"), entry("bad")]), 400),
        (batch(posts=[entry("x@y.example"), entry("x@y.example")]), 409),
        (batch(posts=[entry("x@y.example")], deletes=[{"id": "none"}]), 404),
        (batch(posts=[entry("x@y.example")], patches=[{}]), 400),
        (batch(posts=[entry(f"{n}@y.example") for n in range(1001)]), 400),
        ([], 400),
    ],
)
def test_a_batch_that_fails_does_nothing(body: object, status: int) -> None:
    sandbox = Sandbox()
    sandbox.ask("POST", BLOCKS, entry())
    assert sandbox.ask("POST", f"{BLOCKS}/batch", body).status == status
    assert patterns(sandbox) == ["ada@c0rp.example"]
    assert len([effect for effect in sandbox.world.effects if effect.changed]) == 1


def test_a_batch_sent_again_is_on_record_as_tried_again() -> None:
    sandbox = Sandbox()
    for _ in range(2):
        sandbox.ask("POST", f"{BLOCKS}/batch", batch(posts=[entry()]))
    assert [effect.changed for effect in sandbox.world.effects] == [True, False]


class Batches(RuleBasedStateMachine):
    """A batch happens whole or not at all: the list is always what the accepted batches make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.sandbox = Sandbox(quota=None)
        self.held: dict[str, str] = {}

    @rule(names=st.lists(st.sampled_from("abcdef"), max_size=4), gone=st.lists(st.sampled_from("abcdef"), max_size=3))
    def send(self, names: list[str], gone: list[str]) -> None:
        """Send a batch, possible or not."""
        deletes = [{"id": self.held.get(name, "none")} for name in gone]
        body = batch(deletes=deletes, posts=[entry(f"{name}@b.example") for name in names])
        reply = self.sandbox.ask("POST", f"{BLOCKS}/batch", body)
        left = self.held.keys() - set(gone)
        possible = (
            len(set(gone)) == len(gone)
            and set(gone) <= self.held.keys()
            and len(set(names)) == len(names)
            and not left & set(names)
        )
        assert (reply.status == 200) == possible
        if possible:
            self.held = {name: self.held[name] for name in left}
            self.held |= {row["pattern"][0]: row["id"] for row in reply.result["posts"]}

    @invariant()
    def the_list_is_what_was_accepted(self) -> None:
        """Compare the list with what was accepted."""
        rows: list[dict[str, Any]] = self.sandbox.ask("GET", BLOCKS, per_page=1000).result
        assert {row["pattern"][0]: row["id"] for row in rows} == self.held


TestBatches = pytest.mark.slow(Batches.TestCase)  # hundreds of invented days
TestBatches.settings = settings(max_examples=40, stateful_step_count=20)
