"""Malicious mail that was delivered all the same."""

from datetime import timedelta

from worker import ENFORCE, BlockSender, Message, Move, Policies, example, per_hour, rule, sample

MONTH = timedelta(days=30)
thrown_away = sample.message(sender="invoice@evil.example", final_disposition="MALICIOUS", dmarc="none")
held_back = sample.message(sender="invoice@evil.example", final_disposition="MALICIOUS", is_quarantined=True)
ours_forged = sample.message(sender="ada@corp.example", final_disposition="MALICIOUS", dmarc="fail")
customer_forged = sample.message(sender="carol@partner.example", final_disposition="MALICIOUS-BEC", dmarc="fail")
two_senders = sample.message(sender="x@evil.example, carol@partner.example", final_disposition="MALICIOUS")


# An outbreak is thousands of messages; a hundred an hour would leave most of it in people's inboxes.
@rule(mode=ENFORCE, limit=per_hour(5000), dispositions=("MALICIOUS", "MALICIOUS-BEC"))
@example(thrown_away, gives=Move("DeletedItems"))
@example(ours_forged, gives=Move("DeletedItems"))
@example(customer_forged, gives=Move("DeletedItems"))
@example(held_back, gives=None)
def malicious_mail(message: Message) -> Move | None:
    """Mail judged malicious reached an inbox."""
    if message.is_quarantined:
        return None
    return Move("DeletedItems", because=f"judged {message.final_disposition} and delivered")


# Anybody can write a customer's address into From. So the worker asks a person before it blocks a sender that the mail
# does not prove, or that wrote clean mail before: one who was forged, or whose account was taken over.
@rule(mode=ENFORCE, limit=per_hour(500), dispositions=("MALICIOUS", "MALICIOUS-BEC"))
@example(ours_forged, sample.policies(), gives=None)
@example(two_senders, sample.policies(), gives=None)
@example(customer_forged, sample.policies(trusted=("partner.example",)), gives=None)
@example(customer_forged, sample.policies(), gives=BlockSender("carol@partner.example", for_=MONTH))
@example(thrown_away, sample.policies(), gives=BlockSender("invoice@evil.example", for_=MONTH))
def malicious_sender(message: Message, policies: Policies) -> BlockSender | None:
    """Malicious mail came from this sender, or in its name."""
    if not message.domain or policies.protects(message.sender):
        return None
    proof = f"proved to be from {message.authenticated}" if message.authenticated else "and nothing proves who sent it"
    why = f"mail judged {message.final_disposition}, {proof}"
    return BlockSender(message.sender, for_=MONTH, because=why)
