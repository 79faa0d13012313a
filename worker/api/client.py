"""The API of one account, by resource."""

from functools import cached_property

from worker.api.analytics import Analytics
from worker.api.calls import Calls
from worker.api.investigate import Investigate
from worker.api.phishguard import PhishGuard
from worker.api.settings import SettingsResource
from worker.api.submissions import SubmissionsResource


class Client(Calls):
    """All operations on one account, grouped as in the API."""

    @cached_property
    def analytics(self) -> Analytics:
        """Figures about the account's mail."""
        return Analytics(self)

    @cached_property
    def investigate(self) -> Investigate:
        """Messages, and operations on them."""
        return Investigate(self)

    @cached_property
    def phishguard(self) -> PhishGuard:
        """Reports of PhishGuard analysts."""
        return PhishGuard(self)

    @cached_property
    def submissions(self) -> SubmissionsResource:
        """Requests to review the verdict on a message."""
        return SubmissionsResource(self)

    @cached_property
    def settings(self) -> SettingsResource:
        """The account's own lists."""
        return SettingsResource(self)
