"""GET investigate: windows, filters, cursors, and searches that answer 202 first."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2s
from itertools import islice
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from worker.sandbox.account.account import AccountState, SlowSearch
from worker.sandbox.account.mail import DAY, DELIVERIES, SCAN_TIME, SIX, Fixed, Mail, State, Test
from worker.sandbox.wire import Call, IncomingRequest, Json, OutgoingResponse, Reader, ok, ok_raw

ACTIONS = MappingProxyType({"PREVIEW": "PREVIEW", "QUARANTINE_RELEASED": "QUARANTINE_RELEASE", "MOVED": "MOVE"})
OLDER_ACTIONS = MappingProxyType({**ACTIONS, "SUBMITTED": "SUBMISSION"})
Matcher = Callable[[Fixed, Mail, str], bool]


def search(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer one page of messages, the newest by scan time first. A cursor belongs to its filters."""
    reader, request = account.reader, call.request
    size = reader.number(request, "per_page", 20, 1000)
    span = read_window(reader, call)
    chosen = read_filters(reader, request, account)
    matches = find_matches(account, call.now, span, chosen, read_cursor(account, call))
    skipped = size * (_page(reader, request, account) - 1)
    rows = list(islice(matches, skipped, skipped + size + 1))
    last = rows[size - 1][0] if len(rows) > size else None
    following = write_cursor(account, call, last.scanned, last.id) if last else None
    old = account.options.deprecated
    page = b",".join([mail.encode(state, deprecated=old) for mail, state in rows[:size]])
    return ok_raw(b"[" + page + b"]", make_result_info(min(size, len(rows)), size, following))


def make_result_info(count: int, size: int, following: str | None) -> Json:
    """Return the result_info of a list that is paged by cursors."""
    return {"count": count, "page": 0, "per_page": size, "total_count": 0, "next": following, "previous": None}


def read_window(reader: Reader, call: Call) -> tuple[float, float]:
    """Read the first and the last moment a request asks about, in epoch seconds."""
    start = reader.time(call.request, "start", call.now - 30 * DAY)
    end = reader.time(call.request, "end", call.now)
    if start > call.now:
        reader.refuse("start must not be in the future")
    if start > end:
        reader.refuse("start must not be later than end")
    if start < call.now - 366 * DAY:
        reader.refuse("start must be within the last 12 months")
    return start, end


def _page(reader: Reader, request: IncomingRequest, account: AccountState) -> int:
    """Read the number of the page: 1 unless an option honours the old parameter."""
    if account.options.page == "refused" and request.get("page") is not None:
        reader.refuse("page is no longer supported, use cursor")
    if account.options.page == "ignored" or request.get("cursor"):
        return 1
    return reader.number(request, "page", 1, 10**9)


def find_matches(
    account: AccountState, now: float, window: tuple[float, float], chosen: list[Test], place: tuple[int, str] | None
) -> Iterator[tuple[Mail, State]]:
    """Yield the matches in a window from its newest message on, or from the place of a cursor."""
    mails = account.mails
    low = bisect_left(mails, window[0], key=SCAN_TIME)
    high = bisect_right(mails, window[1], key=SCAN_TIME)
    if place is not None:
        high = min(high, _find_place(mails, *place))
    for index in range(high - 1, low - 1, -1):
        mail = mails[index]
        state = account.read_mail(mail, now)
        if state is not None and all(test(mail, state) for test in chosen):
            yield mail, state


def _find_place(mails: list[Mail], scanned: int, ident: str) -> int:
    """Return the place of the message that a cursor names. Messages never leave the list, so it is there."""
    place = bisect_right(mails, scanned, key=SCAN_TIME) - 1
    while mails[place].id != ident:  # several may be scanned in one second
        place -= 1
    return place


# -- filters ----------------------------------------------------------------------------------------------------------


def read_filters(
    reader: Reader, request: IncomingRequest, account: AccountState, verdicts: frozenset[str] = SIX
) -> list[Test]:
    """Read the filters of a request, the cheap ones first; ``verdicts`` are those it may ask for."""
    chosen: list[Test] = []
    if reader.flag(request, "detections_only", default=True):
        chosen.append(lambda _, state: state.disposition != "NONE")
    if verdict := reader.one_of(request, "final_disposition", verdicts):
        bec = verdict == "MALICIOUS" and account.options.malicious_includes_bec
        wanted = {verdict, "MALICIOUS-BEC"} if bec else {verdict}
        chosen.append(lambda _, state: state.disposition in wanted)
    if delivery := reader.one_of(request, "delivery_status", DELIVERIES):
        chosen.append(lambda _, state: delivery in state.delivery)
    actions = OLDER_ACTIONS if account.options.seeds else ACTIONS
    if action := reader.one_of(request, "message_action", frozenset(actions)):
        chosen.append(lambda _, state: actions[action] in (state.operations or ()))
    asked = [(match, text) for name, match in MATCHERS.items() if (text := request.get(name))]
    if asked:
        chosen.append(lambda mail, _: _all_match(mail, asked))
    return [*chosen, *read_older_filters(request)] if account.options.seeds else chosen


def read_older_filters(request: IncomingRequest) -> list[Test]:
    """Read the filters that bulk jobs still have, and searches had in the era of the seeds."""
    chosen: list[Test] = []
    if subject := request.get("exact_subject"):
        chosen.append(lambda mail, _: mail.read_fixed().subject == subject)
    if request.get("submissions") == "true":
        chosen.append(lambda mail, _: mail.read_fixed().is_phish_submission)
    return chosen


def _all_match(mail: Mail, asked: list[tuple[Matcher, str]]) -> bool:
    fixed = mail.read_fixed()
    return all(match(fixed, mail, text) for match, text in asked)


def _fits(wanted: str, *addresses: str | None) -> bool:
    """Tell whether one of the addresses is the wanted one, or in the wanted domain."""
    wanted = wanted.lower()
    return any(address and wanted in {address.lower(), address.lower().rpartition("@")[2]} for address in addresses)


def _is_in_domain(fixed: Fixed, mail: Mail, text: str) -> bool:
    sites = [link.split("/")[2] for link in mail.links]
    return _fits(text, fixed.sender, *fixed.client_recipients, *sites)


def _has_terms(fixed: Fixed, mail: Mail, text: str) -> bool:
    """Tell whether a message has every word of the query. Of its ids, only the alert id is searched."""
    words = [fixed.sender, fixed.envelope_from, fixed.from_name, fixed.replyto, fixed.subject, fixed.message_id]
    words += [fixed.smtp_helo_server_ip, fixed.smtp_previous_hop_ip, fixed.x_originating_ip]
    words += [*fixed.client_recipients, *fixed.detection_reasons, *(fixed.to_name or ())]
    hay = " ".join(word for word in words if word).lower()
    return all(term in hay or term == _alert_id(mail).lower() for term in text.lower().split())


def _alert_id(mail: Mail) -> str:
    return mail.id.rpartition("-")[0]


MATCHERS: Mapping[str, Matcher] = MappingProxyType({
    "sender": lambda fixed, _, text: _fits(text, fixed.sender, fixed.envelope_from),
    "recipient": lambda fixed, _, text: _fits(text, *fixed.client_recipients),
    "domain": _is_in_domain,
    "subject": lambda fixed, _, text: text.lower() in (fixed.subject or "").lower(),
    "message_id": lambda fixed, _, text: fixed.message_id == text,
    "alert_id": lambda _, mail, text: _alert_id(mail) == text,
    "smtp_helo_ip": lambda fixed, _, text: fixed.smtp_helo_server_ip == text,
    "query": _has_terms,
})  # fmt: skip

# -- cursors ----------------------------------------------------------------------------------------------------------


def write_cursor(account: AccountState, call: Call, number: int, ident: str) -> str:
    """Write the cursor for what follows the row of this number and id."""
    issued = int(call.now)
    seal = _seal(account, call.request, issued, number, ident)
    return urlsafe_b64encode(msgspec.json.encode((issued, number, ident, seal))).decode()


def _seal(account: AccountState, request: IncomingRequest, issued: int, number: int, ident: str) -> str:
    chosen = sorted(pair for pair in request.query if pair[0] not in {"cursor", "per_page", "page"})
    text = msgspec.json.encode((account.seed, request.path, issued, number, ident, chosen))
    return blake2s(text, digest_size=8).hexdigest()


def read_cursor(account: AccountState, call: Call) -> tuple[int, str] | None:
    """Read the cursor; refuse one that is garbage, expired, or made for another list or other filters."""
    reader, text = account.reader, call.request.get("cursor")
    if not text:
        return None
    try:
        issued, number, ident, seal = msgspec.json.decode(
            urlsafe_b64decode(text.encode()), type=tuple[int, int, str, str]
        )
    except (ValueError, msgspec.MsgspecError):
        reader.refuse("cursor is not valid")
    if seal != _seal(account, call.request, issued, number, ident):
        reader.refuse("cursor does not belong to these filters")
    if call.now > issued + account.options.cursor_life:
        reader.refuse("cursor has expired")
    return number, ident


# -- slow searches ----------------------------------------------------------------------------------------------------


def accept(account: AccountState, call: Call, seconds: float) -> OutgoingResponse:
    """Answer 202 with the address of the result."""
    job = str(account.next_number())
    account.slow_searches[job] = SlowSearch(call.request, call.now + seconds)
    where = f"{call.request.path}/results/{job}"
    host = call.request.headers.get("host")
    if host and len(account.slow_searches) % 2 == 0:  # nobody documents which form it has, so clients meet both
        where = f"http://{host}{where}"
    return _answer_running(where)


def get_results(account: AccountState, call: Call) -> OutgoingResponse:
    """Answer 202 again while a search runs, then its page."""
    running = account.slow_searches.get(call.ids[0])
    if running is None:
        account.reader.refuse("no such search")
    if call.now < running.ready:
        return _answer_running(call.request.path)
    return search(account, replace(call, request=running.request))


def _answer_running(where: str) -> OutgoingResponse:
    response = ok([], make_result_info(0, 0, None), 202)
    return replace(response, headers={**response.headers, "location": where})
