"""Who we are: facts about our own house that several rules share. Change these first."""

OUR_DOMAINS = frozenset({"corp.example", "corp-eu.example"})
FREEMAIL = frozenset({"gmail.com", "gmx.net", "hotmail.com", "icloud.com", "outlook.com", "proton.me", "yahoo.com"})
PARTNER = "partner.example"
PARTNER_GATEWAY = "no-reply@alerts.partner.example"
