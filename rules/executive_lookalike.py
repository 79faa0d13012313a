"""Strangers who borrow the name of somebody in the account's impersonation registry, or a domain like ours."""

from worker import ENFORCE, Detection, Message, Move, Notify, Registry, example, lookalike, per_hour, rule, sample

from ._common import OUR_DOMAINS, is_ours

people = sample.registry({"Ada Cole": ("ada@corp.example", "ada.cole@home.example")})
anywhere = sample.registry(expressions={"Ada Cole": r"ada(\.cole)?@(corp|home)\.example"})
ours_forged = sample.message(sender="ada@corp.example", from_name="Ada Cole", dmarc="fail")
payroll_forged = sample.message(sender="pay@corp.example", from_name="Payroll", dmarc="fail")
home_forged = sample.message(sender="ada.cole@home.example", from_name="Ada Cole", dmarc="fail")
reordered = sample.message(sender="ada@stranger.example", from_name="Cole, Ada (CEO)")
disguised = sample.message(
    sender="ada@stranger.example", from_name="\u0410da\u200b C\u043ele"
)  # two letters are Cyrillic
addressed = sample.message(sender="ada@stranger.example", from_name="ada@corp.example")
alike = sample.message(sender="pay@c0rp.example", from_name="Payroll")
genuine = sample.message(sender="ada@corp.example", from_name="Ada Cole")
at_home = sample.message(sender="Ada.Cole@home.example", from_name="Ada Cole")
stranger = sample.message(sender="cole@elsewhere.example", from_name="Adam Cole")
forged = sample.message(sender="ada@stranger.example", from_name="Ada Cole", dmarc="fail")
pay = sample.detection(links=("https://pay.example",))
aside = (Move("JunkEmail"), Notify("soc"))


# Mail judged malicious is left to malicious_mail, so that two rules never want different folders for it.
@rule(mode=ENFORCE, limit=per_hour(1000), dispositions=("SUSPICIOUS", "SPOOF", "SPAM", "BULK", "UNKNOWN"))
@example(ours_forged, people, sample.detection(), gives=aside)
@example(home_forged, people, sample.detection(), gives=aside)
@example(reordered, people, sample.detection(), gives=aside)
@example(disguised, people, sample.detection(), gives=aside)
@example(payroll_forged, people, sample.detection(), gives=aside)
@example(addressed, people, sample.detection(), gives=aside)
@example(alike, people, sample.detection(), gives=aside)
@example(forged, people, pay, gives=(Move("DeletedItems"), Notify("soc")))
@example(genuine, people, sample.detection(), gives=None)
@example(at_home, people, sample.detection(), gives=None)
@example(stranger, people, sample.detection(), gives=None)
@example(forged, anywhere, sample.detection(), gives=aside)
@example(at_home, anywhere, sample.detection(), gives=None)
@example(reordered, sample.registry({"Ada Cole": ()}), sample.detection(), gives=None)
def executive_lookalike(message: Message, registry: Registry, detection: Detection) -> tuple[Move, Notify] | None:
    """A stranger writes under an executive's name, or from a domain that looks like ours."""
    if message.is_quarantined or is_ours(message):
        return None
    borrowed = registry.resembles(message.from_name)
    is_forged = message.domain in OUR_DOMAINS and message.dmarc == "fail"
    imitated = message.domain if is_forged else lookalike(message.sender, OUR_DOMAINS)
    if borrowed and registry.owns(borrowed, message.sender) and message.dmarc == "pass":
        return None
    if not borrowed and not imitated:
        return None
    why = f"{message.from_name!r} wrote from {message.sender}, dmarc {message.dmarc or 'unknown'}"
    why += f", which looks like {imitated}" if imitated and not is_forged else ""
    return Move("DeletedItems" if detection.links else "JunkEmail", because=why), Notify("soc", because=why)
