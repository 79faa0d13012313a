"""The credential: the one object that holds a secret, and prints as three stars."""

from hashlib import sha256
from typing import Self

from worker.errors import SettingsError


class Credential:
    """An API token, or an e-mail address with its global key. Only ``headers`` reveals it."""

    __slots__ = ("_headers",)

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    @classmethod
    def from_text(cls, token: str) -> Self:
        """Take an API token; raise SettingsError when it cannot be one."""
        return cls({"Authorization": "Bearer " + _check_secret(token, "CLOUDFLARE_API_TOKEN")})

    @classmethod
    def from_key(cls, email: str, key: str) -> Self:
        """Take a user's e-mail address and global API key; raise SettingsError when they cannot be valid."""
        return cls(
            {
                "X-Auth-Email": _check_secret(email, "CLOUDFLARE_EMAIL"),
                "X-Auth-Key": _check_secret(key, "CLOUDFLARE_API_KEY"),
            }
        )

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request."""
        return dict(self._headers)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that identify this credential without revealing it."""
        return sha256("\n".join(self._headers.values()).encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        return "***"


def _check_secret(text: str, setting: str) -> str:
    """Strip a secret; reject one that cannot be in a header, without revealing it."""
    text = text.strip()
    if not text:
        raise SettingsError(f"{setting} is empty; set it to the credential, or add a file with it to WORKER_SECRETS")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise SettingsError(f"{setting} has spaces, line breaks or other characters that no credential has")
    return text
