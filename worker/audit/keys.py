"""Keys: Ed25519 pairs as PEM, which openssl reads and writes too, and who vouches for a new one."""

import base64
import binascii
import re
import secrets
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec import Struct
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from worker.errors import SettingsError

PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
PUBLIC = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of a key in its file (RFC 8410)."""
LENGTH, SIGNATURE = 32, 64
BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----")
SUCCESSION = "WORKER AUDIT SUCCESSION"
_encoder = msgspec.json.Encoder(order="deterministic")


class PublicKey(NamedTuple):
    """The half that proves."""

    raw: bytes

    @property
    def id(self) -> str:
        """What heads name the key by."""
        return sha256(self.raw).hexdigest()[:16]

    def has_signed(self, body: bytes, signature: bytes) -> bool:
        """Tell whether a signature was made with the other half, over exactly these bytes."""
        try:
            VerifyKey(self.raw).verify(body, signature)
        except (BadSignatureError, ValueError):
            return False
        return True

    def to_pem(self) -> str:
        """Write the key."""
        return _write_block("PUBLIC KEY", PUBLIC + self.raw)


class Succession(Struct, frozen=True, forbid_unknown_fields=True):
    """The word of one key that another comes after it. Keys and the signature are in base64."""

    after: str
    """The id of the older key."""
    public: str
    signature: str

    @property
    def key(self) -> PublicKey:
        """The newer key; raises ValueError when there is none."""
        return PublicKey(_read_base64(self.public, LENGTH))

    def was_given_by(self, older: PublicKey) -> bool:
        """Tell whether a key has signed this."""
        try:
            signature = _read_base64(self.signature, SIGNATURE)
        except ValueError:
            return False
        return self.after == older.id and older.has_signed(_write_succession(self.after, self.public), signature)


class KeyPair(NamedTuple):
    """Both halves, and the word of the key before, if there was one."""

    seed: bytes
    succession: Succession | None = None

    @classmethod
    def make(cls, after: "KeyPair | None" = None) -> "KeyPair":
        """Make a pair, which an older one vouches for."""
        pair = cls(secrets.token_bytes(LENGTH))
        if not after:
            return pair
        public = base64.b64encode(pair.public.raw).decode()
        signature = after.sign(_write_succession(after.public.id, public))
        return pair._replace(succession=Succession(after.public.id, public, base64.b64encode(signature).decode()))

    @property
    def public(self) -> PublicKey:
        """The half that proves."""
        return PublicKey(SigningKey(self.seed).verify_key.encode())

    def sign(self, body: bytes) -> bytes:
        """Return the signature over some bytes."""
        return SigningKey(self.seed).sign(body).signature

    def to_pem(self) -> str:
        """Write the pair, to be kept where only the worker can read it."""
        vouched = _write_block(SUCCESSION, _encoder.encode(self.succession)) if self.succession else ""
        return _write_block("PRIVATE KEY", PRIVATE + self.seed) + vouched


def read_pair(text: str, name: str) -> KeyPair:
    """Read a pair; raises SettingsError, which names where it came from and never quotes it."""
    blocks = _read_blocks(text)
    der, vouched = blocks.get("PRIVATE KEY", b""), blocks.get(SUCCESSION, b"")
    if not der.startswith(PRIVATE) or len(der) != len(PRIVATE) + LENGTH:
        raise SettingsError(f"{name} holds no Ed25519 private key: make one with `worker audit key`")
    try:
        succession = msgspec.json.decode(vouched, type=Succession) if vouched else None
    except msgspec.MsgspecError:
        raise SettingsError(
            f"{name} holds a {SUCCESSION} that is damaged: take it out, or make the key again"
        ) from None
    return KeyPair(der.removeprefix(PRIVATE), succession)


def read_public(text: str, name: str) -> PublicKey:
    """Read a public key; raises SettingsError, which names where it came from."""
    der = _read_blocks(text).get("PUBLIC KEY", b"")
    if not der.startswith(PUBLIC) or len(der) != len(PUBLIC) + LENGTH:
        raise SettingsError(f"{name} holds no Ed25519 public key: name the file with what `worker audit key` printed")
    return PublicKey(der.removeprefix(PUBLIC))


def read_signature(told: bytes) -> bytes:
    """Read a signature, as 64 bytes or in base64; raises ValueError for anything else."""
    return told if len(told) == SIGNATURE else _read_base64(told.decode("ascii").strip(), SIGNATURE)


def _write_succession(after: str, public: str) -> bytes:
    """Return what an older key signs."""
    return _encoder.encode({"after": after, "public": public})


def _read_base64(text: str, length: int) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if len(raw) != length:
        raise ValueError(f"{len(raw)} bytes instead of {length}")
    return raw


def _read_blocks(text: str) -> dict[str, bytes]:
    try:
        return {label: base64.b64decode("".join(body.split()), validate=True) for label, body in BLOCK.findall(text)}
    except binascii.Error:
        return {}


def _write_block(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
