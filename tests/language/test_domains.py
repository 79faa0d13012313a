"""Domains: who registered them, at which anybody gets an address, and what a mail proves about its own."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker import sample
from worker.language.domains import (
    _providers,
    _suffixes,
    authenticate,
    is_freemail,
    is_public_suffix,
    lies_within,
    load_lists,
    registrable,
    to_ascii,
)

RESULTS = ("pass", "neutral", "fail", "error", "none", "", "FAIL")
WORD = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)


@each(
    ("domain", "part"),
    [
        ("mail.corp.example", "corp.example"),
        ("a.b.co.uk", "b.co.uk"),
        ("shop.BÜCHER.de", "xn--bcher-kva.de"),
        ("me.github.io", "me.github.io"),
        ("github.io", ""),
        ("co.uk", ""),
        ("example", ""),
        ("192.0.2.1", ""),
        ("a..example", ""),
        ("_dmarc.corp.example", "corp.example"),
        ("customer.example/evil.example", ""),
        ("customer.example evil.example", ""),
        (f"{'a' * 64}.example", ""),
        (f"{'a.' * 124}example", ""),
        ("", ""),
    ],
)
def test_the_registrable_part_of_a_domain_is_what_somebody_bought(domain: str, part: str) -> None:
    assert registrable(domain) == part


def test_public_suffixes_and_mail_providers_are_known_in_any_writing() -> None:
    assert all(map(is_public_suffix, ["com", "CO.UK", "github.io", "公司.cn"]))
    assert not any(map(is_public_suffix, ["corp.example", "192.0.2.1", "2001:db8::1", ""]))
    assert all(map(is_freemail, ["gmail.com", "GMX.de", "tuta.com", "mail.yahoo.com"]))
    assert not any(map(is_freemail, ["corp.example", "com", ""]))


@each("inner", ["bücher.example", "xn--bcher-kva.example", "shop.BÜCHER.example.", "a.bücher。example"])
def test_a_domain_lies_within_another_in_either_writing(inner: str) -> None:
    assert lies_within(inner, "bücher.example")
    assert not lies_within("notbücher.example", "bücher.example")
    assert not lies_within(inner, "")


@given(st.text())
def test_any_text_can_be_asked_about(text: str) -> None:
    assert to_ascii(to_ascii(text)) == to_ascii(text)
    assert isinstance(registrable(text), str)
    assert not (is_public_suffix(text) and registrable(text))
    assert is_freemail(text) in {True, False}


@given(WORD, WORD, st.text(st.characters(max_codepoint=0x7F, exclude_categories=["L", "N"], exclude_characters="-_.")))
def test_a_name_with_a_sign_that_no_host_has_proves_nothing(ours: str, theirs: str, signs: str) -> None:
    domain = f"{ours}.example{signs}{theirs}.example"
    assert bool(registrable(domain)) == (signs == "")
    assert sample.message(sender=f"x@{domain}", dmarc="pass").authenticated == registrable(domain)


@given(WORD, WORD, WORD, st.sampled_from(RESULTS), st.sampled_from(RESULTS))
def test_nothing_but_dmarc_or_an_aligned_spf_proves_a_domain(
    ours: str, theirs: str, local: str, spf: str, dmarc: str
) -> None:
    sender, other = f"{local}@mail.{ours}.example", f"bounce@{theirs}x{ours}.example"
    aligned = authenticate(sender, f"bounce@{ours}.example", spf, dmarc)
    strange = authenticate(sender, other, spf, dmarc)
    by_spf = spf == "pass" and dmarc.lower() != "fail"
    assert aligned == (f"{ours}.example" if dmarc == "pass" or by_spf else "")
    assert strange == (f"{ours}.example" if dmarc == "pass" else "")


@given(st.lists(WORD, min_size=2, max_size=3), st.sampled_from([", ", ",", " ", ";", "> <", "\n"]))
def test_several_addresses_prove_nothing(names: list[str], between: str) -> None:
    sender = between.join(f"{name}@{name}.example" for name in names)
    assert authenticate(sender, sender, "pass", "pass") == ""


def test_dkim_alone_proves_nothing() -> None:
    for spf, dmarc in product(["none", "neutral", "fail", ""], ["none", "fail", "error", ""]):
        assert sample.message(spf=spf, dkim="pass", dmarc=dmarc).authenticated == ""


def test_a_message_tells_what_it_proves() -> None:
    assert sample.message(sender="Ada@Mail.Corp.Example", dmarc="pass").authenticated == "corp.example"
    assert sample.message(sender="x@new.example", dmarc="none", spf="pass").authenticated == "new.example"
    assert sample.message(sender="ada@corp.example", dmarc="fail", spf="pass").authenticated == ""
    assert sample.message(sender="a@co.uk", dmarc="pass").authenticated == ""


def test_the_kept_lists_are_loaded_before_anybody_waits_for_them() -> None:
    _suffixes.cache_clear()
    _providers.cache_clear()
    load_lists()
    assert (_suffixes.cache_info().currsize, _providers.cache_info().currsize) == (1, 1)
