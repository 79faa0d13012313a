"""Links are those that a person can click, lead where browsers go, and come with what the person sees."""

import pytest

from tests.cells import each
from worker.mime.addresses import resolve
from worker.mime.letter import Letter, MailLink
from worker.mime.octets import Octets
from worker.mime.reader import read_letter

EVIL = "https://evil.example/x"


def page(html: str) -> Letter:
    """Read a mail with this page."""
    return read_letter(Octets(f"Content-Type: text/html; charset=utf-8\n\n{html}".encode()))


def text(plain: str) -> Letter:
    """Read a mail with this text."""
    return read_letter(Octets(f"Content-Type: text/plain; charset=utf-8\n\n{plain}".encode()))


def hrefs(mail: Letter) -> list[str]:
    return [link.href for link in mail.links]


@each(
    ("html", "href"),
    [
        (f"<a href={EVIL}>", EVIL),
        (f"<A\nHREF\n=\n'{EVIL}'>", EVIL),
        (f"<a/href='{EVIL}'/>", EVIL),
        ("<a href='https://ev\nil.exa\tmple/x'>", EVIL),
        ("<a href=' \u0001https:\\\\evil.example\\x '>", EVIL),
        ("<a href='HTTPS://EVIL.example:443/x'>", EVIL),
        ("<a href='https:&#x2F;/evil&period;example/x'>", EVIL),
        ("<a href='https://user@good.example:pw@evil.example/x'>", "https://user%40good.example:pw@evil.example/x"),
        ("<a href='http://0x7f.1/'>", "http://127.0.0.1/"),
        ("<a href='https://evil.example/?a=1&timestamp=12&copy=2'>", "https://evil.example/?a=1&timestamp=12&copy=2"),
        ("<a href='x'><base href='https://evil.example/a/'>", "https://evil.example/a/x"),
        ("<base href='https://evil.example'><a href='//other.example'>", "https://other.example/"),
        (f"<map><area href='{EVIL}' alt=a></map>", EVIL),
        (f"<svg><a xlink:href='{EVIL}'>a</a></svg>", EVIL),
        (f"<form action='{EVIL}'><input></form>", EVIL),
        (f"<button formaction='{EVIL}'>", EVIL),
        (f"<!--[if mso]><v:roundrect href='{EVIL}'>a</v:roundrect><![endif]-->", EVIL),
        (f"<![if !mso]><a href='{EVIL}'>a</a><![endif]>", EVIL),
        (f"<p>Your order: {EVIL}.</p>", EVIL),
        ("https://evil.exa<b>mple</b>/x", EVIL),
        ("<p>www.evil.example/x</p>", "http://www.evil.example/x"),
        ("<a href='mailto:a@evil.example'>", "mailto:a@evil.example"),
        ("<a href='javascript:alert(1)'>", "javascript:alert(1)"),
    ],
)
def test_a_link_of_a_page_leads_where_browsers_go(html: str, href: str) -> None:
    assert hrefs(page(f"<body>{html}")) == [href]


@each(
    "html",
    [
        f"<!-- <a href='{EVIL}'> -->",
        f"<script>'<a href={EVIL}>'</script>",
        f"<style>{EVIL}</style>",
        f"<title>{EVIL}</title>",
        f"<textarea><a href='x'>{''}</textarea>",
        f"<link href='{EVIL}'>",
        f"<base href='{EVIL}'>",
        "<a href='#top'>up</a>",
        "<a href=''>none</a>",
        "<a name=x>none</a>",
    ],
)
def test_what_nobody_can_click_is_no_link(html: str) -> None:
    assert page(f"<body>{html}").links == ()


@each(
    ("plain", "href"),
    [
        (f"Hello {EVIL}, goodbye", EVIL),
        (f"({EVIL})", EVIL),
        (f"<{EVIL}>", EVIL),
        (f"\u8bf7\u8bbf\u95ee{EVIL}", EVIL),
        (f"|{EVIL} |", EVIL),
        ("https://evil.example/a_(b)", "https://evil.example/a_(b)"),
        ("HTTPS://EVIL.EXAMPLE/x", EVIL),
        ("evil.example/x", "http://evil.example/x"),
        ("evil.click", "http://evil.click/"),
        ("www.evil.nonsense", "http://www.evil.nonsense/"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x"),
        ("192.0.2.1/x", "http://192.0.2.1/x"),
        ("http://localhost/x", "http://localhost/x"),
        ("evil\u3002example/x", "http://evil.example/x"),
        ("www\uff0eevil\uff61example", "http://www.evil.example/"),
        ("evil\u2024click", "http://evil.click/"),
    ],
)
def test_addresses_in_texts_are_links_with_or_without_a_scheme(plain: str, href: str) -> None:
    assert hrefs(text(plain)) == [href]


@each("plain", ["file.txt", "a@evil.click", "1.2", "e.g.", "https://", "..."])
def test_other_words_are_no_links(plain: str) -> None:
    assert text(plain).links == ()


def test_a_link_comes_with_what_the_person_sees() -> None:
    [link] = page(
        "<a href='https://evil.example/x'><img alt='Our '><b>bank</b>:\n https://Bank.example/login</a>"
    ).links
    assert link == MailLink(
        href=EVIL,
        text="Our bank: https://Bank.example/login",
        shown=EVIL,
        host="evil.example",
        text_host="bank.example",
    )


def test_names_are_shown_in_punycode_and_in_letters() -> None:
    for href in ("https://xn--pple-43d.example/x", "https://\u0430pple.example/x"):
        [link] = page(f"<a href='{href}'>apple.example</a>").links
        assert (link.href, link.host) == ("https://xn--pple-43d.example/x", "xn--pple-43d.example")
        assert (link.shown, link.text_host) == ("https://\u0430pple.example/x", "apple.example")


def test_one_address_with_several_texts_is_several_links() -> None:
    found = page(f"<a href={EVIL}>one</a><a href={EVIL}>two</a><a href={EVIL}>one</a>").links
    assert [link.text for link in found] == ["one", "two"]


@each(
    ("html", "href", "problem"),
    [
        ("<a href='evil.example/x'>", "http://evil.example/x", "a link has no scheme: it was taken to lead to http"),
        ("<a href='//evil.example/x'>", "http://evil.example/x", "a link has no scheme: it was taken to lead to http"),
        ("<a href='/x'>", "/x", "a link cannot be resolved: /x"),
        (
            "<a href='https://evil. example/'>",
            "https://evil. example/",
            "a link cannot be resolved: https://evil. example/",
        ),
    ],
)
def test_what_is_guessed_or_cannot_be_resolved_is_told(html: str, href: str, problem: str) -> None:
    found = page(html)
    assert (hrefs(found), found.problems) == ([href], (problem,))


def test_more_links_than_anybody_reads_are_left() -> None:
    found = text(" ".join(f"https://a.example/{n} https://a.example/{n}" for n in range(400)))
    assert (len(found.links), found.problems) == (300, ("only the first 300 links were kept",))


def test_a_long_link_is_cut_and_that_is_told() -> None:
    found = page(f"<a href='https://evil.example/{'x' * 9_000}'>a</a>")
    assert len(found.links[0].href) == 4_096
    assert found.problems == ("a link is longer than 4,096 characters and was cut",)


@pytest.mark.parametrize("depth", [400, 600])
def test_a_page_is_read_as_deep_as_browsers_go(depth: int) -> None:
    found = page(f"<a href={EVIL}>a</a>" + "<div>" * depth + "<a href='https://deep.example/'>b</a>")
    assert hrefs(found) == [EVIL, "https://deep.example/"][: 2 if depth < 500 else 1]
    assert bool(found.problems) == (depth > 500)


def test_text_in_html_that_does_not_say_so_has_the_links_of_a_page() -> None:
    found = text(f"<html><a href='{EVIL}&amp;y'>a</a>")
    assert f"{EVIL}&y" in hrefs(found)
    assert found.problems == ("a text is written in HTML, and its type does not say so",)


@each("plain", ["https://evil\u3002example/x", "https://corp.example\u3002evil.example/x"])
def test_an_address_with_another_sign_for_the_dot_is_read_in_both_ways(plain: str) -> None:
    assert resolve(plain) in [resolve(href) for href in hrefs(text(plain))]


ATTACHED = f"""Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html

<a href='https://shown.example'>a</a>
--b
Content-Type: {{kind}}
Content-Disposition: attachment; filename="{{name}}"

<html><form action='{EVIL}'></form></html>
--b--
"""


@each(
    ("kind", "name", "found"),
    [
        ("text/html", "x", [EVIL]),
        ("application/octet-stream", "Invoice.SHTML", [EVIL]),
        ("text/plain", "a.htm", [EVIL]),
        ("image/svg+xml", "a.svg ", [EVIL]),
        ("text/plain", "a.txt", []),
    ],
)
def test_links_of_an_attached_page_belong_to_the_file(kind: str, name: str, found: list[str]) -> None:
    mail = read_letter(Octets(ATTACHED.format(kind=kind, name=name).encode()))
    assert hrefs(mail) == ["https://shown.example/"]
    assert [link.href for file in mail.files for link in file.links] == found
