"""Who we are: facts about our own house that several rules share. Change these first."""

OUR_DOMAINS = frozenset({"corp.example", "corp-eu.example"})
EXECUTIVES = frozenset({"Ada Cole", "Ben Osei"})
PARTNER = "partner.example"
PARTNER_GATEWAY = "no-reply@alerts.partner.example"
