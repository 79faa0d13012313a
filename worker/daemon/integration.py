"""The integration with the account's mailboxes, as its list of domains tells it."""

from collections.abc import Collection, Sequence

from worker.api import Urgency
from worker.api.models import AccountDomain
from worker.judging.services import AccountServices
from worker.wording import count

EVERY = 300.0
REMEMBERED = 30 * 86400.0
"""Seconds for which a domain is missed whose mailboxes cannot be reached any more; then it counts as given up."""
BAD = frozenset({"FAILED", "TIMEOUT"})


class Integration:
    """Knows which domains of an account were integrated, and tells when that is over."""

    def __init__(self, services: AccountServices) -> None:
        self._account, self._ledger, self._clock = services.account, services.ledger, services.clock
        self._client = services.client
        self.problem = ""
        """Why mail cannot be moved any more; empty while it can, and before the first read."""

    async def check(self) -> float:
        """Read the list of domains; return the seconds until the next time."""
        listed = await self._client.settings.domains.all(urgency=Urgency.SWEEP)
        known, now = await self._ledger.read_integrated(self._account), self._clock.now()
        before = {name.lower(): at for name, at in known.items() if now - at < REMEMBERED}
        self.problem = find_loss(listed.entries, before, listed.broken)
        good = {one.domain.lower(): now for one in listed.entries if _is_good(one)}
        await self._ledger.keep_integrated(self._account, before | good)
        return EVERY


def find_loss(domains: Sequence[AccountDomain], good_before: Collection[str], unread: int = 0) -> str:
    """Say which integration is gone: all that are needed, or one that was good before; ``unread`` hides others."""
    needed = [one for one in domains if one.integration_id or one.inbox_provider]
    if needed and not any(one.authorization.authorized for one in needed):
        return f"no domain's mailboxes can be reached any more: {_explain(needed[0])}"
    if lost := [one for one in domains if one.domain.lower() in good_before and not _is_good(one)]:
        names = ", ".join(one.domain for one in lost)
        return f"the mailboxes of {names} cannot be reached any more: {_explain(lost[0])}"
    if good_before and (unread or not domains):
        what = f"{count(unread, 'domain')} of the account cannot be read" if unread else "no domain is listed any more"
        return f"{what}, so whether mailboxes can be reached is unknown; look at the domains in Cloudflare's dashboard"
    return ""


def _is_good(domain: AccountDomain) -> bool:
    return domain.authorization.authorized and domain.status.upper() not in BAD


def _explain(domain: AccountDomain) -> str:
    """Say what the API says of a domain, and what to do."""
    said = domain.authorization.status_message or f"its status is {domain.status or 'unknown'}"
    return f"{domain.domain}: {said}; authorise the integration again in Cloudflare's dashboard"
