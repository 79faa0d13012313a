"""The account's own lists: whom they protect, however the address is written."""

from tests.cells import each
from worker import Policies
from worker.language.base import CUT, TEXT_LIMIT
from worker.language.policies import Registry, owns


@each(
    ("pattern", "says"),
    [
        ("ada@corp.example", "domains"),
        ("CORP.EXAMPLE", "domains"),
        ("mail.corp.example", "domains"),
        ("ada@mail.corp.example", "domains"),
        ("example", "domains"),
        ("notcorp.example", ""),
        ("pal@friend.example", "allow policies"),
        ("other@friend.example", ""),
        ("friend.example", "allow policies"),
        ("192.0.2.5", "allow policies"),
        ("192.0.0.0/16", "allow policies"),
        ("198.51.100.1", ""),
        ("2001:db8::1", "allow policies"),
        ("x@trusted.example", "trusted"),
        ("x@sub.trusted.example", "trusted"),
        ("sub.trusted.example", "trusted"),
        ("x@untrusted.example", ""),
        ("x@deep.b\u00fccher.test", "trusted"),
        ("", ""),
    ],
)
def test_the_accounts_own_lists_protect(pattern: str, says: str) -> None:
    allowed = ("pal@friend.example", "192.0.2.0/24", "2001:db8::/32", "1.not.an.ip")
    lists = Policies(domains=("corp.example",), allowed=allowed, trusted=("trusted.example", "xn--bcher-kva.test"))
    assert lists.protects(pattern) == says


@each(
    ("expression", "pattern", "says"),
    [
        (r".*@friend\.example", "pal@friend.example", True),
        (r".*@friend\.example", "friend.example", True),
        (r".*@friend\.example", "pal@other.example", False),
        (r"^PAL[0-9]++@(?:a|b)\.example$", "pal7@b.example", True),
        (r"^10\.0\.", "10.0.0.1", True),
        (r"(", "anybody@else.example", True),
        (r"^(a|aa)+$", "a" * 60 + "!@else.example", True),
    ],
)
def test_a_policy_that_is_a_regular_expression_protects_whom_it_finds_and_everybody_where_it_cannot_be_tried(
    expression: str, pattern: str, *, says: bool
) -> None:
    assert bool(Policies(expressions=(expression,)).protects(pattern)) is says


@each("own", ["bücher.example", "xn--bcher-kva.example"])
@each("pattern", ["bücher.example", "ada@xn--bcher-kva.example", "shop.BÜCHER.example"])
def test_a_domain_is_ones_own_in_either_writing(own: str, pattern: str) -> None:
    assert owns([own], pattern)
    assert not owns([own], "xn--.example")


@each(
    "shown",
    [
        "josé  Núñez",
        "Jose\u0301 Nu\u0301n\u0303ez",
        "José\u200b Núñez",
        "José\u00a0Nú\u00adñez",
        "\u202aJosé Núñez",
        "\uff2aosé Núñez",
        "José\ufe0f Núñ\u034fez",
        "José\ufffd \ufffdNúñez",
        ("José Núñez" + TEXT_LIMIT * "\u200b")[:TEXT_LIMIT] + CUT,
    ],
)
def test_a_name_that_looks_like_one_of_the_registry_is_found_there(shown: str) -> None:
    registry = Registry.of([("José Núñez", "jose@corp.example")])
    assert registry.addresses(shown) == ("jose@corp.example",)
    assert not registry.knows("Jose Nunez")


@each(
    ("expression", "address", "says"),
    [
        (r"ada(\.cole)?@(corp|home)\.example", "Ada.Cole@home.example", True),
        (r"ada(\.cole)?@(corp|home)\.example", "ada@stranger.example", False),
        (r"(", "anybody@else.example", True),
        (r"^(a|aa)+$", "a" * 60 + "!@else.example", True),
    ],
)
def test_a_registered_address_that_is_a_regular_expression_is_compared(
    expression: str, address: str, *, says: bool
) -> None:
    registry = Registry.of([("Max Roe", "max@corp.example")], [("Ada Cole", expression)])
    assert registry.is_registered(address) is registry.owns("ADA COLE", address) is says
    assert not registry.owns("Max Roe", address)
    assert registry.addresses("Ada Cole") == ()


@each(
    ("expression", "domain", "says"),
    [
        (r"ada@corp\.example", "corp.example", True),
        (r"ada@corp[.]example$", "example", True),
        (r"^ada@(corp|home)\.example$", "home.example", True),
        (r"^ada@.*\.corp\.example", "mail.corp.example", True),
        (r"ada@corp\.example", "evil.example", False),
        (r"ada.*", "evil.example", True),
        (r"ada@(", "evil.example", True),
    ],
)
def test_a_domain_holds_a_registered_expression_unless_it_cannot(expression: str, domain: str, *, says: bool) -> None:
    assert Registry.of([], [("Ada Cole", expression)]).has_within(domain) is says


def test_whose_address_nobody_knows_may_write_from_any() -> None:
    registry = Registry.of([("Ada Cole", None)])
    assert registry.owns("Ada Cole", "x@evil.example")
    assert not registry.owns("Nobody Else", "x@evil.example")
    assert not registry.is_registered("x@evil.example")
