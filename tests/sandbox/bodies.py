"""Bodies that the settings lists take: one whole entry per list, about something that its ``about`` makes unique."""

from collections.abc import Callable, Mapping

Body = dict[str, object]


def _block(about: str) -> Body:
    return {"pattern": f"{about}@c0rp.example", "pattern_type": "EMAIL", "is_regex": False, "comments": None}


def _allow(about: str) -> Body:
    flags = {"is_acceptable_sender": True, "is_exempt_recipient": False, "is_trusted_sender": False}
    return _block(about) | flags | {"verify_sender": True}


def _trusted(about: str) -> Body:
    return {"pattern": f"{about}.example", "is_recent": True, "is_similarity": False, "is_regex": False}


def _content(about: str) -> Body:
    return {"name": about, "pattern": "gift card", "enabled": True, "targets": ["SUBJECT"], "notes": None}


def _person(about: str) -> Body:
    return {"name": about, "email": f"{about}@corp.example", "is_email_regex": False, "provenance": "A1S_INTERNAL"}


def _restriction(about: str) -> Body:
    return {"domain": f"{about}.example", "exclude": ["news.example"], "comments": "ours"}


def _ignored(about: str) -> Body:
    return {"pattern": f"https://{about}.example/", "comments": None}


def _domain(about: str) -> Body:
    return {
        "domain": f"{about}.example",
        "allowed_delivery_modes": ["JOURNAL", "API"],
        "drop_dispositions": ["MALICIOUS", "SPAM"],
        "ip_restrictions": ["203.0.113.0/24"],
        "regions": ["DE"],
        "lookback_hops": 2,
        "folder": "Inbox",
    }


BODIES: Mapping[str, Callable[[str], Body]] = {
    "block_senders": _block,
    "allow_policies": _allow,
    "trusted_domains": _trusted,
    "content_policies": _content,
    "impersonation_registry": _person,
    "sending_domain_restrictions": _restriction,
    "url_ignore_patterns": _ignored,
    "domains": _domain,
}
BATCHES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(BODIES, ("deletes", "patches", "puts", "posts")),
    "sending_domain_restrictions": ("deletes",),
    "impersonation_registry": (),
    "url_ignore_patterns": (),
}
