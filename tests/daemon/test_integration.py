"""The integration with the mailboxes: when mail cannot be moved any more, and for which domains that matters."""

import pytest

from worker.api.models import AccountDomain, Authorization
from worker.daemon.integration import find_loss


def domain(name: str, *, authorized: bool = True, status: str = "ACTIVE", provider: str = "Microsoft") -> AccountDomain:
    said = Authorization(authorized=authorized, status_message="" if authorized else "consent revoked")
    return AccountDomain(domain=name, status=status, inbox_provider=provider, authorization=said)


def test_all_that_need_one_and_have_none_are_a_loss() -> None:
    lost = find_loss([domain("a.example", authorized=False), domain("mx.example", authorized=False, provider="")], [])
    assert lost.startswith("no domain's mailboxes can be reached any more: a.example: consent revoked; authorise")


@pytest.mark.parametrize("now", [{"authorized": False}, {"status": "FAILED"}, {"status": "timeout"}])
def test_one_that_was_good_before_is_a_loss_of_its_own(now: dict[str, object]) -> None:
    domains = [domain("a.example"), domain("B.example", **now)]  # type: ignore[arg-type]
    assert find_loss(domains, []) == ""
    assert "the mailboxes of B.example cannot be reached" in find_loss(domains, ["b.example"])


def test_what_needs_none_misses_none() -> None:
    assert find_loss([domain("mx.example", authorized=False, provider="")], []) == ""
    assert find_loss([domain("a.example")], ["a.example"]) == ""


def test_one_that_was_good_before_is_missed_though_nothing_says_that_it_needs_one() -> None:
    domains = [domain("a.example"), domain("b.example", authorized=False, provider="")]
    assert "the mailboxes of b.example cannot be reached" in find_loss(domains, ["b.example"])


def test_a_list_that_shows_no_domain_or_not_all_is_no_proof_that_they_can_be_reached() -> None:
    assert find_loss([], ["a.example"]).startswith("no domain is listed any more, so whether mailboxes")
    assert find_loss([domain("a.example")], ["a.example"], 1).startswith("1 domain of the account cannot be read")
    assert find_loss([], []) == ""
