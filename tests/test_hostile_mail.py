"""Hostile mail against the shipped rules: whatever a rule trusts is forged, the exact forgery of our domain first."""

from random import Random

from rules.executive_lookalike import executive_lookalike
from rules.first_invoice import first_invoice
from rules.malicious_mail import malicious_sender
from rules.partner_release import partner_gateway, partner_release
from tests.cells import each
from tests.hostile import forge
from tests.language.test_lookalikes import NAMES
from worker import sample
from worker.ledger.doubts import covers

OURS = ("ada@corp.example", "pay@corp-eu.example")
REGISTERED = ("ada@corp.example", "ada.cole@home.example")
PARTNERS = ("carol@partner.example", "no-reply@alerts.partner.example")
COUNT = 1000
people = sample.registry({"Ada Cole": REGISTERED})
page = sample.raw(attachments=("invoice.html",))


def test_nobody_who_forges_our_people_passes_for_one_of_them() -> None:
    for mail in forge(OURS + REGISTERED, COUNT, from_name="Ada Cole", final_disposition="SPOOF"):
        assert executive_lookalike(mail, people, sample.detection()), mail


def test_nobody_who_forges_us_or_a_supplier_is_spared_for_its_history() -> None:
    known = sample.history("NONE", "NONE")
    for mail in forge((*OURS, "pay@supplier.example"), COUNT, subject="Invoice", final_disposition="SUSPICIOUS"):
        assert first_invoice(mail, known, page), mail


def test_nobody_who_forges_the_partner_is_released_or_spared() -> None:
    for mail in forge(PARTNERS, COUNT, is_quarantined=True):
        assert partner_release(mail) is None, mail
        assert partner_gateway(mail) is None, mail


def test_no_block_of_a_forged_sender_goes_without_a_person() -> None:
    for mail in forge(OURS + PARTNERS, COUNT, final_disposition="MALICIOUS"):
        wanted = malicious_sender(mail, sample.policies(domains=("corp.example", "corp-eu.example")))
        assert wanted is None or not covers(mail.authenticated, wanted.on), mail
        assert mail.sender.lower() not in OURS or wanted is None, mail


@each("kind", NAMES)
def test_no_disguise_of_a_registered_name_passes(kind: str) -> None:
    rng = Random(kind)
    for _ in range(100):
        mail = sample.message(
            sender="x@evil.example", from_name=NAMES[kind](rng, "Ada Cole"), final_disposition="SPOOF"
        )
        assert executive_lookalike(mail, people, sample.detection()), mail.from_name
