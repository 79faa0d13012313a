"""Errors, named by what to do next. Everything that the worker raises on purpose is one of these.

WorkerError
├─ SettingsError          tell the operator, exit 2
├─ RuleError              has file and line; the running rules stay
├─ StoreError             the ledger cannot be used as it is; exit 3
├─ Temporary              try again, after ``after`` seconds
│  ├─ Paced               the API said 429
│  ├─ Unreachable         no connection was made, so nothing was carried out
│  ├─ ServerFault         5xx, or an answer that is not the API's
│  └─ LeaseLost           another process owns this credential now
├─ Permanent              do not try again
│  ├─ Unauthorised        the credential is unknown, or may not do this
│  ├─ NotEntitled         the subscription does not include this
│  ├─ NotFound            the thing named does not exist
│  ├─ Rejected            the API rejected the request
│  └─ Unsent              the client refused to send the request
└─ Unsure                 sent, but no answer came: read back before trying again
   └─ TooLong             the answer is longer than anybody reads: ask for less
"""


class WorkerError(Exception):
    """Anything that the worker raises on purpose; its text is one sentence for people."""


class SettingsError(WorkerError):
    """A setting is missing or wrong; the text names it and says what to do."""


class RuleError(WorkerError):
    """A rule file is rejected; the text names the file and the line."""

    def __init__(self, problem: str, *, file: str = "", line: int = 0) -> None:
        """Put the place, when there is one, in front of the problem."""
        place = f"{file}:{line}: " if line else f"{file}: " if file else ""
        super().__init__(place + problem)
        self.file, self.line = file, line


class StoreError(WorkerError):
    """The ledger cannot be opened or written; the text says why and what to do."""


class Temporary(WorkerError):
    """Try again. ``after`` is the number of seconds to wait at least, 0 when it is unknown."""

    def __init__(self, problem: str, *, after: float = 0.0) -> None:
        super().__init__(problem)
        self.after = after


class Paced(Temporary):
    """The API answered 429: the budget of this credential is spent, by this worker or by others."""


class Unreachable(Temporary):
    """No connection was made, so nothing was carried out."""


class ServerFault(Temporary):
    """A 5xx, an answer that is not JSON, a cut body or a redirect: the outcome is unknown."""


class LeaseLost(Temporary):
    """Another process owns this credential now; this one must stop writing at once."""


class Permanent(WorkerError):
    """Trying again would have the same result. ``reason`` is the API's own words, if it was the API that said so."""

    def __init__(self, problem: str, *, reason: str = "") -> None:
        super().__init__(problem)
        self.reason = reason


class Unauthorised(Permanent):
    """The credential is unknown, or lacks the permission for this operation."""


class NotEntitled(Permanent):
    """The account's subscription does not include this operation."""


class NotFound(Permanent):
    """The thing named does not exist, or no longer; ``codes`` are the API's for why."""

    def __init__(self, problem: str, *, reason: str = "", codes: tuple[int, ...] = ()) -> None:
        super().__init__(problem, reason=reason)
        self.codes = codes


class Rejected(Permanent):
    """The API rejected the request; ``status`` is the HTTP status, ``codes`` are the API's for why."""

    def __init__(self, problem: str, *, status: int = 400, reason: str = "", codes: tuple[int, ...] = ()) -> None:
        super().__init__(problem, reason=reason)
        self.status, self.codes = status, codes


class Unsent(Permanent, ValueError):
    """The client refused to send a request that is invalid, or that would do far more than intended."""


class Unsure(WorkerError):
    """A write was sent but no answer came, so it may or may not have been carried out."""


class TooLong(Unsure):
    """The answer is longer than it may be, and was not read to its end."""
