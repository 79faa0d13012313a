"""What the lists do to new mail: blocks, allow policies, trusted domains, what a domain holds, what moves by itself."""

import gc
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from tests.sandbox.sandbox import Sandbox, told
from worker.sandbox import SandboxOptions
from worker.sandbox.account.mail import TEN, Mail
from worker.sandbox.account.matching import Parties, matches

PASSED = {"dmarc": "pass", "spf": "pass", "dkim": "pass"}
POLICY = {
    "pattern": "mill.example",
    "pattern_type": "DOMAIN",
    "is_regex": False,
    "is_acceptable_sender": False,
    "is_exempt_recipient": False,
    "is_trusted_sender": False,
    "verify_sender": False,
}
BLOCK = {"pattern": "mill.example", "pattern_type": "DOMAIN", "is_regex": False}
PARTS = (
    *("a", "a*", "a+", "a?", "a*?", "(a*)", "(a|a)", "(?:a?)", "(aa)*", "a{0,200}", "a{20}", "(?=a*b)", "(?<=a{80})"),
    *("(?i:a*)", "(?>a*)", "^", "|", "(a*)?", "(a|a|a)?", "(^)?", "$", "[ab]*", r"\w*"),
)
PATIENCE = 0.05
"""Seconds; what is needed is a tenth of it."""
TRUST = {"pattern": "mi11.example", "is_regex": False, "is_similarity": True, "is_recent": True}


def allow(sandbox: Sandbox, **fields: object) -> None:
    assert sandbox.ask("POST", "settings/allow_policies", POLICY | fields).status == 201


def new(sandbox: Sandbox, disposition: str = "SPAM", **fields: Any) -> Mail:  # noqa: ANN401 - fields of the API
    return sandbox.world.add_message(disposition=disposition, **({"sender": "a@mill.example"} | fields))


def spent(pattern: str, parties: Parties) -> float:
    """Return the seconds that this process spends to see whether a pattern means somebody.

    Garbage is left alone meanwhile: collecting what thousands of tests have left takes a quarter of a second.
    """
    gc.disable()
    try:
        begun = process_time()
        matches({"pattern": pattern, "is_regex": True}, parties)
        return process_time() - begun
    finally:
        gc.enable()


def properties(sandbox: Sandbox, mail: Mail) -> dict[str, Any]:
    shown: dict[str, Any] = sandbox.ask("GET", f"investigate/{mail.id}").result["properties"]
    return shown


@each("disposition", sorted(TEN - {"NONE"}))
def test_an_acceptable_sender_is_forgiven_only_what_is_unwanted(disposition: str) -> None:
    sandbox = Sandbox()
    allow(sandbox, is_acceptable_sender=True)
    mail = new(sandbox, disposition)
    spared = disposition in {"SPAM", "SPOOF", "BULK"}
    assert mail.now.disposition == ("NONE" if spared else disposition)
    said = {"allowlisted_pattern": "mill.example", "allowlisted_pattern_type": "acceptable_sender"}
    assert properties(sandbox, mail) == (said if spared else {})


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"is_trusted_sender": True}, "allowed_sender"),
        (
            {"is_exempt_recipient": True, "pattern": "ada@corp.example", "pattern_type": "EMAIL"},
            "allowed_recipient",
        ),
    ],
)
def test_trusted_senders_and_exempt_recipients_pass_with_anything(fields: dict[str, object], kind: str) -> None:
    sandbox = Sandbox()
    before = new(sandbox, "MALICIOUS")
    allow(sandbox, **fields)
    mail = new(sandbox, "MALICIOUS", quarantined=True, detection_reasons=["x"])
    assert (before.now.disposition, mail.now.disposition, mail.now.quarantined) == ("MALICIOUS", "NONE", False)
    assert properties(sandbox, mail)["allowlisted_pattern_type"] == kind
    assert mail.read_fixed().detection_reasons == ()


def test_a_policy_means_nobody_else() -> None:
    sandbox = Sandbox()
    allow(sandbox, is_trusted_sender=True)
    allow(sandbox, is_exempt_recipient=True, pattern="ben@corp.example", pattern_type="EMAIL")
    assert new(sandbox, sender="a@other.example").now.disposition == "SPAM"
    assert new(sandbox, sender="a@other.example", replyto="a@mill.example").now.disposition == "SPAM"


@pytest.mark.parametrize("check", ["dmarc", "spf", "dkim", "none at all"])
def test_a_sender_who_must_be_verified_passes_with_every_check_passed(check: str) -> None:
    sandbox = Sandbox()
    allow(sandbox, is_trusted_sender=True, verify_sender=True)
    assert new(sandbox, validation=PASSED).now.disposition == "NONE"
    assert (
        new(sandbox, validation=None if check == "none at all" else PASSED | {check: "fail"}).now.disposition == "SPAM"
    )


@pytest.mark.parametrize(("precedence", "verdict"), [("block", "MALICIOUS"), ("allow", "NONE")])
def test_an_option_says_whether_a_block_or_a_policy_wins(precedence: Any, verdict: str) -> None:  # noqa: ANN401 - a word
    sandbox = Sandbox(options=SandboxOptions(precedence=precedence))
    sandbox.ask("POST", "settings/block_senders", BLOCK)
    assert new(sandbox).now.disposition == "MALICIOUS"
    allow(sandbox, is_trusted_sender=True)
    mail = new(sandbox)
    assert mail.now.disposition == verdict
    assert properties(sandbox, mail).get("blocklisted_message", False) is (verdict == "MALICIOUS")


@each(
    ("flags", "disposition", "reasons", "kind"),
    [
        ({}, "SPOOF", [], "domain_similarity"),
        ({}, "MALICIOUS", ["Look-alike domain"], "domain_similarity"),
        ({"is_similarity": False}, "SPOOF", [], None),
        ({}, "SUSPICIOUS", ["Young domain"], "domain_recency"),
        ({"is_recent": False}, "SUSPICIOUS", ["Young domain"], None),
        ({}, "MALICIOUS", ["Malicious attachment"], None),
        ({"pattern": "^mi11[.]", "is_regex": True}, "SPOOF", [], "domain_similarity"),
        ({"pattern": "elsewhere.example"}, "SPOOF", [], None),
    ],
)
def test_a_trusted_domain_is_forgiven_its_likeness_or_its_youth(
    flags: dict[str, object], disposition: str, reasons: list[str], kind: str | None
) -> None:
    sandbox = Sandbox()
    assert sandbox.ask("POST", "settings/trusted_domains", TRUST | flags).status == 201
    mail = new(sandbox, disposition, sender="a@mi11.example", detection_reasons=reasons)
    assert mail.now.disposition == (disposition if kind is None else "NONE")
    assert properties(sandbox, mail).get("allowlisted_pattern_type") == kind


def test_a_domain_holds_what_it_drops() -> None:
    sandbox = Sandbox()
    sandbox.world.add_entry("domains", domain="Held.example", drop_dispositions=["MALICIOUS", "SPAM"])
    sandbox.world.add_entry("domains", domain="bare.example")
    held = new(sandbox, client_recipients=["a@held.example"])
    assert (held.now.quarantined, held.now.folder) == (True, "Quarantine")
    assert not new(sandbox, "BULK", client_recipients=["a@held.example"]).now.quarantined
    assert not new(sandbox, client_recipients=["a@bare.example"]).now.quarantined
    sandbox.ask("POST", "settings/block_senders", BLOCK)
    assert new(sandbox, "NONE", client_recipients=["a@held.example"]).now.quarantined


def test_an_entry_that_is_gone_means_nobody() -> None:
    sandbox = Sandbox()
    allow(sandbox, is_trusted_sender=True)
    [ours, _] = sandbox.ask("GET", "settings/allow_policies").ids
    sandbox.ask("DELETE", f"settings/allow_policies/{ours}")
    assert new(sandbox).now.disposition == "SPAM"


def test_mail_that_arrives_by_itself_meets_the_policies_too() -> None:
    sandbox = Sandbox()
    allow(sandbox, is_trusted_sender=True, pattern="partner.example")
    [mail] = sandbox.world.arrive(1, "partner_held")
    assert (mail.now.disposition, mail.now.quarantined) == ("NONE", False)


def test_cloudflare_moves_a_verdict_by_itself_also_one_that_comes_later() -> None:
    sandbox = Sandbox(options=SandboxOptions(auto_moves=(("MALICIOUS", "DeletedItems"),)))
    now, later, changed, held = (
        new(sandbox, "MALICIOUS"),
        new(sandbox),
        new(sandbox, "MALICIOUS"),
        new(sandbox, quarantined=True),
    )
    sandbox.world.change_verdict(later.id, "MALICIOUS")
    sandbox.world.change_verdict(changed.id, "NONE")
    sandbox.world.change_verdict(held.id, "MALICIOUS")
    sandbox.time += 60
    sandbox.world.advance()
    assert [mail.now.folder for mail in (now, later, changed, held)] == [
        "DeletedItems",
        "DeletedItems",
        "Inbox",
        "Quarantine",
    ]
    assert told(now.now.log[0]) == ("DeletedItems", "auto", "auto-move")
    assert [effect.by for effect in sandbox.world.effects if effect.operation == "move"] == ["auto", "auto"]


@each(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*$",
        "((a?)){40}b",
        "a?" * 30 + "b",
        "(?:a*)*$",
        "(x+x+)+y",
        ".*" * 9 + "b",
        "(",
        "[a-z]+@(?P<x>b)",
        "(a|aa)+$",
        "(.*a){20}",
        "^.*a.*a.*a.*a$b",
        "^(.*)(.*)(.*)(.*)b",
        "(?i)(.*)(.*)(.*)b",
        "(?i)" + "(a|a|a|a)" * 8 + "b",
        "(?i)" + "((((a)))?)?" * 8 + "b",
        "(?i)a*" + "(?<=a{40})" * 80 + "b",
        "(?x)(a+ # )(\n)+b",
        "(?#[)(a+)+(?#])b",
        "^b|" + "(a|a|a|a)" * 7 + "(a|a)b",
        "(^)?" + "(a|a|a|a)" * 7 + "b",
    ],
)
def test_an_expression_gives_up_before_it_takes_long(pattern: str) -> None:
    addresses = Parties(("a" * 4096, "a" * 80, "a" * 40))
    assert spent(pattern, addresses) < PATIENCE
    assert not matches({"pattern": pattern, "is_regex": True}, addresses)


@pytest.mark.slow
@given(parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=12), last=st.sampled_from(["b", "$b", "[b]", ""]))
def test_no_expression_takes_long(parts: list[str], last: str) -> None:
    assert spent("".join([*parts, last]), Parties(("a" * 254, "a" * 80, "a" * 40))) < PATIENCE


@each(
    "pattern",
    [
        *("^ada@.*0rp", r"@(c0rp|evil)\.(test|example)$", "(?i)^ADA", r"[*+?(]|\*|0rp", "ada+@.*"),
        *(r".*@(.*\.)?c0rp\.example", r"[a-z]+[0-9]*@.*\.(test|example)", r"^(?!.*@corp\.example$).*", r"(d)a@c\d"),
        "@(" + "|".join(f"evil{n}" for n in range(100)) + "|c0rp)[.]",
    ],
)
def test_an_expression_within_bounds_is_found_anywhere(pattern: str) -> None:
    assert matches({"pattern": pattern, "is_regex": True}, Parties(("ada@c0rp.example",)))


@given(pattern=st.text(max_size=30), text=st.text(max_size=30), kind=st.sampled_from(["EMAIL", "DOMAIN", "IP"]))
def test_whatever_is_written_is_compared_without_an_error(pattern: str, text: str, kind: str) -> None:
    parties = Parties((text,), (text,))
    assert matches({"pattern": pattern, "pattern_type": kind}, parties) in {True, False}
    assert matches({"pattern": text, "pattern_type": "EMAIL"}, Parties((text.upper(),))) == (
        text.lower() == text.upper().lower()
    )


def test_an_address_is_in_a_network_of_its_kind_only() -> None:
    entry: dict[str, object] = {"pattern": "203.0.113.0/24", "pattern_type": "IP"}
    assert matches(entry, Parties((), ("203.0.113.9",)))
    for server in ("198.51.100.1", "2001:db8::1", "[203.0.113.9]", ""):
        assert not matches(entry, Parties(("203.0.113.9",), (server,)))
