"""A thousand hostile mails: of each it is known what must come of it, whatever is broken, forged or disguised in it."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import NamedTuple

from tests.hostile import FORGERIES
from tests.language.test_lookalikes import DOMAINS, NAMES
from tests.mime.mutations import CHANGES, HEAD, write_mails

OURS, WIDER = "corp.example", "corp-eu.example"
VICTIMS = (f"ada@{OURS}", f"pay@{WIDER}", "carol@customer.example", "billing@partner.example", "x@gmail.com")
PARTNERS = ("carol@partner.example", "no-reply@alerts.partner.example")
PEOPLE = ("Ada Cole", "Ben Osei")
PAGE = b"<html><body><a href='https://evil.example/pay'>pay</a></body></html>"


class HostileMail(NamedTuple):
    """A mail and what must come of it."""

    kind: str
    fields: Mapping[str, object]
    original: bytes = b""
    moved: bool = True
    """Whether it must leave the inbox; a mail that must not be let through otherwise."""
    proved: str = ""
    """The sender whom it proves, and who may be blocked without a person."""


def write_hostile_mails(seed: int, count: int) -> Iterator[HostileMail]:
    """Yield mail of all kinds in turn."""
    rng = Random(seed)
    for number in range(count):
        yield KINDS[number % len(KINDS)](rng, f"{seed}-{number}")


def _check(spf: str = "none", dmarc: str = "none") -> dict[str, object]:
    return {"validation": {"comment": None, "dkim": "none", "spf": spf, "dmarc": dmarc}}


def _throw_away(number: str) -> dict[str, object]:
    """Return the fields of a sender who registered a domain yesterday, and proves that it is his."""
    sender = f"billing@thrown-{number}.example"
    return {"sender": sender, "envelope_from": sender, **_check(spf="pass")}


POISONS: tuple[Callable[[bytes], bytes], ...] = (
    lambda mail: mail.replace(b"MIME", b"X-Foo: =?utf-7?q?+2AA-?=\r\nMIME", 1),
    lambda mail: mail.replace(b"MIME", b"X-Foo: =?utf-16?b?2AA=?= =?x-no?q?a?=\r\nMIME", 1),
    lambda mail: mail.replace(b"MIME", b"X-\xff: \xed\xa0\x80\0\r\nMIME", 1),
    lambda mail: mail.replace(b"filename=", b"filename*=utf-7''%2B2AA-; x="),
    lambda mail: mail.replace(b"text/html", b"text/html; charset=utf-7", 1).replace(b"<html>", b"<html>+2AA-", 1),
    lambda mail: mail.replace(b"text/html", b"text/html; charset=idna", 1),
    lambda mail: mail.replace(b"<html>", b"<html>\xed\xa0\x80\xff\0", 1),
)


def _demand(poison: Callable[[bytes], bytes]) -> bytes:
    """Write a mail with a page attached that demands money."""
    parts = b"".join(
        b"--b\r\nContent-Type: text/html\r\n" + more + b"\r\n" + PAGE + b"\r\n"
        for more in (b"", b'Content-Disposition: attachment; filename="invoice.html"\r\n')
    )
    return poison(HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + parts + b"--b--\r\n")


def _break_raw(rng: Random, number: str) -> HostileMail:
    """Break what only some rules read, so that the others are to lose their say as well."""
    verdict, sender = rng.choice(["MALICIOUS", "SUSPICIOUS"]), _throw_away(number)
    original = _demand(rng.choice(POISONS))
    fields = {**sender, "disposition": verdict, "subject": "Overdue invoice"}
    is_read = b"filename*=utf-7" not in original  # that name means nothing, and the file has none then
    proved = str(sender["sender"]) if verdict == "MALICIOUS" else ""
    return HostileMail("broken content", fields, original, verdict == "MALICIOUS" or is_read, proved)


def _forge(rng: Random, _: str) -> HostileMail:
    """Write a victim's address, so that the victim is to be blocked."""
    address = rng.choice(VICTIMS)
    written = rng.choice(FORGERIES)(rng, address)
    checks = _check(written.get("spf", "none"), written.get("dmarc", "none"))
    fields = {"sender": written["sender"], "envelope_from": written.get("envelope_from", "bounce@evil.example")}
    return HostileMail("forged sender", {**fields, **checks, "disposition": "MALICIOUS", "subject": "Pay"})


def _borrow_name(rng: Random, number: str) -> HostileMail:
    """Write under the name of somebody registered, in disguise."""
    name = NAMES[rng.choice(list(NAMES))](rng, rng.choice(PEOPLE))
    fields = {**_throw_away(number), "from_name": name, "disposition": "SPOOF", "subject": "Are you there?"}
    return HostileMail("borrowed name", fields)


def _imitate_domain(rng: Random, _: str) -> HostileMail:
    """Write from a domain that looks like ours, or is ours and proves nothing."""
    shown = rng.choice([OURS, *(change(rng, WIDER) for change in DOMAINS.values())])
    domain = f"x{shown}" if shown == WIDER else shown
    fields = {"sender": f"pay@{domain}", "from_name": "Payroll", "disposition": "SPOOF", **_check(dmarc="fail")}
    return HostileMail("imitated domain", {**fields, "subject": "Payroll"})


def _write_several(rng: Random, _: str) -> HostileMail:
    """Name the partner beside the address that was checked, so that quarantined mail is to be released."""
    written = rng.choice(FORGERIES[2:])(rng, rng.choice(PARTNERS))
    fields = {"sender": written["sender"], "envelope_from": "x@evil.example", **_check("pass", "pass")}
    verdict = rng.choice(["SPAM", "BULK", "SUSPICIOUS"])
    return HostileMail(
        "several senders", {**fields, "disposition": verdict, "quarantined": True, "subject": "Offer"}, moved=False
    )


TRICKS = (
    "\x1b[2J\x1b]8;;https://evil.example\x07click", "\u202egpj.exe", "\n- 06HX all is well", "@everyone", "@here",
    "<!channel>", "[open](https://evil.example)", "<https://evil.example|pay>", "http://evil.example/a",
    "www.evil.example", "evil\u3002example", "file://evil.example/a", "\u2028\u2029\u200b", "**x** ~~y~~ `z` # a",
    "\x00\x7f\x9b31m", "| all is well",
)  # fmt: skip


def _trick(rng: Random) -> str:
    return " ".join(rng.sample(TRICKS, 3))


def _spoil_output(rng: Random, number: str) -> HostileMail:
    """Write into a notice, a table or the log what they could take for their own."""
    verdict = rng.choice(["MALICIOUS", "SPOOF"])
    name = f"{rng.choice(PEOPLE)} {_trick(rng)}"
    sender = f'"{_trick(rng)}" <x@evil.example>' if rng.random() < 0.3 else f"x@evil-{number}.example"
    fields = {
        "sender": sender,
        "from_name": name,
        "subject": _trick(rng),
        "disposition": verdict,
        **_check(dmarc="fail"),
    }
    return HostileMail("spoiled output", fields)


def _bend(rng: Random, number: str) -> HostileMail:
    """Write mail of which the structure is a little off."""
    mail = CHANGES[rng.choice(list(CHANGES))](rng.choice(list(write_mails(rng))), rng)
    sender, verdict = _throw_away(number), rng.choice(["MALICIOUS", "SUSPICIOUS"])
    is_bad = verdict == "MALICIOUS"
    fields = {**sender, "disposition": verdict, "subject": "Your invoice"}
    return HostileMail("bent structure", fields, mail, is_bad, str(sender["sender"]) if is_bad else "")


KINDS = (_break_raw, _forge, _borrow_name, _imitate_domain, _write_several, _spoil_output, _bend)
