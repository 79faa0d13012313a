"""Invented mail: who writes what to whom, how Cloudflare judges it, and which fields it has."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from worker.sandbox.wire import Json, format_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

OUR_DOMAINS = ("corp.example", "corp-eu.example")
PARTNER = "partner.example"
EXECUTIVES = ("Ada Cole", "Ben Osei")
PEOPLE = (
    "ada",
    "ben",
    "cleo",
    "dimitri",
    "elif",
    "femi",
    "grace",
    "hana",
    "ivo",
    "jun",
    "kofi",
    "lena",
    "mateo",
    "noor",
)
ADDRESSES = tuple(f"{name}@{domain}" for domain in OUR_DOMAINS for name in PEOPLE)
REGULARS = ("mina.roth", "ola.berg")
"""Those of customers and suppliers who have written clean mail for long."""
ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
CHECKS = ("comment", "dkim", "dmarc", "spf")
PASS = (None, "pass", "pass", "pass")
FAIL = (None, "none", "fail", "fail")
LOOSE = ("no alignment", "none", "none", "neutral")
NEW_DOMAIN = (None, "none", "none", "pass")
"""What a domain shows that somebody has just registered: SPF that passes, and no policy for DMARC."""


class Kind(Struct, frozen=True):
    """One kind of mail; ``weight`` is its share in a hundred, ``shown`` the text of its links."""

    weight: int
    disposition: str
    domains: tuple[str, ...]
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    validation: tuple[str | None, ...] = PASS
    links: tuple[str, ...] = ()
    quarantined: bool = False
    body: str = "Please see below."
    senders: tuple[str, ...] = ()
    """The names of those who write, before the @; anybody when there are none."""
    shown: str = "Open the page"
    files: tuple[str, ...] = ()


# Names no real organisation can have: all domains end in .example or .test.
KINDS: Mapping[str, Kind] = MappingProxyType({
    "newsletter": Kind(
        26, "BULK", ("news.shop.example", "mail.travel.example", "list.hobby.example"),
        ("Shop News", "Travel Weekly", "Hobby List"),
        ("Your week in {n} offers", "Neue Angebote: {n} %", "週刊ニュース {n}"),
        ("Graymail: list headers present",), PASS, ("https://shop.example/sale",),
        body="The best offers of the week, picked for you.", shown="Unsubscribe"),
    "spam": Kind(
        20, "SPAM", ("cheap-pills.test", "win-now.test", "seo-rank.test"), ("Best Price", "Prize Desk", "Rank Up"),
        ("You won {n} times", "Cheapest deal no. {n}", "Rank first in {n} days"),
        ("Sender reputation is poor", "Bulk content similar to known spam"), LOOSE, ("https://win-now.test/claim",),
        body="Act now, this offer ends tonight.", shown="Claim it"),
    "suspicious": Kind(
        9, "SUSPICIOUS", ("file-drop.test", "parcel-track.test"), ("File Drop", "Parcel Desk"),
        ("A file was shared with you ({n})", "Parcel {n} could not be delivered"),
        ("Young domain", "Link to a recently registered site"), NEW_DOMAIN, ("https://parcel-track.test/fee",),
        body="A small fee is open before we can go on."),
    "spoof": Kind(
        6, "SPOOF", ("corp.example", "corp-eu.example"), ("IT Service Desk", "Payroll"),
        ("Password expires in {n} days", "Payslip {n}"),
        ("Header from fails DMARC", "Envelope and header differ"), FAIL,
        body="Answer this message with your staff number."),
    "clean": Kind(
        15, "NONE", ("supplier.example", "customer.example", PARTNER), ("Mina Roth", "Ola Berg", "Sam Duarte"),
        ("Re: order {n}", "Minutes of meeting {n}", "Запрос {n}"), body="Thank you, that is fine with us."),
    "phish": Kind(
        4, "MALICIOUS", ("secure-login.test", "mailbox-quota.test"), ("Mail Admin", "Security Team"),
        ("Mailbox {n} % full", "Unusual sign-in no. {n}"), ("Credential harvester link", "Brand impersonation"),
        FAIL, ("https://secure-login.test/verify",),
        body="Your mailbox will be closed unless you confirm your password.", shown="https://corp.example/login"),
    "phish_held": Kind(
        8, "MALICIOUS", ("secure-login.test", "tax-refund.test"), ("Tax Office", "Mail Admin"),
        ("Refund {n} is waiting", "Final notice {n}"), ("Known phishing campaign", "Malicious attachment"),
        FAIL, ("https://tax-refund.test/form",), quarantined=True,
        body="Open the attached form to receive your refund.", files=("refund.html",)),
    "outbreak": Kind(
        4, "MALICIOUS", ("c0rp.example", "invoice-desk.example"), ("Ada Cole",),
        ("Urgent payment {n}", "Please handle invoice {n} today"),
        ("Display name of a protected person", "Look-alike domain"), NEW_DOMAIN, ("https://pay.c0rp.example/invoice",),
        body="I am in a meeting. Pay this today and tell nobody.", shown="https://corp.example/invoice",
        senders=("billing", "invoice", "office")),
    "outbreak_forged": Kind(
        1, "MALICIOUS", ("customer.example", "supplier.example"), ("Mina Roth", "Ola Berg"),
        ("Changed bank details {n}",), ("Header from fails DMARC", "Envelope and header differ"), FAIL,
        ("https://pay.c0rp.example/invoice",), body="From now on, please pay to this account."),
    "outbreak_taken_over": Kind(
        1, "MALICIOUS-BEC", ("customer.example", "supplier.example"), ("Mina Roth", "Ola Berg"),
        ("Re: order {n}",), ("Unusual request for payment", "Link to a recently registered site"), PASS,
        ("https://pay.c0rp.example/invoice",), body="Please use our new account.", senders=REGULARS),
    "outbreak_spoof": Kind(
        2, "SPOOF", ("c0rp.example",), ("Ada Cole", "Ben Osei"), ("Are you at your desk? ({n})",),
        ("Display name of a protected person", "Look-alike domain"), FAIL, ("https://pay.c0rp.example/invoice",),
        body="I need a favour, quickly."),
    "partner_held": Kind(
        3, "SPAM", (PARTNER,), ("Partner Billing", "Partner Gateway"), ("Statement {n}", "Delivery note {n}"),
        ("Bulk content similar to known spam",), PASS, ("https://portal.partner.example/doc",), quarantined=True,
        body="Your statement is attached.", shown="All statements", files=("statement.pdf",)),
    "partner_bulk_held": Kind(
        1, "BULK", (PARTNER,), ("Partner News",), ("Partner circular {n}",), ("Graymail: list headers present",),
        PASS, quarantined=True, body="News for all our partners."),
})  # fmt: skip
_NAMES = tuple(KINDS)
_STEPS = tuple(sum(kind.weight for kind in list(KINDS.values())[: n + 1]) for n in range(len(KINDS)))
UNLISTED = MappingProxyType(
    {
        "allowlisted_pattern": None,
        "allowlisted_pattern_type": None,
        "blocklisted_message": False,
        "blocklisted_pattern": None,
    }
)
# Shares of all mail.
ONE_RECIPIENT, PLAIN_SUBJECT, SOME_NULL, MORE_NULL, SOME_ABSENT = 0.9, 0.995, 0.5, 0.1, 0.95
# Right-to-left override, terminal escapes, an encoded word, nothing at all: what attackers put into subjects.
ODD_SUBJECTS = ("\u202egnp.eciovni\u202c {n}", "\x1b[2J\x1b[31minvoice {n}", "=?utf-8?q?=E2=82=AC_{n}?=", "")


def pick(rng: Random) -> str:
    """Draw the name of a kind by its weight."""
    return rng.choices(_NAMES, cum_weights=_STEPS)[0]


def make_message_id(rng: Random, scanned: int) -> str:
    """Make an investigate id: postfix id, scan time, eight hex digits."""
    bits = rng.getrandbits(128)
    postfix = "".join([ALPHABET[(bits >> shift) % len(ALPHABET)] for shift in range(0, 96, 6)])
    return f"{postfix}-{format_seconds(scanned)}-{bits & 0xFFFFFFFF:08x}"


def fill_required(ident: str, scanned: int) -> Json:
    """Return the required fields of a message, and the ones its id determines."""
    postfix, _, rest = ident.partition("-")
    return {
        "id": ident,
        "postfix_id": postfix,
        "alert_id": f"{postfix}-{rest.rpartition('-')[0]}",
        "scanned_at": f"{format_seconds(scanned)}Z",
        "client_recipients": ["ada@corp.example"],
        "detection_reasons": [],
        "is_phish_submission": False,
        "properties": {},
    }


def compose(rng: Random, scanned: int, kind: Kind) -> Json:
    """Write the fixed fields of one message of a kind."""
    fields = fill_required(make_message_id(rng, scanned), scanned)
    domain, n = rng.choice(kind.domains), rng.randrange(1, 9999)
    recipients = [rng.choice(ADDRESSES)] if rng.random() < ONE_RECIPIENT else rng.sample(ADDRESSES, 3)
    subjects = kind.subjects if rng.random() < PLAIN_SUBJECT else ODD_SUBJECTS
    checks = dict(zip(CHECKS, kind.validation, strict=True))
    name = f"{rng.choice(PEOPLE)}{n % 97}"
    sender = f"{rng.choice(kind.senders) if kind.senders else name}@{domain}"
    fields |= {
        "client_recipients": recipients,
        "detection_reasons": kind.reasons,
        "delivery_mode": "DIRECT",
        "properties": dict(UNLISTED),
        "envelope_from": f"bounce-{n}@{domain}",
        "envelope_to": recipients,
        "from": sender,
        "from_name": rng.choice(kind.names),
        "message_id": f"<{rng.getrandbits(64):016x}.{n}@{domain}>",
        "replyto": None,
        "sent_at": f"{format_seconds(scanned - 7)}Z",
        "sent_date": format_seconds(scanned - 7),
        "smtp_helo_server_ip": f"203.0.113.{n % 250 + 1}",
        "smtp_previous_hop_ip": f"198.51.100.{n % 240 + 1}",
        "subject": rng.choice(subjects).format(n=n),
        "threat_categories": ["IPReputation", "DomainAge"] if kind.reasons else None,
        "to": recipients,
        "to_name": [one.partition("@")[0].title() for one in recipients],
        "validation": checks,
    }
    _thin_out(rng, fields)
    if kind.validation is NEW_DOMAIN or kind.senders:  # what senders proved is what these kinds are about
        fields["validation"] = checks
    return fields


def _thin_out(rng: Random, fields: Json) -> None:
    """Leave optional fields null or out, as the API does without a pattern to rely on."""
    chance = rng.random()
    hashes = (None, None) if chance < SOME_NULL else (f"{rng.getrandbits(256):064x}", f"{rng.getrandbits(256):064x}")
    fields |= {"edf_hash": hashes[0], "htmltext_structure_hash": hashes[1], "postfix_id_outbound": None}
    if chance < MORE_NULL:
        fields |= {"validation": None, "to_name": None, "x_originating_ip": None}
    elif chance > SOME_ABSENT:
        for name in ("replyto", "threat_categories", "to_name", "delivery_mode"):
            del fields[name]
