"""Who we are: facts about our own house that several rules share. Change these first."""

from worker import Message

OUR_DOMAINS = frozenset({"corp.example", "corp-eu.example"})
FREEMAIL = frozenset({"gmail.com", "gmx.net", "hotmail.com", "icloud.com", "outlook.com", "proton.me", "yahoo.com"})
PARTNER = "partner.example"
PARTNER_GATEWAY = "no-reply@alerts.partner.example"


def is_ours(message: Message) -> bool:
    """Tell whether we wrote it: forged mail has our addresses too, so DMARC must vouch for them."""
    return message.domain in OUR_DOMAINS and message.dmarc == "pass"
