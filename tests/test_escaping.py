"""Text from strangers is shown without controlling the terminal."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from worker.escaping import defang, escape, refang

anything = st.text(st.characters(exclude_categories=[]))


@given(anything, st.integers(min_value=1, max_value=400))
def test_nothing_that_steers_or_hides_comes_through(text: str, limit: int) -> None:
    shown = escape(text, limit)
    assert len(shown) <= limit
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert escape(shown, limit) == shown


@given(st.text("abc äß漢字 \\'\"<>", max_size=300))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


def test_controls_and_hidden_characters_are_shown_as_their_numbers() -> None:
    assert escape("\x1b[2J\u202eexe\u200b\n\U000e0041\u3164") == (
        "\\u001B[2J\\u202Eexe\\u200B\\u000A\\U000E0041\\u3164"
    )


def test_what_is_too_long_says_so_and_no_number_is_cut_in_two() -> None:
    assert escape("abcdef", 5) == "abcd…"
    assert escape("ab\x1bcdef", 7) == "ab…"
    assert len(escape("x" * 5_000_000)) == 300


LIVE = re.compile(
    r"(?<=[a-z0-9+.-])://(?!(?<=https://)one\.dash\.cloudflare\.com/)|www[.\u3002]\w|\bms-[a-z-]+:\w", re.IGNORECASE
)
schemes = st.from_regex(r"[A-Za-z][A-Za-z0-9+.-]{0,12}", fullmatch=True)
names = st.from_regex(r"[a-z0-9-]{1,9}(\.[a-z]{2,9}){1,3}", fullmatch=True)
addresses = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(
        [
            "http://",
            "HTTPS://",
            "ftp://",
            "hTTp://",
            "www.",
            "https://user@",
            "http://one.dash.cloudflare.com@",
            "file://",
            "ssh://a@",
            "www\u3002",
            "tg://",
            "ms-word:ofe|u|https://",
            "ms-msdt:id",
            "slack://one.dash.cloudflare.com/",
        ]
    )
    | schemes.map("{}://".format),
    names,
    st.sampled_from(["", ":8080", ".", "#"]),
    st.sampled_from(["", "/", "/a.b?c=http://d.example", " https://one.dash.cloudflare.com.evil.example"]),
)


@given(st.lists(st.one_of(addresses, anything), max_size=5).map(" ".join))
def test_no_web_address_stays_a_link(text: str) -> None:
    shown = defang(text)
    assert not LIVE.search(shown)
    assert refang(shown) == refang(text)
    assert defang(shown) == shown


def test_settings_of_our_own_stay_as_they_are_and_nothing_that_ends_like_them() -> None:
    assert defang("sqlite:///worker.db log://") == "sqlite:///worker.db log://"
    assert defang("x-log://a.example") == "x-log[:]//a[.]example"


def test_a_link_to_the_dashboard_stays_one() -> None:
    assert defang("see https://one.dash.cloudflare.com/a/email-security") == (
        "see https://one.dash.cloudflare.com/a/email-security"
    )
