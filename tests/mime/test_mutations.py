"""Thousands of mails that are a little off: words and link are found, or a problem is named; and none takes long."""

import time
from itertools import product
from random import Random

import pytest

from tests.mime.mutations import CHANGES, LINK, WORDS, write_mails
from worker.mime.letter import Letter
from worker.mime.octets import Octets
from worker.mime.reader import read_letter

SHAPES = range(18)
SEEDS = range(2)
TOLD = {
    *("first boundary missing", "UTF-16", "encoding that is unknown", "no encoding named", "type that is none"),
    *("long header", "many headers", "line that is no header", "another type before", "another encoding before"),
    *("padding inside base64", "cut off", "NUL", "letter", "blank", "byte", "byte missing"),
    *("line missing", "line split", "line twice", "empty line"),
}
"""What may hide words or link, if a problem is named; whatever else is changed, both are found."""


def shows_all(mail: Letter) -> bool:
    """Tell whether words and link are found."""
    return WORDS in mail.text + mail.html and LINK in {link.href for link in mail.links}


def change(name: str, shape: int, seed: int) -> bytes:
    """Return a mail of a shape, changed in one way."""
    random = Random(f"{seed} {shape} {name}")
    return CHANGES[name](list(write_mails(random))[shape], random)


def test_there_are_two_thousand_mails() -> None:
    assert len(CHANGES) * len(SHAPES) * len(SEEDS) >= 2_000
    assert CHANGES.keys() > TOLD


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_of_a_mail_that_is_a_little_off_all_is_found_or_a_problem_is_named(name: str) -> None:
    for shape, seed in product(SHAPES, SEEDS):
        data, begun = change(name, shape, seed), time.process_time()
        mail = read_letter(Octets(data))
        assert time.process_time() - begun < 1
        assert shows_all(mail) or (name in TOLD and mail.problems), data.decode("latin-1")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mail_that_is_well_formed_has_no_problems(shape: int) -> None:
    mail = read_letter(Octets(change("no mutation", shape, 0)))
    assert shows_all(mail)
    assert mail.problems == ()
