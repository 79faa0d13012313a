"""The lists that every account begins with: own domains, executives, partners and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.sandbox.account import domains, traffic

if TYPE_CHECKING:
    from worker.sandbox.account.account import AccountState

INTEGRATION = "7d0f8a4e-9c1b-4f7e-8a55-3f2b6f1c9d20"


def add_fixtures(account: AccountState, since: float) -> None:
    """Fill the lists as of ``since`` (epoch seconds)."""
    for name in traffic.OUR_DOMAINS:
        _add_own_domain(account, since, name)
    plain = {"is_regex": False, "comments": None}
    recent = {"is_recent": True, "is_similarity": True}
    account.add_entry("trusted_domains", since, pattern=traffic.PARTNER, **recent, **plain)
    flags = {"is_acceptable_sender": True, "is_exempt_recipient": False, "is_trusted_sender": False}
    sender = {"pattern": f"billing@{traffic.PARTNER}", "pattern_type": "EMAIL", "verify_sender": True}
    account.add_entry("allow_policies", since, **sender, **flags, **plain)
    for name in traffic.EXECUTIVES:
        _add_executive(account, since, name)
    gifts = {"name": "Gift cards", "pattern": "gift card", "targets": ["SUBJECT", "BODY"]}
    account.add_entry("content_policies", since, **gifts, enabled=True, notes="Nobody here buys any by mail.")
    home = traffic.OUR_DOMAINS[0]
    account.add_entry("url_ignore_patterns", since, pattern=f"https://intranet.{home}/", comments=None)
    account.add_entry("sending_domain_restrictions", since, domain=home, exclude=[f"news.{home}"], comments=None)


def _add_own_domain(account: AccountState, since: float, name: str) -> None:
    """Add an active domain whose mail comes in through Cloudflare and whose mailboxes are integrated."""
    account.add_entry(
        "domains",
        since,
        domain=name,
        allowed_delivery_modes=["DIRECT", "API"],
        drop_dispositions=[],  # which invented mail is held is a property of its kind
        ip_restrictions=[],
        regions=["GLOBAL"],
        folder="AllItems",
        integration_id=INTEGRATION,
        lookback_hops=2,
        require_tls_inbound=True,
        require_tls_outbound=False,
        transport=f"mx.{name}",
        **domains.outcome(name, since, google=account.options.google),
    )


def _add_executive(account: AccountState, since: float, name: str) -> None:
    """Add somebody whom attackers like to impersonate."""
    address = f"{name.partition(' ')[0].lower()}@{traffic.OUR_DOMAINS[0]}"
    account.add_entry(
        "impersonation_registry", since, name=name, email=address, is_email_regex=False, provenance="A1S_INTERNAL"
    )
