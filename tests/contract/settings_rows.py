"""Rows of the contract: the account's lists, whose operations are the same for all."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from tests.contract.rows import Row, Said, said
from tests.contract.scene import INTEGRATION, Scene
from tests.sandbox.bodies import BODIES
from worker.api import bodies


@dataclass(frozen=True)
class Kind:
    """One list: the class of a new entry, a change to one, and conditions that only the entry about ``one`` meets."""

    name: str
    new: type[Struct]
    change: Struct
    where: bodies.Where
    batch: bool = False
    put: type[Struct] | None = None

    def made(self, about: str) -> Struct:
        """Return an entry."""
        return msgspec.convert(BODIES[self.name](about), self.new)

    def whole(self, about: str) -> Struct:
        """Return what takes the place of an entry."""
        return msgspec.convert(BODIES[self.name](about), self.put or self.new)


def plain(struct: Struct) -> dict[str, Any]:
    """Write a value as the SDK takes it."""
    told: dict[str, Any] = msgspec.to_builtins(struct)
    return told


SORTED: dict[str, Any] = {"direction": "asc", "order": "created_at", "search": "one"}
KINDS = (
    Kind(
        "block_senders",
        bodies.NewBlock,
        bodies.BlockChange(pattern="198.51.100.0/24", pattern_type="IP", is_regex=False, comments=None),
        bodies.WhereBlocked(pattern="one@c0rp.example", pattern_type="EMAIL", **SORTED),
        batch=True,
    ),
    Kind(
        "allow_policies",
        bodies.NewAllow,
        bodies.AllowChange(is_trusted_sender=True, is_acceptable_sender=False, verify_sender=False, comments="why"),
        bodies.WhereAllowed(
            pattern="one@c0rp.example",
            pattern_type="EMAIL",
            is_acceptable_sender=True,
            is_exempt_recipient=False,
            is_trusted_sender=False,
            verify_sender=True,
            **SORTED,
        ),
        batch=True,
    ),
    Kind(
        "trusted_domains",
        bodies.NewTrust,
        bodies.TrustChange(is_similarity=True, comments="why"),
        bodies.WhereTrusted(pattern="one.example", is_recent=True, is_similarity=False, **SORTED),
        batch=True,
    ),
    Kind(
        "content_policies",
        bodies.NewContent,
        bodies.ContentChange(targets=("BODY",), enabled=False, notes="why"),
        bodies.WhereContent(enabled=True, name="one", **SORTED),
        batch=True,
    ),
    Kind(
        "impersonation_registry",
        bodies.NewRegistrant,
        bodies.RegistrantChange(email="new@corp.example", directory_id=7, provenance=None),
        bodies.WhereRegistered(provenance="A1S_INTERNAL", **SORTED),
    ),
    Kind(
        "sending_domain_restrictions",
        bodies.NewRestriction,
        bodies.RestrictionChange(exclude=("a.example", "b.example"), comments=None),
        bodies.Ordered(**SORTED),
    ),
    Kind("url_ignore_patterns", bodies.NewIgnore, bodies.IgnoreChange(comments="why"), bodies.Where()),
    Kind(
        "domains",
        bodies.NewDomain,
        bodies.DomainChange(
            drop_dispositions=("SPAM",),
            ip_restrictions=("203.0.113.0/25",),
            regions=("IN", "US"),
            lookback_hops=3,
            folder=None,
        ),
        bodies.WhereDomain(
            active_delivery_mode="JOURNAL",
            allowed_delivery_mode="API",
            domain=("one.example", "none.example"),
            integration_id=INTEGRATION,
            status="ACTIVE",
            **SORTED,
        ),
        batch=True,
        put=bodies.DomainSettings,
    ),
)


def _like(entry: object, wanted: Struct) -> bool:
    """Tell whether an entry of ours says what was sent; null comes back as empty."""
    return all((getattr(entry, name) or None) == (value or None) for name, value in _fields(wanted).items())


def _fields(struct: Struct) -> dict[str, Any]:
    fields = {name: getattr(struct, name) for name in struct.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}


def _listed(kind: Kind, scene: Scene) -> list[str]:
    """Return the ids that a list is to have: those that match, or all where there are no conditions."""
    found = scene.entries[kind.name][:1]
    everything = [ident for ident, thing in scene.world.lists[kind.name].items() if thing.value]
    return found if isinstance(kind.where, bodies.Ordered) else everything[:1] + scene.entries[kind.name]


def _one_by_one(kind: Kind) -> Iterator[Row]:
    path = f"settings.{kind.name}"

    def first(scene: Scene) -> str:
        return scene.entries[kind.name][0]

    yield Row(
        f"{path}.list",
        lambda _: said(kind.where, page=1, per_page=9),
        lambda page, s: sorted(one.id for one in page.entries) == sorted(_listed(kind, s)) and page.broken == 0,
        f"{path}.list",
        lambda _: said(**plain(kind.where), page=1, per_page=9),
    )
    yield Row(
        f"{path}.create",
        lambda _: said(kind.made("new")),
        lambda made, s: _like(made, kind.made("new")) and (s.now(kind.name, made.id) or {})["id"] == made.id,
        f"{path}.create",
        lambda _: said(**plain(kind.made("new"))),
    )
    yield Row(
        f"{path}.get",
        lambda s: said(first(s)),
        lambda entry, s: entry.id == first(s) and _like(entry, kind.made("one")) and entry.created_at is not None,
        f"{path}.get",
        lambda s: said(first(s)),
    )
    yield Row(
        f"{path}.edit",
        lambda s: said(first(s), kind.change),
        lambda entry, s: entry.id == first(s) and _like(entry, kind.change) and entry.changed_at > entry.created_at,
        f"{path}.edit",
        lambda s: said(first(s), **plain(kind.change)),
    )
    yield Row(
        f"{path}.delete",
        lambda s: said(first(s)),
        lambda _, s: s.now(kind.name, first(s)) is None,
        f"{path}.delete",
        lambda s: said(first(s)),
    )


def _at_once(kind: Kind) -> Row:
    new, whole = kind.made("new"), kind.whole("put")

    def ours(scene: Scene) -> Said:
        one, two, three = scene.entries[kind.name]
        return said(deletes=[one], patches={two: kind.change}, puts={three: whole}, posts=[new])

    def theirs(scene: Scene) -> Said:
        one, two, three = ({"id": ident} for ident in scene.entries[kind.name])
        return said(deletes=[one], patches=[two | plain(kind.change)], puts=[three | plain(whole)], posts=[plain(new)])

    def holds(done: Any, scene: Scene) -> bool:  # noqa: ANN401 (what a batch did)
        one, two, three = scene.entries[kind.name]
        ids = ([str(part["id"]) for part in done.deletes], [part.id for part in (*done.patches, *done.puts)])
        told = zip((*done.patches, *done.puts, *done.posts), (kind.change, whole, new), strict=True)
        return ids == ([one], [two, three]) and scene.now(kind.name, one) is None and all(_like(*pair) for pair in told)

    path = f"settings.{kind.name}.batch"
    return Row(path, ours, holds, path, theirs)


def _whole_domain(about: str) -> Struct:
    return msgspec.convert(BODIES["domains"](about) | {"regions": ["AU"]}, bodies.DomainSettings)


SETTINGS_ROWS = (
    *(row for kind in KINDS for row in _one_by_one(kind)),
    *(_at_once(kind) for kind in KINDS if kind.batch),
    Row(
        "settings.domains.replace",
        lambda s: said(s.entries["domains"][0], _whole_domain("put")),
        lambda entry, s: entry.id == s.entries["domains"][0] and _like(entry, _whole_domain("put")),
        "settings.domains.update",
        lambda s: said(s.entries["domains"][0], **plain(_whole_domain("put"))),
    ),
    Row(
        "settings.domains.delete_all",
        lambda _: said(i_mean_every_domain=True),
        lambda _, s: all(thing.value is None for thing in s.world.lists["domains"].values()),
        "settings.domains.bulk_delete",
    ),
    Row(
        "settings.domains.verification",
        lambda s: said(s.unverified),
        lambda wants, _: (
            {"txt_record_name", "txt_record_value"} <= set(wants)
            and b"waiting.example" in bytes(wants["txt_record_name"])
        ),
    ),
    Row(
        "settings.sending_domain_restrictions.delete_many",
        lambda s: said(s.entries["sending_domain_restrictions"][:2]),
        lambda _, s: (
            [s.now("sending_domain_restrictions", one) is None for one in s.entries["sending_domain_restrictions"]]
            == [True, True, False]
        ),
    ),
)
