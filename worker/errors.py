"""The errors, named by what to do next. Everything the worker raises on purpose is one of these.

WorkerError
├─ SettingsError          tell the operator, exit 2
├─ RuleError              file and line; keep the previous rules
├─ StoreError             the ledger cannot be used as it is; exit 3
├─ Temporary              try again, after ``after`` seconds
│  ├─ Paced               the API said 429
│  ├─ Unreachable         provably not carried out: no connection was made
│  ├─ ServerFault         5xx, or an answer that makes no sense
│  └─ LeaseLost           somebody else owns this credential now
├─ Permanent              do not try again
│  ├─ Unauthorised        the token is unknown, or may not do this
│  ├─ NotEntitled         the subscription does not include this
│  ├─ NotFound            there is no such thing
│  ├─ Rejected            the API refused the request as it was written
│  └─ Unsent              the client refused it, for what it would do or could not mean
└─ Unsure                 sent, and no answer came: look before doing it again
"""


class WorkerError(Exception):
    """Anything the worker raises on purpose; its text is one sentence for a tired person."""


class SettingsError(WorkerError):
    """A setting is missing or wrong; names the setting and what to do."""


class RuleError(WorkerError):
    """A rule file cannot be taken; names the file and the line."""

    def __init__(self, problem: str, *, file: str = "", line: int = 0) -> None:
        """Put the place, when there is one, in front of the problem."""
        place = f"{file}:{line}: " if line else f"{file}: " if file else ""
        super().__init__(place + problem)
        self.file, self.line = file, line


class StoreError(WorkerError):
    """The ledger cannot be opened or written; says why and what to do."""


class Temporary(WorkerError):
    """Try again. ``after`` is the least number of seconds to wait, 0 when nobody said."""

    def __init__(self, problem: str, *, after: float = 0.0) -> None:
        """Keep the wait beside the sentence."""
        super().__init__(problem)
        self.after = after


class Paced(Temporary):
    """The API answered 429: the budget of this credential is spent, by us or by others."""


class Unreachable(Temporary):
    """No connection was made, so nothing was carried out."""


class ServerFault(Temporary):
    """A 5xx, an answer that is not JSON, a cut body, a redirect: nothing can be concluded from it."""


class LeaseLost(Temporary):
    """Another process owns this credential now; stop writing at once."""


class Permanent(WorkerError):
    """Doing it again would end the same way."""


class Unauthorised(Permanent):
    """The credential is unknown, or lacks the permission for this operation."""


class NotEntitled(Permanent):
    """The account's subscription does not include this operation."""


class NotFound(Permanent):
    """The thing named does not exist (any more)."""


class Rejected(Permanent):
    """The API refused the request as it was written; says what it said, and keeps the HTTP status."""

    def __init__(self, problem: str, *, status: int = 400) -> None:
        """Keep the status beside the sentence."""
        super().__init__(problem)
        self.status = status


class Unsent(Permanent, ValueError):
    """The client did not send a request that the API could not mean, or that would do far more than anybody wants."""


class Unsure(WorkerError):
    """A write was sent and no answer came: it may or may not have been carried out."""
