"""The account's own lists: the operations that all share, those of single lists, and what is really sent."""

from operator import attrgetter
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from tests.api.desk import EPOCH, Inside, Line, answer, client, loop_time, quickly
from tests.cells import each
from worker.api import bodies
from worker.api.settings import SettingsResource
from worker.errors import NotFound
from worker.sandbox import ACCOUNT, World

MODES: dict[str, Any] = {
    "allowed_delivery_modes": ("API",),
    "drop_dispositions": ("MALICIOUS",),
    "ip_restrictions": ("192.0.2.0/24",),
    "regions": ("GLOBAL",),
}
LISTS: dict[str, tuple[Struct, Struct, str]] = {
    "block_senders": (
        bodies.NewBlock(pattern="x.example", pattern_type="DOMAIN"),
        bodies.BlockChange(pattern="y.example"),
        "pattern",
    ),
    "allow_policies": (
        bodies.NewAllow(pattern="x.example", pattern_type="DOMAIN", is_acceptable_sender=True),
        bodies.AllowChange(pattern="y.example"),
        "pattern",
    ),
    "trusted_domains": (
        bodies.NewTrust(pattern="x.example", is_recent=True),
        bodies.TrustChange(pattern="y.example"),
        "pattern",
    ),
    "content_policies": (
        bodies.NewContent(name="x.example", pattern="pay", targets=("BODY",)),
        bodies.ContentChange(name="y.example"),
        "name",
    ),
    "impersonation_registry": (
        bodies.NewRegistrant(name="x.example", email="x@corp.example"),
        bodies.RegistrantChange(name="y.example"),
        "name",
    ),
    "sending_domain_restrictions": (
        bodies.NewRestriction(domain="x.example"),
        bodies.RestrictionChange(domain="y.example"),
        "domain",
    ),
    "url_ignore_patterns": (
        bodies.NewIgnore(pattern="https://x.example/"),
        bodies.IgnoreChange(pattern="https://y.example/"),
        "pattern",
    ),
    "domains": (bodies.NewDomain(domain="x.example", **MODES), bodies.DomainChange(folder="Inbox"), "folder"),
}
each_list = each("name", LISTS)
BATCHES = ("block_senders", "allow_policies", "trusted_domains", "content_policies")


def inside() -> Inside:
    return Inside(World(ACCOUNT, now=lambda: EPOCH + loop_time()))


def of(settings: SettingsResource, name: str) -> Any:  # noqa: ANN401 (any of the eight)
    return attrgetter(name)(settings)


@each_list
def test_an_entry_is_made_read_changed_and_removed(name: str) -> None:
    new, change, field = LISTS[name]

    async def day() -> None:
        listing = of(client(inside()).settings, name)
        before = len((await listing.all()).entries)
        made = await listing.create(new)
        assert await listing.get(made.id) == made
        changed = await listing.edit(made.id, change)
        assert getattr(changed, field) == getattr(change, field) != getattr(made, field)
        found = await listing.list(per_page=1000)
        assert (len(found.entries), found.broken, found.total, found.complete) == (before + 1, 0, before + 1, True)
        await listing.delete(made.id)
        with pytest.raises(NotFound):
            await listing.get(made.id)

    quickly(day)


@each_list
def test_a_long_list_is_read_page_by_page_and_goes_on_from_a_saved_one(name: str) -> None:
    async def day() -> None:
        rows = [[{"id": str(n)} for n in range(1000)], [{"id": "last"}]]
        answers = [answer(row, info={"total_count": 1001}) for row in (*rows, rows[1])]
        line = Line(*answers)
        listing = of(client(line).settings, name)
        saved = ""
        async for read in listing.walk():
            saved = saved or read.next
        assert [entry.id async for page in listing.walk(page=saved) for entry in page.entries] == ["last"]
        assert [dict(asked.query)["page"] for asked in line.asked] == ["1", "2", "2"]
        steady = dict(line.asked[0].query)
        assert (steady.get("order"), steady.get("direction")) == (
            (None, None) if name == "url_ignore_patterns" else ("created_at", "asc")
        )

    quickly(day)


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_removes_changes_replaces_and_adds_at_once(name: str) -> None:
    new, change, field = LISTS[name]

    async def day() -> None:
        listing = of(client(inside()).settings, name)
        first, second, third = [
            await listing.create(msgspec.structs.replace(new, **{field: f"{n}.example"})) for n in range(3)
        ]
        done = await listing.batch(
            deletes=[first.id], patches={second.id: change}, puts={third.id: new}, posts=[replaced(new, field)]
        )
        assert [one["id"] for one in done.deletes] == [first.id]
        assert [getattr(one, field) for one in (*done.patches, *done.puts, *done.posts)] == [
            getattr(change, field),
            "x.example",
            "new.example",
        ]
        assert (done.patches[0].id, done.puts[0].id) == (second.id, third.id)

    quickly(day)


def replaced(new: Struct, field: str) -> Struct:
    return msgspec.structs.replace(new, **{field: "new.example"})


def test_a_domain_is_put_as_a_whole_and_changed_in_a_batch() -> None:
    async def day() -> None:
        domains = client(inside()).settings.domains
        made = await domains.create(bodies.NewDomain(domain="x.example", **MODES))
        put = await domains.replace(made.id, bodies.DomainSettings(**(MODES | {"regions": ("DE",)}), lookback_hops=2))
        assert (put.domain, put.regions, put.lookback_hops) == ("x.example", ("DE",), 2)
        done = await domains.batch(patches={made.id: bodies.DomainChange(lookback_hops=3)})
        assert [one.lookback_hops for one in done.patches or ()] == [3]

    quickly(day)


def sent(change: Struct) -> dict[str, object]:
    """Return what is sent for a change."""

    async def day() -> bytes:
        line = Line(answer({"id": "i"}))
        await client(line).settings.block_senders.edit("a/b:c", change)  # type: ignore[arg-type]
        assert line.asked[0].path.endswith("/settings/block_senders/a%2Fb%3Ac")
        return line.asked[0].body or b""

    body: dict[str, object] = msgspec.json.decode(quickly(day))
    return body


def test_what_is_left_out_is_not_sent_and_null_erases() -> None:
    assert sent(bodies.BlockChange()) == {}
    assert sent(bodies.BlockChange(comments=None)) == {"comments": None}
    assert sent(bodies.BlockChange(is_regex=False, comments="")) == {"is_regex": False, "comments": ""}


def test_a_create_sends_what_the_api_needs_and_nothing_that_nobody_gave() -> None:
    assert sent(bodies.NewBlock(pattern="p", pattern_type="IP")) == {
        "pattern": "p",
        "pattern_type": "IP",
        "is_regex": False,
    }


def test_filters_are_sent_as_the_api_takes_them() -> None:
    async def day() -> tuple[tuple[str, str], ...]:
        line = Line(answer([]))
        where = bodies.WhereDomain(domain=("a.example", "b.example"), status="ACTIVE", direction="desc")
        await client(line).settings.domains.list(where, page=2, per_page=5)
        allowed = bodies.WhereAllowed(verify_sender=False, is_trusted_sender=True)
        line.answers.append(answer([]))
        await client(line).settings.allow_policies.list(allowed)
        assert dict(line.asked[1].query) | {"verify_sender": "false", "is_trusted_sender": "true"} == dict(
            line.asked[1].query
        )
        return line.asked[0].query

    asked = quickly(day)
    assert sorted(asked) == [
        ("direction", "desc"),
        ("domain", "a.example"),
        ("domain", "b.example"),
        ("page", "2"),
        ("per_page", "5"),
        ("status", "ACTIVE"),
    ]


def test_all_domains_at_once_are_removed_only_by_somebody_who_means_that() -> None:
    async def day() -> None:
        line = Line(answer([]))
        domains = client(line).settings.domains
        with pytest.raises(ValueError, match=r"use batch\(deletes=…\)"):
            await domains.delete_all()
        assert line.asked == []
        await domains.delete_all(i_mean_every_domain=True)
        assert (line.asked[0].method, line.asked[0].body) == ("DELETE", None)

    quickly(day)


@pytest.mark.parametrize("count", [0, 1001])
def test_too_many_or_no_restrictions_are_not_even_sent(count: int) -> None:
    with pytest.raises(ValueError, match=f"a batch takes 1 to 1000 entries, not {count}$"):
        quickly(lambda: client(Line()).settings.sending_domain_restrictions.delete_many(["i"] * count))


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_that_is_empty_or_too_large_is_not_even_sent(count: int) -> None:
    with pytest.raises(ValueError, match=f"a batch takes 1 to 1000 entries, not {count}$"):
        quickly(lambda: client(Line()).settings.block_senders.batch(deletes=["i"] * count))


def test_restrictions_are_removed_together() -> None:
    async def day() -> None:
        listing = client(inside()).settings.sending_domain_restrictions
        made = [await listing.create(bodies.NewRestriction(domain=f"{n}.example")) for n in range(3)]
        await listing.delete_many([one.id for one in made[:2]])
        left = {one.id for one in (await listing.all()).entries}
        assert left & {one.id for one in made} == {made[2].id}

    quickly(day)


def test_what_a_new_domain_still_needs_is_told_until_it_needs_nothing() -> None:
    async def day() -> None:
        domains = client(inside()).settings.domains
        verified = (await domains.all()).entries[0]
        assert await domains.verification(verified.id) == {}
        made = await domains.create(bodies.NewDomain(domain="new.example", **MODES))
        assert "txt_record_value" in await domains.verification(made.id)

    quickly(day)
