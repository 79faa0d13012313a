"""The secret stays in one place."""

import pytest

from tests.cells import each
from worker.api import Credential
from worker.errors import SettingsError


def test_both_ways_to_prove_who_is_asking() -> None:
    assert Credential.from_text(" t0ken\n").headers() == {"Authorization": "Bearer t0ken"}
    assert Credential.from_key("me@corp.example", "k3y").headers() == {
        "X-Auth-Email": "me@corp.example",
        "X-Auth-Key": "k3y",
    }


def test_it_prints_as_stars_and_its_fingerprint_names_it() -> None:
    credential = Credential.from_text("t0ken")
    assert (repr(credential), str(credential), f"{credential}") == ("***",) * 3
    assert credential.fingerprint == Credential.from_text("t0ken ").fingerprint
    assert credential.fingerprint != Credential.from_text("other").fingerprint
    assert len(credential.fingerprint) == 12


@each("text", ["", "  \n", "two words", "line\nX-Other: 1", "tök", "tab\there"])
def test_what_cannot_be_a_token_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(SettingsError, match="CLOUDFLARE_API_TOKEN") as refused:
        Credential.from_text(text)
    assert not text.strip() or text not in str(refused.value)
