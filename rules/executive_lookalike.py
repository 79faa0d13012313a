"""Strangers who borrow the name of someone we trust."""

from worker import ENFORCE, Detection, Message, Move, Notify, example, per_hour, rule, sample

from ._common import EXECUTIVES, OUR_DOMAINS

forged = sample.message(sender="ada@c0rp.example", from_name="Ada Cole", dmarc="fail")
genuine = sample.message(sender="ada@corp.example", from_name="Ada Cole")
stranger = sample.message(sender="cole@elsewhere.example", from_name="Adam Cole")


# Mail judged malicious is left to malicious_mail, so that two rules never want different folders for it.
@rule(mode=ENFORCE, limit=per_hour(1000), dispositions=("SUSPICIOUS", "SPOOF", "SPAM", "BULK", "UNKNOWN"))
@example(forged, sample.detection(), gives=(Move("JunkEmail"), Notify("soc")))
@example(forged, sample.detection(links=("https://pay.example",)), gives=(Move("DeletedItems"), Notify("soc")))
@example(genuine, sample.detection(), gives=None)
@example(stranger, sample.detection(), gives=None)
def executive_lookalike(message: Message, detection: Detection) -> tuple[Move, Notify] | None:
    """A stranger writes under an executive's name."""
    if message.is_quarantined or message.from_name not in EXECUTIVES or message.domain in OUR_DOMAINS:
        return None
    why = f"{message.from_name!r} wrote from {message.sender}, dmarc {message.dmarc or 'unknown'}"
    return Move("DeletedItems" if detection.links else "JunkEmail", because=why), Notify("soc", because=why)
