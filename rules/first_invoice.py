"""Demands for money from somebody who never wrote before."""

from worker import ENFORCE, History, Message, Move, Notify, Raw, example, per_hour, rule, sample

from ._common import is_ours

MONEY = ("invoice", "payment", "bank details", "overdue")
OPENS = (".html", ".htm", ".shtml", ".svg")
demand = sample.message(subject="Overdue: your invoice", final_disposition="SUSPICIOUS")
page = sample.raw(attachments=("Invoice.HTML",))
paper = sample.raw(attachments=("invoice.pdf",))
nobody, supplier = sample.history(), sample.history("NONE", "SUSPICIOUS")
ours_forged = sample.message(
    sender="pay@corp.example", subject="Overdue: your invoice", final_disposition="SUSPICIOUS", dmarc="fail"
)
supplier_forged = sample.message(
    sender="pay@supplier.example", subject="Overdue: your invoice", final_disposition="SUSPICIOUS", dmarc="fail"
)
unknown = sample.history(more=True)  # more mail was found than could be looked through


# Each fact costs a call, so what the message itself tells is tested first. Other rules' folders have priority.
@rule(mode=ENFORCE, priority=-1, limit=per_hour(500), dispositions=("SUSPICIOUS",))
@example(ours_forged, nobody, page, gives=(Move("JunkEmail"), Notify("soc")))
@example(supplier_forged, supplier, page, gives=(Move("JunkEmail"), Notify("soc")))
@example(demand, nobody, page, gives=(Move("JunkEmail"), Notify("soc")))
@example(demand, nobody, paper, gives=None)
@example(demand, supplier, page, gives=None)
@example(demand, unknown, page, gives=None)
@example(sample.message(subject="Lunch?", final_disposition="SUSPICIOUS"), nobody, page, gives=None)
def first_invoice(message: Message, history: History, raw: Raw) -> tuple[Move, Notify] | None:
    """A stranger demands money, with a file that opens as a web page."""
    if message.is_quarantined or is_ours(message) or not any(word in message.subject.lower() for word in MONEY):
        return None
    # Whoever forges a supplier's address finds its history there.
    if message.authenticated and (history.messages or history.more):
        return None
    pages = [one.filename for one in raw.attachments if one.filename.lower().endswith(OPENS)]
    if not pages:
        return None
    who = "never wrote before" if message.authenticated else "does not prove who it is"
    why = f"{message.sender} {who} and demands money with {pages[0]!r}"
    return Move("JunkEmail", because=why), Notify("soc", because=why)
