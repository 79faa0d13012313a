"""The whole API as one deterministic function of the account's state, the clock and the request."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from worker.sandbox import era
from worker.sandbox.account.activity import Activity
from worker.sandbox.edge import auth, faults
from worker.sandbox.edge.faults import Fault, Faults
from worker.sandbox.edge.quota import RateLimiter
from worker.sandbox.endpoints import search
from worker.sandbox.options import MailFlow, SandboxOptions
from worker.sandbox.routing import Route, find_route
from worker.sandbox.wire import (
    Call,
    IncomingRequest,
    OutgoingResponse,
    Refused,
    format_http_date,
    refuse,
    refuse_route,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sandbox.edge.auth import Caller

ACCOUNT = "023e105f4ecef8ad9ca31a8372d0c353"
NOT_ENTITLED = "Email Security is not available in your current subscription"


class World(Activity):
    """A Cloudflare account with Email Security.

    ``now`` gives epoch seconds, and is the only clock. ``quota`` is (requests, seconds) per credential, or None.
    Nothing here sleeps, and the same seed gives the same history.
    """

    def __init__(
        self,
        account: str = ACCOUNT,
        *,
        seed: int = 1,
        now: Callable[[], float],
        mail_flow: MailFlow | None = None,
        quota: tuple[int, float] | None = (1200, 300.0),
        faults: Faults | None = None,
        options: SandboxOptions | None = None,
    ) -> None:
        super().__init__(account, seed=seed, now=now, options=options or SandboxOptions())
        # Without a quota the budget is out of reach, and no header tells of it.
        self.limited = quota is not None
        self.limiter = RateLimiter(*(quota or (10**9, 300.0)))
        self.faults = faults or Faults(seed=seed)
        self.requests: dict[str, Counter[str]] = {}
        self.populate(mail_flow or MailFlow())

    def handle(self, request: IncomingRequest) -> OutgoingResponse:
        """Answer one request, and change the state as it asks."""
        now = self.advance()
        route, caller = find_route(request), auth.read_caller(request)
        response = self._pass_edge(request, now, route, caller)
        self.requests.setdefault(route.operation, Counter())[response.cut or str(response.status)] += 1
        return replace(response, headers={"date": format_http_date(now), **response.headers})

    def spend_elsewhere(self, requests: int) -> None:
        """Spend the budget of every credential seen so far, as the dashboard and other tokens of a user do."""
        self.limiter.spend_elsewhere(self.advance(), requests)

    def _pass_edge(self, request: IncomingRequest, now: float, route: Route, caller: Caller | None) -> OutgoingResponse:
        """Count the request, and apply the fault that it meets on the wire."""
        # A request over the budget meets no fault, so that a script is not used up by refusals.
        if caller and not self.limiter.spend(caller.label, now):
            return self._refuse_pace(caller, now)
        fault = self.faults.next(request)
        if fault is None:
            return self._answer(request, now, route, caller, None)
        if fault.kind == "paced" and caller:
            self.limiter.block(caller.label, now, fault.seconds)
            return self._refuse_pace(caller, now)
        instead = faults.answer_instead(fault)
        return instead or faults.spoil(fault, self._answer(request, now, route, caller, fault))

    def _refuse_pace(self, caller: Caller, now: float) -> OutgoingResponse:
        return self._add_quota_headers(self.limiter.refuse_block(caller.label, now), now, caller)

    def _answer(
        self, request: IncomingRequest, now: float, route: Route, caller: Caller | None, fault: Fault | None
    ) -> OutgoingResponse:
        return self._add_quota_headers(self._carry_out(request, now, route, caller, fault), now, caller)

    def _carry_out(
        self, request: IncomingRequest, now: float, route: Route, caller: Caller | None, fault: Fault | None
    ) -> OutgoingResponse:
        try:
            call = Call(request, now, self._admit(request, route, caller), route.ids)
            if route.handler is None:
                raise refuse_route(request)
            if fault is not None and fault.kind == "accepted" and faults.is_search(request):
                return search.accept(self, call, fault.seconds)
            response = route.handler(self, call)
            return era.age(route.operation, response) if self.options.seeds else response
        except Refused as refused:
            return refuse(refused.status, refused.code, refused.message, *refused.more)

    def _admit(self, request: IncomingRequest, route: Route, caller: Caller | None) -> str:
        """Return the label of a caller who may do this in this account."""
        label = auth.admit(caller, request)
        if route.account and route.account != self.account:
            raise Refused(403, 10000, "Authentication error")
        if route.account and not self.options.entitled:
            raise Refused(403, 10004, NOT_ENTITLED)
        return label

    def _add_quota_headers(self, response: OutgoingResponse, now: float, caller: Caller | None) -> OutgoingResponse:
        """Add the headers that say what is left of the budget."""
        if not self.limited or caller is None:
            return response
        return replace(response, headers={**response.headers, **self.limiter.write_headers(caller.label, now)})
