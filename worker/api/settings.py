"""``/settings``: the account's own lists, and the operations that only some of them have."""

from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

import msgspec
from msgspec import Raw

from worker.api import bodies
from worker.api.calls import Calls
from worker.api.collection import MOST_IN_A_BATCH, BatchCollection, Collection, write_id
from worker.api.envelope import nothing
from worker.api.models import AccountDomain, ContentPolicy, SendingDomainRestriction, TrustedDomain, UrlIgnorePattern
from worker.api.pacing import Urgency
from worker.errors import Unsent
from worker.language.policies import AllowPolicy, BlockedSender, Registrant

Order = TypeVar("Order", bound=bodies.Ordered)
_verification = msgspec.json.Decoder(dict[str, Raw] | None).decode


def _order_by_age(kind: type[Order]) -> Order:
    """Order by age, oldest first: new entries come last, so pages do not shift while they are read."""
    return kind(order="created_at", direction="asc")


class Domains(
    BatchCollection[AccountDomain, bodies.NewDomain, bodies.DomainChange, bodies.WhereDomain, bodies.DomainSettings],
):
    """``/settings/domains``."""

    async def replace(self, id: str, settings: bodies.DomainSettings) -> AccountDomain:  # noqa: A002 (the API's word)
        """Replace all settings of a domain; raise NotFound."""
        return await self._send("PUT", self._path + "/{id}", settings, id)

    async def verification(self, id: str, urgency: Urgency = Urgency.FACTS) -> dict[str, Raw]:  # noqa: A002
        """Return what is missing until a domain is verified; empty when nothing is (a 204)."""
        path = self._path + "/{id}/verification"
        answer = await self._calls.call("GET", path, _verification, where={"id": id}, urgency=urgency)
        return answer.result or {}

    async def delete_all(self, *, i_mean_every_domain: bool = False) -> None:
        """Send the DELETE that names no domain. Its meaning is not documented; it may remove all domains.

        Raises Unsent without ``i_mean_every_domain``; to remove some domains, use ``batch``.
        """
        if not i_mean_every_domain:
            raise Unsent("DELETE /settings/domains names no domain and may remove all; use batch(deletes=…)")
        await self._calls.call("DELETE", self._path, nothing, urgency=Urgency.ACT, writes=True)


class Restrictions(
    Collection[SendingDomainRestriction, bodies.NewRestriction, bodies.RestrictionChange, bodies.Ordered],
):
    """``/settings/sending_domain_restrictions``."""

    async def delete_many(self, ids: Sequence[str]) -> None:
        """Remove at most 1,000 entries, all or none."""
        if not 1 <= len(ids) <= MOST_IN_A_BATCH:
            raise Unsent(f"POST {self._path}/batch: a batch takes 1 to {MOST_IN_A_BATCH} entries, not {len(ids)}")
        body = {"deletes": [{"id": write_id(one)} for one in ids]}
        await self._calls.call("POST", self._path + "/batch", nothing, body=body, urgency=Urgency.ACT, writes=True)


Blocked = BatchCollection[BlockedSender, bodies.NewBlock, bodies.BlockChange, bodies.WhereBlocked, bodies.NewBlock]
Allowed = BatchCollection[AllowPolicy, bodies.NewAllow, bodies.AllowChange, bodies.WhereAllowed, bodies.NewAllow]
Trusted = BatchCollection[TrustedDomain, bodies.NewTrust, bodies.TrustChange, bodies.WhereTrusted, bodies.NewTrust]
Contents = BatchCollection[
    ContentPolicy, bodies.NewContent, bodies.ContentChange, bodies.WhereContent, bodies.NewContent
]
People = Collection[Registrant, bodies.NewRegistrant, bodies.RegistrantChange, bodies.WhereRegistered]
Ignored = Collection[UrlIgnorePattern, bodies.NewIgnore, bodies.IgnoreChange, bodies.Where]


class SettingsResource:
    """``/settings``: entries come in no documented order."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @cached_property
    def block_senders(self) -> Blocked:
        """Senders whose mail is MALICIOUS."""
        return Blocked(self._calls, "block_senders", BlockedSender, _order_by_age(bodies.WhereBlocked))

    @cached_property
    def allow_policies(self) -> Allowed:
        """Patterns of mail to let through."""
        return Allowed(self._calls, "allow_policies", AllowPolicy, _order_by_age(bodies.WhereAllowed))

    @cached_property
    def trusted_domains(self) -> Trusted:
        """Domains that are not treated as new or as lookalikes."""
        return Trusted(self._calls, "trusted_domains", TrustedDomain, _order_by_age(bodies.WhereTrusted))

    @cached_property
    def content_policies(self) -> Contents:
        """Patterns that mail is searched for."""
        return Contents(self._calls, "content_policies", ContentPolicy, _order_by_age(bodies.WhereContent))

    @cached_property
    def impersonation_registry(self) -> People:
        """People whom impostors may impersonate."""
        return People(self._calls, "impersonation_registry", Registrant, _order_by_age(bodies.WhereRegistered))

    @cached_property
    def sending_domain_restrictions(self) -> Restrictions:
        """Domains that must send with TLS."""
        name = "sending_domain_restrictions"
        return Restrictions(self._calls, name, SendingDomainRestriction, _order_by_age(bodies.Ordered))

    @cached_property
    def url_ignore_patterns(self) -> Ignored:
        """Links that are ignored; the API cannot order them."""
        return Ignored(self._calls, "url_ignore_patterns", UrlIgnorePattern, bodies.Where())

    @cached_property
    def domains(self) -> Domains:
        """The account's own domains."""
        return Domains(self._calls, "domains", AccountDomain, _order_by_age(bodies.WhereDomain))
