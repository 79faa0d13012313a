"""The request budget: one window per credential, and a block on everything for whoever crosses it."""

from __future__ import annotations

from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from worker.sandbox.wire import OutgoingResponse, refuse


class QuotaWindow(Struct):  # not frozen: it counts
    """The requests of one credential since ``begun``; everything is refused until ``blocked``."""

    begun: float
    spent: int = 0
    blocked: float = 0.0


class RateLimiter:
    """Counts requests per credential in fixed windows of ``window`` seconds, ``most`` each."""

    def __init__(self, most: int, window: float) -> None:
        self.most, self.window = most, window
        self.windows: dict[str, QuotaWindow] = {}

    def spend(self, credential: str, now: float, requests: int = 1) -> bool:
        """Count requests; False when they are over the budget or everything is blocked."""
        mine = self._find_window(credential, now)
        if now < mine.blocked:
            return False
        mine.spent += requests
        if mine.spent > self.most:
            mine.blocked = now + self.window
            return False
        return True

    def spend_elsewhere(self, now: float, requests: int) -> None:
        """Count requests that somebody else makes as the same user, against every credential seen so far."""
        for credential in self.windows:
            self.spend(credential, now, requests)

    def block(self, credential: str, now: float, seconds: float) -> None:
        """Refuse everything of this credential for some seconds."""
        self._find_window(credential, now).blocked = now + seconds

    def _find_window(self, credential: str, now: float) -> QuotaWindow:
        mine = self.windows.setdefault(credential, QuotaWindow(now))
        # A block outlives the window it began in; when it ends, a new window begins.
        over = mine.blocked <= now if mine.blocked else False
        if over or (not mine.blocked and now >= mine.begun + self.window):
            mine.begun, mine.spent, mine.blocked = now, 0, 0.0
        return mine

    def refuse_block(self, credential: str, now: float) -> OutgoingResponse:
        """Answer 429 with the whole seconds that are left of the block."""
        text = f"More than {self.most} requests per {self.window:.0f} seconds reached. "
        response = refuse(429, 10100, text + "Please wait and consider throttling your request speed")
        left = max(1, ceil(self.windows[credential].blocked - now))
        return replace(response, headers={**response.headers, "retry-after": str(left)})

    def write_headers(self, credential: str, now: float) -> dict[str, str]:
        """Return the two headers that tell how much is left, and of what."""
        mine = self._find_window(credential, now)
        end = mine.blocked or mine.begun + self.window
        left = 0 if mine.blocked else max(0, self.most - mine.spent)
        return {
            "ratelimit": f'"default";r={left};t={max(0, ceil(end - now))}',
            "ratelimit-policy": f'"burst";q={self.most};w={self.window:.0f}',
        }
