"""Calls: each waits for its turn in the budget; reads are retried, writes are sent once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from math import inf
from urllib.parse import quote

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from worker.api.clock import Clock
from worker.api.envelope import (
    Answer,
    CutShort,
    Endpoint,
    Oversized,
    Reader,
    T,
    interpret,
    is_json,
    make_fault,
    read_location,
)
from worker.api.pacing import Budget, Urgency
from worker.api.transport import Request, Response, Transport
from worker.errors import NotFound, Paced, Rejected, ServerFault, Temporary, TooLong, Unreachable, Unsent, Unsure

ATTEMPTS, TWICE = 5, 2
"""Attempts of a read, with pauses of at most 0.5, 2, 8 and 20 s between them."""
LONGEST_PAUSE = 20.0
LONGEST_ASKED = 60.0
"""A fault with a Retry-After of at most so many seconds is retried here; a longer one is the caller's."""
SOON = 1.0
"""Seconds that a write may wait for its turn, because what was checked before it gets outdated."""
AT_ONCE = 2 << 20
"""Bytes of an answer that are interpreted at once, as all usual ones are; a larger one must not keep the loop waiting
while its texts are mended, and is interpreted in a thread."""
ACCEPTED = 202
PROMISED = Endpoint("GET", "(the address of a 202)")
Place = tuple[str, tuple[tuple[str, str], ...]]
"""Path and query of a URL."""
LONGEST_SEARCH = 60.0
"""Seconds of polling after which a search counts as too large."""


class SlowSearch(Temporary):
    """The API did not finish a search within a minute; use a shorter interval."""


class Calls:
    """Calls to the API of one account. Reads are retried in place; a write is sent once."""

    def __init__(
        self,
        transport: Transport,
        budget: Budget,
        clock: Clock,
        account: str,
        *,
        jitter: Callable[[], float] = lambda: 1.0,
        on_call: Callable[[str, int, float], None] = lambda *_: None,
        on_list: Callable[[str, Sequence[msgspec.Raw]], None] = lambda *_: None,
    ) -> None:
        """``jitter`` (0 to 1) varies pauses.

        ``on_call`` is called with operation, status and seconds of each call; ``on_list`` with the type of the entries,
        and the entries, of each first page of one of the account's lists.
        """
        self._transport, self._budget, self._clock = transport, budget, clock
        self._root = f"/accounts/{quote(account, safe='')}/email-security"
        self._jitter, self._on_call = jitter, on_call
        self.on_list = on_list
        self.calls: Counter[tuple[str, int]] = Counter()

    async def call(
        self,
        method: str,
        path: str,
        read: Reader[T],
        *,
        urgency: Urgency,
        where: Mapping[str, str] | None = None,
        query: Iterable[tuple[str, str]] = (),
        body: object = None,
        writes: bool = False,
        cut_at: int | None = None,
    ) -> Answer[T]:
        """Request ``path`` below ``/accounts/{account}/email-security``, with ``{names}`` filled from ``where``.

        A read raises Unreachable or ServerFault after five attempts; a 429 is no attempt, because the budget waits.
        A write raises Unreachable or Paced when it was not carried out, and Unsure when that is unknown. Both raise
        Permanent errors, and Unsent for an id that would change the path.
        """
        if "{" in path and not {"", ".", ".."}.isdisjoint((where or {"id": ""}).values()):
            raise Unsent(f"{method} {path}: an id that is empty or made of dots would name something else")
        filled = path.format_map({name: quote(value, safe="") for name, value in (where or {}).items()})
        encoded = None if body is None else msgspec.json.encode(body)
        request = Request(method=method, path=self._root + filled, query=tuple(query), body=encoded, cut_at=cut_at)
        return await self._ask(Endpoint(method, path, writes), request, read, urgency)

    async def poll(self, answer: Answer[T], read: Reader[T], *, urgency: Urgency) -> Answer[T]:
        """Poll after 1, 2, 4, 8 … s, in turn, until a 202 becomes a result; raise SlowSearch after a minute."""
        begun, pause, place = self._clock.monotonic(), 1.0, None
        while answer.status == ACCEPTED:
            left = begun + LONGEST_SEARCH - self._clock.monotonic()
            if left <= 0:
                raise SlowSearch("the API did not finish a search within a minute; use a shorter interval")
            # The API does not document what polling returns meanwhile: an answer without a Location keeps the last one.
            place = place if place and not answer.headers.get("location") else self._locate_result(answer)
            await self._clock.sleep(min(pause, left))
            pause *= 2
            answer = await self._follow(place, read, urgency)
        return answer

    def _locate_result(self, answer: Answer[T]) -> Place:
        """Return the address that a 202 names; raise a fault when it is not one of this account."""
        place = read_location(answer, self._root)
        if place is None:
            named = answer.headers.get("location")
            where = "a Location outside of this account" if named else "no Location"
            raise make_fault(PROMISED, f"answered 202 with {where}")
        return place

    async def _follow(self, place: Place, read: Reader[T], urgency: Urgency) -> Answer[T]:
        """Request the address that a 202 named."""
        request = Request(method="GET", path=place[0], query=place[1])
        try:
            return await self._ask(PROMISED, request, read, urgency)
        except (NotFound, Rejected) as error:
            raise ServerFault(f"the API lost a search that it had accepted: {error}") from None

    async def _ask(self, endpoint: Endpoint, request: Request, read: Reader[T], urgency: Urgency) -> Answer[T]:
        """Send a write once; send a read until it is answered or five attempts have failed."""
        if endpoint.writes:
            return await self._send_once(endpoint, request, read, urgency)
        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            stop=_make_stop(),
            wait=self._choose_pause,
            retry=retry_if_exception(_may_retry),
            reraise=True,
        )
        answer: Answer[T] = await retrying(self._read, endpoint, request, read, urgency)
        return answer

    def _choose_pause(self, state: RetryCallState) -> float:
        """Return the seconds before the next attempt, longer when the API asks for it."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, Temporary) else 0.0
        pause = min(LONGEST_PAUSE, 0.5 * 4.0 ** (state.attempt_number - 1))
        return max(asked, pause * (1 + self._jitter()) / 2)

    async def _read(self, endpoint: Endpoint, request: Request, read: Reader[T], urgency: Urgency) -> Answer[T]:
        """Make one attempt, which a 429 does not end."""
        while True:
            try:
                return await self._send_once(endpoint, request, read, urgency)
            except Paced:
                continue
            except TooLong as error:
                raise Oversized(str(error)) from None
            except Unsure as error:
                raise ServerFault(str(error)) from None

    async def _send_once(self, endpoint: Endpoint, request: Request, read: Reader[T], urgency: Urgency) -> Answer[T]:
        """Wait for a turn, send, and interpret the answer."""
        turn = await self._budget.turn(urgency, SOON if endpoint.writes else inf)
        sent = self._clock.monotonic()
        response = await self._send(endpoint, request, sent)
        if is_json(response):  # anything else is from a proxy, and so is its Date
            self._clock.sync(response.headers.get("date", ""), sent=sent, received=self._clock.monotonic())
        self._budget.update(response.status, response.headers, turn)
        interpreting = partial(interpret, endpoint, response, read, self._clock.now())
        large = len(response.body) > AT_ONCE
        result, info = await asyncio.to_thread(interpreting) if large else interpreting()
        # Calculated backwards, because the API's time is unknown before the first answer.
        begun = self._clock.now() - (self._clock.monotonic() - sent)
        return Answer(response.status, result, info, response.headers, begun, sent, response.url)

    async def _send(self, endpoint: Endpoint, request: Request, sent: float) -> Response:
        """Send and count; a request without an answer counts with status 0."""
        status = 0
        try:
            response = await self._transport.send(request)
            status = response.status
        except Unsure as error:
            raise type(error)(f"{endpoint}: {error}") from None
        finally:
            self.calls[str(endpoint), status] += 1
            self._on_call(str(endpoint), status, self._clock.monotonic() - sent)
        return response


def _make_stop() -> Callable[[RetryCallState], bool]:
    """Return what ends the attempts of a read: what is cut short twice is so because of what it holds."""
    cuts = count(1)

    def has_had_enough(state: RetryCallState) -> bool:
        is_cut = state.outcome is not None and isinstance(state.outcome.exception(), CutShort)
        return state.attempt_number >= ATTEMPTS or (is_cut and next(cuts) == TWICE)

    return has_had_enough


def _may_retry(error: BaseException) -> bool:
    """Return whether a read is retried here; what is too long now is so again."""
    return (
        isinstance(error, (Unreachable, ServerFault))
        and not isinstance(error, Oversized)
        and error.after <= LONGEST_ASKED
    )
