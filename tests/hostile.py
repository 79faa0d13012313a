"""Hostile mail, generated: it borrows the addresses of people whom rules trust, and proves none of them."""

from collections.abc import Callable, Iterator
from random import Random

from worker import Message, sample

Forge = Callable[[Random, str], dict[str, str]]
UNSEEN = ("\u200b", "\u00ad", "\u2060", "\ufe0f", "\ufffd", "\u202e")


def _forge(rng: Random, address: str) -> dict[str, str]:
    """Write a trusted address into From, and nothing that proves it."""
    spf = rng.choice(["pass", "fail", "neutral", "none", ""])
    alike = "x" + ".".join(address.rpartition("@")[2].split(".")[-2:])
    envelope = f"bounce@{rng.choice(['evil.example', alike, 'mail.test'])}"
    return {"sender": address, "envelope_from": envelope, "spf": spf, "dmarc": rng.choice(["none", "error", ""])}


def _fail(rng: Random, address: str) -> dict[str, str]:
    """Forge exactly, envelope and all: DMARC fails."""
    return {"sender": rng.choice([address, address.upper()]), "spf": rng.choice(["pass", "fail"]), "dmarc": "fail"}


def _list(rng: Random, address: str) -> dict[str, str]:
    """Name a trusted address beside one's own, which is the one that was checked."""
    pair = rng.sample([address, "x@evil.example"], 2)
    return {"sender": rng.choice([", ", ",", ";", " "]).join(pair), "spf": "pass", "dmarc": "pass"}


def _wrap(rng: Random, address: str) -> dict[str, str]:
    """Put a trusted address where people read a name, or in brackets."""
    mine = rng.choice(["x@evil.example", "<x@evil.example>", "(x@evil.example)"])
    return {"sender": rng.choice([f'"{mine}" <{address}>', f"{address} {mine}", f"{mine}@{address}"]), "dmarc": "pass"}


def _disguise(rng: Random, address: str) -> dict[str, str]:
    """Put a sign into an address that nobody sees: it is another address, whoever vouches for it."""
    at = rng.randrange(len(address))
    return {"sender": address[:at] + rng.choice(UNSEEN) + address[at:], "dmarc": "pass"}


FORGERIES: tuple[Forge, ...] = (_fail, _forge, _list, _wrap, _disguise)
"""The exact forgery first."""


def forge(addresses: tuple[str, ...], count: int, **fields: object) -> Iterator[Message]:
    """Yield mail in the name of some addresses that proves none of them."""
    rng = Random(7)
    for number in range(count):
        written = FORGERIES[number % len(FORGERIES)](rng, addresses[number // len(FORGERIES) % len(addresses)])
        yield sample.message(**{**fields, **written})  # type: ignore[arg-type]  # fields of a message
