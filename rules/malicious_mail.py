"""Malicious mail that was delivered all the same."""

from datetime import timedelta

from worker import ENFORCE, BlockSender, Message, Move, Policies, example, per_hour, rule, sample

MONTH = timedelta(days=30)
delivered = sample.message(sender="invoice@evil.example", final_disposition="MALICIOUS", dmarc="fail")
held_back = sample.message(sender="invoice@evil.example", final_disposition="MALICIOUS", is_quarantined=True)
robbed = sample.message(sender="carol@partner.example", final_disposition="MALICIOUS-BEC", dmarc="pass")
ours = sample.message(sender="ada@corp.example", final_disposition="MALICIOUS", dmarc="fail")


# An outbreak is thousands of messages; a hundred an hour would leave most of it in people's inboxes.
@rule(mode=ENFORCE, limit=per_hour(5000), dispositions=("MALICIOUS", "MALICIOUS-BEC"))
@example(delivered, gives=Move("DeletedItems"))
@example(robbed, gives=Move("DeletedItems"))
@example(held_back, gives=None)
def malicious_mail(message: Message) -> Move | None:
    """Mail judged malicious reached an inbox."""
    if message.is_quarantined:
        return None
    return Move("DeletedItems", because=f"judged {message.final_disposition} and delivered")


# Where DMARC passes, somebody's real account was taken over: a block would hit its owner too, so that is for a person.
@rule(mode=ENFORCE, limit=per_hour(500), dispositions=("MALICIOUS", "MALICIOUS-BEC"))
@example(delivered, sample.policies(), gives=BlockSender("invoice@evil.example", for_=MONTH))
@example(robbed, sample.policies(), gives=None)
@example(ours, sample.policies(), gives=None)
@example(delivered, sample.policies(allowed=("evil.example",)), gives=None)
def malicious_sender(message: Message, policies: Policies) -> BlockSender | None:
    """Malicious mail came from a sender that DMARC does not vouch for."""
    if message.dmarc == "pass" or not message.sender or policies.protects(message.sender):
        return None
    why = f"sent mail judged {message.final_disposition}, dmarc {message.dmarc or 'unknown'}"
    return BlockSender(message.sender, for_=MONTH, because=why)
