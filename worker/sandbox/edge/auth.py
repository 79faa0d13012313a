"""Who asks, and what they may do: any token works, unless its prefix says otherwise."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2s

from msgspec import Struct

from worker.sandbox.wire import IncomingRequest, Refused

READ_ONLY = "read-"
WRONG = "wrong-"


class Caller(Struct, frozen=True):
    """A credential: its label, which does not reveal it, and what it may do."""

    label: str
    valid: bool
    writes: bool


def read_caller(request: IncomingRequest) -> Caller | None:
    """Read the bearer token, or else the e-mail and key. A token may begin with read- or wrong-."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return Caller(label(token), not token.startswith(WRONG), not token.startswith(READ_ONLY))
    email, key = request.headers.get("x-auth-email"), request.headers.get("x-auth-key")
    return Caller(label(f"{email} {key}"), valid=True, writes=True) if email and key else None


@lru_cache(maxsize=64)
def label(token: str) -> str:
    """Label a credential without revealing it; bytes of a header that are no UTF-8 came in as surrogates."""
    return f"token-{blake2s(token.encode(errors='surrogatepass'), digest_size=4).hexdigest()}"


def admit(who: Caller | None, request: IncomingRequest) -> str:
    """Return the label of a caller who may do this."""
    if who is None:
        raise Refused(401, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    if not who.valid:
        raise Refused(401, 10000, "Authentication error")
    if request.method != "GET" and not who.writes:
        raise Refused(403, 10000, "Authentication error")
    return who.label
