"""Values of headers, charsets and transfer encodings: as mail programs read them, and nothing of Python besides."""

import codecs
import encodings
import pkgutil
from base64 import b64encode

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.cells import each
from worker.mime.charsets import decode_page, decode_text
from worker.mime.letter import Letter
from worker.mime.octets import Octets
from worker.mime.reader import read_letter
from worker.mime.transfer import decode_transfer
from worker.mime.values import MOST_PARAMETERS, decode_words, parse_value

CODECS = sorted({*(one.name for one in pkgutil.iter_modules(encodings.__path__)), *encodings.aliases.aliases})


@each(
    ("written", "shown"),
    [
        ("=?UTF-8?Q?pasi=C4?= =?UTF-8?Q?=97jim?=", "pasiėjim"),
        ("=?utf-8*en?Q?a?=", "a"),
        ("=?windows-874?B?47rhqOmny7nV6Q==?=", "ใบแจ้งหนี้"),
        ("=?gb2312?B?xOO6w4F8?=", "你好亅"),
        ("a =?utf-8?q?b?= c =?utf-8?q?d?=\t=?utf-8?b?ZQ?= f", "a b c de f"),
        ("=?utf-8?q?a_b=3Fc?d?=", "a b?c?d"),
        ("=?utf-7?q?+2AA-?=", "+2AA-"),
        ("=?utf-8?B?SGVsb?= =?utf-8?B?G8=?=", "Hello"),
        ("=?utf-8?B?w6k=?= =?utf-8?B?w6k=?= =?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "ééé"),
        ("=?utf-8?q?a b?=", "a b"),
        ("a" * 20_000 + " =?utf-8?q?b?=", "a" * 20_000 + " b"),
        ("=?hex?q?a?=", "a"),
        ("=?utf-8?x?b?=", "=?utf-8?x?b?="),
        ("=?utf-8?b?a?=", ""),
        ("Grüße", "Grüße"),
    ],
)
def test_encoded_words_are_shown_as_mail_programs_show_them(written: str, shown: str) -> None:
    assert decode_words(written.encode()) == shown


def test_bytes_that_should_not_be_in_a_header_are_read() -> None:
    assert decode_words(b"Gr\xfc\xdfe") == "Grüße"
    assert decode_words(b"=?utf-8?q?a?= \xd0\x9d") == "a \u041d"


@each(
    ("value", "name"),
    [
        ('attachment; filename="a;b \\"c\\".txt"', 'a;b "c".txt'),
        ("attachment; filename=report (1).pdf", "report (1).pdf"),
        ("attachment; filename*=utf-8''%E2%82%AC.txt", "€.txt"),
        ("attachment; filename*1=b.txt; filename*0=a", "ab.txt"),
        ("attachment; filename*0*=utf-8''%C3; filename*1*=%A9.txt", "é.txt"),
        ("attachment; filename*=utf-7''%2B2AA-", "+2AA-"),
        ("attachment; filename*=''a", "a"),
        ('attachment; filename="=?utf-8?q?=C3=A9?=.txt"', "é.txt"),
        ("attachment; filename=a.txt; filename=b.txt", "a.txt"),
        ("attachment filename = a.txt", "a.txt"),
        ("attachment; x", ""),
        ('attachment; filename="a', "a"),
        ("attachment;;; ;filename=a", "a"),
    ],
)
def test_names_of_files_are_read_in_all_forms(value: str, name: str) -> None:
    found = parse_value(value.encode())
    assert (found.main, found.get("filename"), found.cut) == ("attachment", name, False)


def test_parameters_that_are_not_read_are_told() -> None:
    assert parse_value(b"a" + b"; x=y" * (MOST_PARAMETERS + 1)).cut
    assert parse_value(b"a; x=" + b"y" * 20_000).cut


@each(
    ("data", "label", "shown"),
    [
        ("häi".encode(), "", "häi"),
        ("häi".encode("latin-1"), "", "häi"),
        ("häi".encode(), "us-ascii", "häi"),
        (b"\x80\x93", "iso-8859-1", "€“"),
        ("你好亅".encode("gbk"), "gb2312", "你好亅"),
        ("①".encode("cp932"), "shift_jis", "①"),
        ("ใบ".encode("cp874"), "TIS-620", "ใบ"),
        (b"h\xe4i", "utf-8", "häi"),
        (b"+2AA-", "utf-7", "+2AA-"),
        (b"\xc1", "'koi8-r'", "\u0430"),
        (b"abc", "punycode", "abc"),
        (b"\xff\xfea\0", "utf-16", "a"),
        (b"abc", "utf-16", "abc"),
        ("日本".encode("iso2022_jp"), "iso-2022-jp", "日本"),
    ],
)
def test_texts_are_decoded_by_the_table_of_the_whatwg(data: bytes, label: str, shown: str) -> None:
    assert decode_text(data, label).text == shown


@each(
    ("data", "label", "problem"),
    [
        (b"a", "x-none", "the charset x-none is unknown"),
        (b"\xe4", "", "a text does not say its charset: it was read as windows-1252"),
        (b"\xe4", "utf-8", "a text does not say its charset: it was read as windows-1252"),
        (b"\xc3\xa4\xe4", "utf-8", "a text is not wholly utf-8"),
        (b"a", "hz-gb-2312", "a text is not wholly replacement"),
        (b"abc", "utf-16", "a text is not utf-16le, although it says so"),
        (b"a", "us-ascii", ""),
    ],
)
def test_what_is_guessed_or_is_no_text_is_told(data: bytes, label: str, problem: str) -> None:
    assert decode_text(data, label).problem == problem


@each(
    ("page", "label", "shown"),
    [
        (b"<meta charset='iso-8859-1'>p\xe5", "", "på"),
        (b'<META http-equiv=x content="text/html; charset=koi8-r">\xc1', "us-ascii", "\u0430"),
        (b"<meta charset=koi8-r>\xc3\xa5", "utf-8", "å"),
        (b"<meta charset=utf-16>\xc3\xa5", "", "å"),
        (b"<meta charset=utf-7>+2AA-", "", "+2AA-"),
    ],
)
def test_a_page_may_say_itself_which_charset_it_has(page: bytes, label: str, shown: str) -> None:
    assert decode_page(page, label).text.endswith(shown)


@each(
    ("data", "encoding", "carried", "problem"),
    [
        (b"YWJj", "base64", b"abc", ""),
        (b" YW\r\nJj\r\n", "BASE64", b"abc", ""),
        (b"YQ==YmM=", "base64", b"abc", "a part in base64 has padding in its middle"),
        (b"YWJjZA", "base64", b"abcd", ""),
        (b"YWJjZ", "base64", b"abc", "a part is not wholly base64"),
        (b"YWJjYWJjYWJj!", "base64", b"abcabcabc", "a part is not wholly base64"),
        (b"<p>no</p>", "base64", b"<p>no</p>", "a part is not encoded in base64, although it says so"),
        (b"a=3Db=\r\nc=", "quoted-printable", b"a=bc", ""),
        (b"begin 644 a\n#86)C\n`\nend\n", "x-uuencode", b"abc", ""),
        (b"no", "x-uuencode", b"no", "a part is not encoded in uuencode, although it says so"),
        (b"begin 644 a\n#\x01\x01\x01\n", "uuencode", b"", "a part is not wholly uuencode"),
        (b"\xff", "8bit", b"\xff", ""),
        (b"a", "x-none", b"a", "the transfer encoding x-none is unknown"),
    ],
)
def test_parts_carry_bytes_also_when_they_are_badly_encoded(
    data: bytes, encoding: str, carried: bytes, problem: str
) -> None:
    assert decode_transfer(data, encoding) == (carried, problem)


@given(st.sampled_from(CODECS), st.binary(max_size=60))
def test_no_codec_of_python_makes_a_text_that_cannot_be_written(codec: str, data: bytes) -> None:
    encoded = b64encode(data)
    word = b"=?%s?b?%s?=" % (codec.encode(), encoded)
    head = b"Subject: %s\nContent-Disposition: inline; filename*=%s''%s\n" % (
        word,
        codec.encode(),
        data.hex("%").encode(),
    )
    whole = head + b"Content-Type: text/plain; charset=%s\nContent-Transfer-Encoding: base64\n\n%s" % (
        codec.encode(),
        encoded,
    )
    found = read_letter(Octets(whole))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Letter) == found


def test_there_are_many_codecs_and_those_that_decode_to_surrogates_are_among_them() -> None:
    assert len(CODECS) > 300
    assert "\ud800" in codecs.decode(b"+2AA-", "utf-7")
