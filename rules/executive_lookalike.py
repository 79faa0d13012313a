"""Strangers who borrow the name of somebody in the account's impersonation registry."""

from worker import ENFORCE, Detection, Message, Move, Notify, Registry, example, per_hour, rule, sample

from ._common import is_ours

people = sample.registry({"Ada Cole": ("ada@corp.example", "ada.cole@home.example")})
ours_forged = sample.message(sender="ada@corp.example", from_name="Ada Cole", dmarc="fail")
home_forged = sample.message(sender="ada.cole@home.example", from_name="Ada Cole", dmarc="fail")
forged = sample.message(sender="ada@c0rp.example", from_name="Ada Cole", dmarc="fail")
disguised = sample.message(sender="ada@c0rp.example", from_name="ADA  cole")
genuine = sample.message(sender="ada@corp.example", from_name="Ada Cole")
at_home = sample.message(sender="Ada.Cole@home.example", from_name="Ada Cole")
stranger = sample.message(sender="cole@elsewhere.example", from_name="Adam Cole")
pay = sample.detection(links=("https://pay.example",))


# Mail judged malicious is left to malicious_mail, so that two rules never want different folders for it.
@rule(mode=ENFORCE, limit=per_hour(1000), dispositions=("SUSPICIOUS", "SPOOF", "SPAM", "BULK", "UNKNOWN"))
@example(ours_forged, people, sample.detection(), gives=(Move("JunkEmail"), Notify("soc")))
@example(home_forged, people, sample.detection(), gives=(Move("JunkEmail"), Notify("soc")))
@example(forged, people, sample.detection(), gives=(Move("JunkEmail"), Notify("soc")))
@example(disguised, people, pay, gives=(Move("DeletedItems"), Notify("soc")))
@example(genuine, people, sample.detection(), gives=None)
@example(at_home, people, sample.detection(), gives=None)
@example(stranger, people, sample.detection(), gives=None)
@example(forged, sample.registry({"Ada Cole": ()}), pay, gives=None)
def executive_lookalike(message: Message, registry: Registry, detection: Detection) -> tuple[Move, Notify] | None:
    """A stranger writes under an executive's name."""
    if message.is_quarantined or is_ours(message):
        return None
    known = registry.addresses(message.from_name)
    if not known or (message.sender.lower() in known and message.dmarc == "pass"):
        return None
    why = f"{message.from_name!r} wrote from {message.sender}, dmarc {message.dmarc or 'unknown'}"
    return Move("DeletedItems" if detection.links else "JunkEmail", because=why), Notify("soc", because=why)
