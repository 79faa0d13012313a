"""Keys are what openssl writes, and an old one vouches for a new one."""

import base64

import pytest
from msgspec.structs import replace

from tests.cells import each
from worker.audit.keys import KeyPair, read_pair, read_public, read_signature
from worker.errors import SettingsError

# The examples of RFC 8410.
PRIVATE = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""


def test_a_key_is_read_and_written_as_the_standard_has_it() -> None:
    pair = read_pair(PRIVATE, "it")
    assert (pair.to_pem(), pair.public.to_pem(), pair.public) == (PRIVATE, PUBLIC, read_public(PUBLIC, "it"))


def test_a_signature_holds_for_these_bytes_and_this_key_alone() -> None:
    pair = KeyPair.make()
    told = pair.sign(b"one")
    assert pair.public.has_signed(b"one", told)
    assert not pair.public.has_signed(b"two", told)
    assert not pair.public.has_signed(b"one", told[:-1])
    assert not KeyPair.make().public.has_signed(b"one", told)
    assert read_signature(told) == read_signature(base64.b64encode(told) + b"\n") == told


def test_an_old_key_vouches_for_a_new_one_also_from_its_file() -> None:
    old, other = KeyPair.make(), KeyPair.make()
    new = read_pair(KeyPair.make(old).to_pem(), "it")
    assert new.succession
    assert (new.succession.was_given_by(old.public), new.succession.key) == (True, new.public)
    assert not new.succession.was_given_by(other.public)
    forged = replace(new.succession, public=base64.b64encode(other.public.raw).decode())
    assert not forged.was_given_by(old.public)
    assert not replace(new.succession, signature="?").was_given_by(old.public)


BODY = PRIVATE.splitlines()[1]
DAMAGED = [
    "",
    BODY,
    PRIVATE.replace(BODY, BODY[:-4]),
    PRIVATE.replace(BODY, "?"),
    PRIVATE.replace(BODY, "AAAA"),
    PUBLIC,
]


@each("text", DAMAGED)
def test_what_is_no_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(SettingsError, match="it holds no Ed25519 private key: make one with") as refused:
        read_pair(text, "it")
    assert BODY[:20] not in str(refused.value)
    with pytest.raises(SettingsError, match="it holds no Ed25519 public key: name the file"):
        read_public(text.replace("PUBLIC", "PRIVATE"), "it")


def test_a_damaged_word_for_a_key_is_told() -> None:
    damaged = KeyPair.make(KeyPair.make()).to_pem().replace("eyJ", "AAA")
    with pytest.raises(SettingsError, match="a WORKER AUDIT SUCCESSION that is damaged"):
        read_pair(damaged, "it")
