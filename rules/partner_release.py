"""Mail of a partner that the filters misjudge: let it through, say so, and keep other rules off its gateway."""

from datetime import timedelta

from worker import ENFORCE, AllowSender, Keep, Message, Reclassify, Release, example, per_hour, rule, sample

from ._common import PARTNER, PARTNER_GATEWAY

MONTH = timedelta(days=30)
offer = sample.message(sender="carol@partner.example", final_disposition="SPAM", is_quarantined=True)
delivered = sample.message(sender="carol@partner.example", final_disposition="SPAM")
forged = sample.message(sender="carol@partner.example", is_quarantined=True, dmarc="fail")
two_senders = sample.message(sender="x@evil.example, carol@partner.example", is_quarantined=True)
alert = sample.message(sender=PARTNER_GATEWAY, from_name="Ada Cole")


# Allowed as acceptable, the address is spared SPAM, SPOOF and BULK: taken over, it is still held for anything worse.
@rule(mode=ENFORCE, limit=per_hour(1000), dispositions=("SPAM", "BULK", "SUSPICIOUS"))
@example(offer, gives=(Release(), Reclassify("NONE"), AllowSender("carol@partner.example", for_=MONTH)))
@example(delivered, gives=None)
@example(forged, gives=None)
@example(two_senders, gives=None)
def partner_release(message: Message) -> tuple[Release, Reclassify, AllowSender] | None:
    """Authenticated mail of our partner was quarantined: its sender is spared that for a month."""
    if not message.is_quarantined or message.domain != PARTNER or message.dmarc != "pass":
        return None
    why = f"{message.sender} is our partner's, dmarc pass"
    allow = AllowSender(message.sender, for_=MONTH, because=why)
    return Release(because=why), Reclassify("NONE", because=why), allow


@rule(mode=ENFORCE, priority=100)
@example(alert, gives=Keep())
@example(forged, gives=None)
@example(sample.message(sender=PARTNER_GATEWAY, dmarc="fail"), gives=None)
def partner_gateway(message: Message) -> Keep | None:
    """The partner's alert gateway writes under our people's names, and may."""
    return Keep() if message.sender.lower() == PARTNER_GATEWAY and message.dmarc == "pass" else None
