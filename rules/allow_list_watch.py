"""Allow policies through which anybody could come in."""

from worker import ENFORCE, AllowPolicy, Notify, example, rule, sample

from ._common import FREEMAIL

freemail = sample.allow_policy("gmail.com", pattern_type="DOMAIN")
friend = sample.allow_policy("friend@gmail.com")
unchecked = sample.allow_policy("partner.example", pattern_type="DOMAIN", is_trusted_sender=True, verify_sender=False)
checked = sample.allow_policy("partner.example", pattern_type="DOMAIN", is_trusted_sender=True)


@rule(mode=ENFORCE)
@example(freemail, gives=Notify("soc"))
@example(unchecked, gives=Notify("soc"))
@example(friend, gives=None)
@example(checked, gives=None)
def allow_list_watch(policy: AllowPolicy) -> Notify | None:
    """Somebody allowed what anybody can write from."""
    if policy.pattern.lower() in FREEMAIL:
        return Notify("soc", because=f"an allow policy lets everybody at {policy.pattern} through")
    if policy.is_trusted_sender and not policy.verify_sender:
        return Notify("soc", because=f"an allow policy trusts {policy.pattern}, and anybody can forge that")
    return None
