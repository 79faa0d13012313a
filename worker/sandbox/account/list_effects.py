"""How the lists affect mail that arrives: they block it, let it through, or hold it in quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from worker.sandbox.account.matching import Parties, authors, matches, recipients, senders

if TYPE_CHECKING:
    from typing import Literal

    from worker.sandbox.account.timeline import RecordTimeline
    from worker.sandbox.wire import Json

Lists = Mapping[str, Mapping[str, "RecordTimeline"]]
UNWANTED = frozenset({"SPAM", "SPOOF", "BULK"})
LOOKALIKE, YOUNG = "Look-alike domain", "Young domain"
CHECKS = ("dmarc", "spf", "dkim")


def judge(lists: Lists, fields: Json, disposition: str, precedence: Literal["block", "allow"]) -> str:
    """Return the verdict on new mail after the lists were asked, and write the entry that decided into its fields.

    ``precedence`` says which of two entries wins where one blocks a message and another lets it through.
    """
    blocked = find_block(lists, fields)
    verdict = "MALICIOUS" if blocked else disposition
    exempt = None if blocked and precedence == "block" else _find_exemption(lists, fields, verdict)
    if exempt:
        fields |= {"properties": exempt, "detection_reasons": [], "threat_categories": None}
        return "NONE"
    if blocked:
        fields["properties"] = blocked
    return verdict


def is_held(lists: Lists, fields: Json, disposition: str) -> bool:
    """Tell whether the domain of a recipient drops mail of this disposition into quarantine."""
    ours = {address.lower().rpartition("@")[2] for address in recipients(fields).addresses}
    return any(
        disposition in _strings(entry.get("drop_dispositions"))
        for entry in _entries(lists, "domains")
        if str(entry.get("domain")).lower() in ours
    )


def _find_exemption(lists: Lists, fields: Json, disposition: str) -> Json | None:
    """Return the properties of a message that an entry lets through, else None."""
    for entry in _entries(lists, "allow_policies"):
        if kind := _match_policy(entry, fields, disposition):
            return {"allowlisted_pattern": entry["pattern"], "allowlisted_pattern_type": kind}
    for entry in _entries(lists, "trusted_domains"):
        if kind := _match_trusted_domain(entry, fields, disposition):
            return {"allowlisted_pattern": entry["pattern"], "allowlisted_pattern_type": kind}
    return None


def _match_policy(entry: Json, fields: Json, disposition: str) -> str | None:
    """Return the type under which a policy lets a message through. It excuses acceptable senders only unwanted mail."""
    if entry.get("is_exempt_recipient") and matches(entry, recipients(fields)):
        return "allowed_recipient"
    if not matches(entry, authors(fields)) or (entry.get("verify_sender") and not _is_verified(fields)):
        return None
    if entry.get("is_trusted_sender"):
        return "allowed_sender"
    return "acceptable_sender" if entry.get("is_acceptable_sender") and disposition in UNWANTED else None


def _is_verified(fields: Json) -> bool:
    checks = fields.get("validation")
    return isinstance(checks, dict) and all(checks.get(name) == "pass" for name in CHECKS)


def _match_trusted_domain(entry: Json, fields: Json, disposition: str) -> str | None:
    """Return the type under which a trusted domain is let through: it may look like another name, or be young."""
    if disposition == "NONE" or not matches(entry, _visible_domain(fields)):
        return None
    reasons = _strings(fields.get("detection_reasons"))
    if entry.get("is_similarity") and (disposition == "SPOOF" or LOOKALIKE in reasons):
        return "domain_similarity"
    return "domain_recency" if entry.get("is_recent") and YOUNG in reasons else None


def _visible_domain(fields: Json) -> Parties:
    """Return only the domain that people see: expressions for trusted domains are tried on nothing else."""
    return Parties((str(fields.get("from")).rpartition("@")[2],))


def _entries(lists: Lists, name: str) -> Iterator[Json]:
    return (timeline.value for timeline in lists.get(name, {}).values() if timeline.value is not None)


def _strings(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def find_block(lists: Lists, fields: Json) -> Json | None:
    """Return the properties of a message that an entry blocks, else None."""
    parties = senders(fields)
    for timeline in lists.get("block_senders", {}).values():
        if timeline.value is not None and matches(timeline.value, parties):
            return {"blocklisted_message": True, "blocklisted_pattern": timeline.value["pattern"]}
    return None
