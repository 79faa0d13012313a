"""Values of settings: how an operator writes them, and what is wrong with what does not fit."""

import re
from typing import NamedTuple

from worker.language.rules import Mode, parse_duration
from worker.walls import SANDBOXES, Sandbox

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
CEILINGS = {"observe": Mode.OBSERVE, "approve": Mode.APPROVE, "enforce": Mode.ENFORCE}


class RequestQuota(NamedTuple):
    """How many requests a credential may make in how many seconds."""

    requests: int
    window: float


class Listen(NamedTuple):
    """Where the web server listens; port 0 takes a free one."""

    host: str
    port: int


LONGEST = 3653 * 86400.0
A_YEAR = 366 * 86400.0


def parse_time_span(text: str) -> float:
    """Read ``15m``; up to ten years."""
    try:
        duration = parse_duration(text)
    except ValueError:
        raise ValueError("write a number and a unit (ms, s, m, h or d), such as 15m") from None
    if duration > LONGEST:
        raise ValueError("write 3653d (ten years) or less")
    return duration


def require_positive(duration: float) -> float:
    """Refuse zero."""
    if duration <= 0:
        raise ValueError("write more than zero, such as 15m")
    return duration


def require_a_year_at_most(duration: float) -> float:
    """Refuse what reaches further back than the API."""
    if duration > A_YEAR:
        raise ValueError("the API keeps mail for a year: write 366d or less")
    return duration


def parse_quota(text: str) -> RequestQuota:
    """Read ``1200/300s``."""
    found = re.fullmatch(r"([1-9]\d*)\s*/\s*(\S+)", text.strip())
    if not found:
        raise ValueError("write a number of requests and a time window, such as 1200/300s")
    return RequestQuota(int(found[1]), require_positive(parse_time_span(found[2])))


def parse_listen(text: str) -> Listen:
    """Read ``127.0.0.1:8080`` or ``[::1]:8080``."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:]+):(\d{1,5})", text.strip())
    if not found or int(found[2]) > 65535:  # noqa: PLR2004 (the highest port)
        raise ValueError("write an address and a port, such as 127.0.0.1:8080")
    return Listen(found[1].strip("[]"), int(found[2]))


def parse_ceiling(text: str) -> Mode:
    """Read the most that any rule may do."""
    if text.lower() not in CEILINGS:
        raise ValueError("write observe, approve or enforce")
    return CEILINGS[text.lower()]


def parse_sandbox(text: str) -> Sandbox:
    """Read which walls are put up around the rules, and which are required."""
    if text.lower() not in SANDBOXES:
        raise ValueError("write require, best-effort or off")
    return SANDBOXES[text.lower()]


def parse_level(text: str) -> str:
    """Read a level of the log, in any case."""
    if text.upper() not in LEVELS:
        raise ValueError("write debug, info, warning or error")
    return text.upper()


def parse_share(text: str) -> float:
    """Read a share above 0 and at most 1."""
    try:
        share = float(text)
    except ValueError:
        share = 0
    if not 0 < share <= 1:
        raise ValueError("write a number above 0 and at most 1, such as 0.8")
    return share


def parse_hosts(text: str) -> frozenset[str]:
    """Read ``worker.example.com, metrics.example.com``."""
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    if wrong := sorted(name for name in names if not re.fullmatch(r"[a-z0-9.-]+", name)):
        raise ValueError(f"write names without a port, separated by commas, and not {wrong[0]!r}")
    return names


def parse_yes(text: str) -> bool:
    """Read ``yes`` or ``no``."""
    if text.lower() not in {"yes", "no"}:
        raise ValueError("write yes or no")
    return text.lower() == "yes"


def check_account_id(text: str) -> str:
    """Refuse what would change the path of a request, in which the ID stands."""
    if not re.fullmatch(r"[0-9A-Za-z]{1,32}", text):
        raise ValueError("copy the account ID from the dashboard: up to 32 letters and digits")
    return text


def check_base_url(text: str) -> str:
    """Check the URL and drop a trailing slash."""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ValueError("write a URL such as https://api.cloudflare.com/client/v4")
    return text.rstrip("/")


def check_heads(text: str) -> str:
    """Refuse an address that is neither a file nor a syslog server."""
    if "://" in text and not re.fullmatch(r"syslog(\+tcp)?://(\[[0-9a-fA-F:]+\]|[^\s:/@]+)(:\d{1,5})?", text):
        raise ValueError("write the path of a file, syslog://host:514 (UDP) or syslog+tcp://host:601")
    return text


def check_store_url(text: str) -> str:
    """Refuse what names no file of SQLite."""
    if not text.startswith("sqlite:///"):
        raise ValueError("write sqlite:/// and a path, such as sqlite:///worker.db")
    return text
