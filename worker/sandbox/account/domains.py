"""The account's own domains: how a new one is checked and becomes active or fails."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from worker.sandbox.account.account import Effect
from worker.sandbox.wire import Json, format_moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.sandbox.account.account import AccountState

STATES = ("PENDING", "ACTIVE", "FAILED", "TIMEOUT")
TENANT = "5a3c9a52-6f0e-4d3a-9f0c-2f1f7d0f4c11"
UNCHECKED: Mapping[str, object] = MappingProxyType({
    "status": "PENDING", "authorization": None, "dmarc_status": None, "spf_status": None, "emails_processed": None,
    "inbox_provider": None, "o365_tenant_id": None,
})  # fmt: skip
UNLUCKY: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "failed": ("FAILED", "the TXT record holds another value"),
        "timeout": ("TIMEOUT", "the TXT record did not appear in time"),
    }
)


def schedule_check(account: AccountState, ident: str, now: float) -> None:
    """Let a new domain be checked ``options.domain_check`` seconds later."""
    account.schedule(now + account.options.domain_check, partial(_check, account, ident))


def _check(account: AccountState, ident: str, at: float) -> None:
    """End the check of a domain: a first label of ``failed`` or ``timeout`` becomes its status, else it is ACTIVE."""
    timeline = account.lists["domains"][ident]
    if timeline.value is None:
        return
    name = str(timeline.value["domain"]).lower()
    found = outcome(name, at, google=account.options.google)
    timeline.become(at, timeline.value | found)
    detail: Json = {"id": ident, "status": found["status"]}
    account.record(Effect(at, "domains.check", name, "cloudflare", changed=True, detail=detail))


def outcome(name: str, at: float, *, google: bool = False) -> Json:
    """Return the fields of a domain that was checked at ``at``."""
    status, why = UNLUCKY.get(name.partition(".")[0], ("ACTIVE", None))
    authorization = {"authorized": why is None, "timestamp": format_moment(at), "status_message": why}
    if why:
        return {"status": status, "authorization": authorization, "dmarc_status": "none", "spf_status": "none"}
    provider: Json = (
        {"inbox_provider": "Google"} if google else {"inbox_provider": "Microsoft", "o365_tenant_id": TENANT}
    )
    return {"status": status, "authorization": authorization, "dmarc_status": "good", "spf_status": "good"} | provider


def active_modes(domain: Json) -> list[object]:
    """Return the delivery modes in use: the first that is allowed, once the domain is active."""
    modes = domain.get("allowed_delivery_modes")
    return modes[:1] if isinstance(modes, list) and domain.get("status") == "ACTIVE" else []
