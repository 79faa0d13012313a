"""Lookalikes: no disguise hides a registered name or one of our domains, and hardly anybody ordinary resembles one."""

import re
from collections.abc import Callable
from random import Random

import pytest

from tests.cells import each
from worker import lookalike, sample
from worker.language.policies import Registry

Disguise = Callable[[Random, str], str]
CYRILLIC = str.maketrans(
    "aAeEoOpPcCxXyBHKMT",
    "\u0430\u0410\u0435\u0415\u043e\u041e\u0440\u0420\u0441\u0421\u0445\u0425\u0443\u0412\u041d\u041a\u041c\u0422",
)
GREEK = str.maketrans(
    "oOABEZHIKMNPTX", "\u03bf\u039f\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u03a1\u03a4\u03a7"
)
FULL = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
BOLD = {ord(sign): 0x1D400 + at for at, sign in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")}
UNSEEN = "\u200b\u200d\u2060\u00ad\u202e\ufe0f\u034f"
MARKS = "\u0301\u0300\u0308\u0323"
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def put_in(rng: Random, text: str, signs: str) -> str:
    """Put signs between the letters of a text, after the first."""
    return text[0] + "".join(one + rng.choice(["", rng.choice(signs)]) for one in text[1:]) + rng.choice(signs)


def swap_words(_: Random, name: str) -> str:
    first, last = name.rsplit(" ", 1)
    return f"{last}, {first}"


def find_letters(name: str) -> list[int]:
    """Return where letters stand."""
    return [at for at, letter in enumerate(name) if letter.isalpha()]


def find_inner(name: str) -> list[int]:
    """Return where letters stand in words of four or more, but for their first and last."""
    return [at for word in re.finditer(r"\w{4,}", name) for at in range(word.start() + 1, word.end() - 1)]


NAMES: dict[str, Disguise] = {
    "case and spaces": lambda rng, name: rng.choice([name.upper(), name.lower(), name.replace(" ", " \u00a0 ")]),
    "signs that nobody sees": lambda rng, name: put_in(rng, name, UNSEEN),
    "letters of another script": lambda rng, name: name.translate(rng.choice([CYRILLIC, GREEK])),
    "letters of another form": lambda rng, name: name.translate(rng.choice([FULL, BOLD])),
    "letters that look alike": lambda _, name: name.replace("l", "1").replace("o", "0").replace("m", "rn"),
    "accents": lambda rng, name: put_in(rng, name, MARKS),
    "titles and other words": lambda rng, name: rng.choice(["Dr. {}", "{} (CEO)", "{} – Corp", "{} via Sign"]).format(
        name
    ),
    "another order": swap_words,
    "a letter twice": lambda rng, name: name[: (at := rng.choice(find_letters(name)))] + name[at] + name[at:],
    "a letter too few": lambda rng, name: name[: (at := rng.choice(find_inner(name)))] + name[at + 1 :],
    "letters swapped": lambda rng, name: (
        name[: (at := rng.choice(find_inner(name)))] + name[at + 1] + name[at] + name[at + 2 :]
    ),
    "no spaces, or other signs": lambda rng, name: rng.choice([name.replace(" ", ""), ".".join(name.split())]),
    "an address": lambda rng, name: rng.choice(["{}@corp.example", "<{}@corp.example>", "{}@evil.example"]).format(
        name.replace(" ", ".").lower()
    ),
}
DOMAINS: dict[str, Disguise] = {
    "letters that look alike": lambda _, domain: domain.replace("l", "1").replace("o", "0").replace("m", "rn"),
    "letters of another script": lambda _, domain: domain.rpartition(".")[0].translate(CYRILLIC) + ".example",
    "punycode": lambda _, d: d.rpartition(".")[0].translate(CYRILLIC).encode("idna").decode() + ".example",
    "a letter too few": lambda rng, domain: domain[: (at := rng.randrange(1, 5))] + domain[at + 1 :],
    "a letter too many": lambda rng, domain: domain[: (at := rng.randrange(1, 5))] + "x" + domain[at:],
    "a letter changed": lambda rng, domain: domain[: (at := rng.randrange(1, 5))] + "x" + domain[at + 1 :],
    "letters swapped": lambda _, domain: domain[0] + domain[2] + domain[1] + domain[3:],
    "another suffix": lambda rng, domain: domain.rpartition(".")[0] + rng.choice([".test", ".co.uk", ".com"]),
    "other words": lambda rng, d: rng.choice(["login-{}", "{}-pay"]).format(d.rpartition(".")[0]) + ".test",
    "our domain below another": lambda _, domain: f"{domain}.login.test",
    "our domain in one word": lambda _, domain: domain.replace(".", "-") + ".test",
}


def make_word(rng: Random, syllables: int) -> str:
    return "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(syllables)) + rng.choice(
        ["", "n", "r", "s"]
    )


def make_names(rng: Random, count: int) -> list[str]:
    """Make up people: some have a second first name, or an initial."""

    def make_name() -> str:
        middle = rng.choice(["", "", "", rng.choice("ABCDEFGH") + ".", make_word(rng, 2)])
        words = make_word(rng, rng.choice((1, 2, 2, 3))), middle, make_word(rng, rng.choice((2, 2, 3)))
        return " ".join(filter(None, words)).title()

    return [make_name() for _ in range(count)]


def make_domains(rng: Random, count: int) -> list[str]:
    """Make up firms: one word or two, as firms call themselves."""
    second = ["", "", "", "-group", "soft", "bank", "-it", "haus", "media"]
    return [f"{make_word(rng, rng.choice((2, 3, 4)))}{rng.choice(second)}.example" for _ in range(count)]


@each("kind", NAMES)
def test_no_disguise_hides_a_registered_name(kind: str) -> None:
    rng = Random(kind)
    names = [f"{make_word(rng, 2).title()} {make_word(rng, 3).title()}" for _ in range(200)]
    registry = Registry.of((name, f"{name.replace(' ', '.').lower()}@corp.example") for name in names)
    missed = [(name, shown) for name in names if registry.resembles(shown := NAMES[kind](rng, name)) != name.lower()]
    assert missed == []


@each("kind", DOMAINS)
def test_no_disguise_hides_what_a_domain_imitates(kind: str) -> None:
    rng = Random(kind)
    ours = [domain for domain in make_domains(rng, 300) if len(domain.partition(".")[0]) > 7]
    changed = [(domain, shown) for domain in ours if (shown := DOMAINS[kind](rng, domain)) != domain]
    assert len(changed) > 50
    assert [pair for pair in changed if lookalike(pair[1], [pair[0]]) != pair[0]] == []


@pytest.mark.slow
def test_hardly_anybody_ordinary_resembles_somebody_registered() -> None:
    rng = Random(1)
    registry = Registry.of((name, None) for name in make_names(rng, 200))
    others = [name for name in make_names(rng, 10_000) if not registry.knows(name)]
    assert sum(bool(registry.resembles(name)) for name in others) <= 10


@pytest.mark.slow
def test_hardly_any_ordinary_domain_imitates_another() -> None:
    rng = Random(2)
    ours = make_domains(rng, 200)
    others = set(make_domains(rng, 1_100)) - set(ours)
    assert sum(bool(lookalike(domain, ours)) for domain in sorted(others)[:1_000]) <= 1


@each("ours", ["corp.example", "mail.corp.example", "CORP.example.", ""])
def test_one_of_ours_imitates_nobody(ours: str) -> None:
    assert lookalike(ours, ["corp.example", "c0rp.example"]) == ""


@each("shown", ["ada@\uff43orp.example", "co\u200brp.example", "c0rp.example", "x@y.corp.example.evil.test"])
def test_ours_in_other_signs_is_not_ours(shown: str) -> None:
    assert lookalike(shown, ["corp.example"]) == "corp.example"


@each("shown", ["Aada Cole", "Ada Coole", "Adaa Coolle (CEO)", "Ada Cle", "Ada Cloe", "Cloe, Ada", "Aad Cole"])
def test_a_misspelt_name_is_found(shown: str) -> None:
    assert sample.registry({"Ada Cole": ("ada@corp.example",)}).resembles(shown) == "ada cole"


@each("shown", ["Adam Cole", "Ad Cole", "Ada Coles", "Ada Col", "Ida Cole", "Ada", "Cole", "Ada Colin", "a b c Cole"])
def test_another_name_is_not_taken_for_a_misspelt_one(shown: str) -> None:
    assert sample.registry({"Ada Cole": ("ada@corp.example",)}).resembles(shown) == ""


def test_a_name_of_one_word_is_found_alone_or_with_a_title() -> None:
    registry = sample.registry({"Payroll": ("pay@corp.example",)})
    assert registry.resembles("PAYR0LL") == registry.resembles("Dr. Payroll") == "payroll"
    assert registry.resembles("Payroll Weekly") == ""
    assert registry.resembles("") == registry.resembles("\u200b") == ""
