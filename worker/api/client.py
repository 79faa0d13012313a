"""The API client's room: the API of one account, by resource."""

from functools import cached_property

from worker.api.calls import Calls
from worker.api.investigate import Investigate
from worker.api.phishguard import PhishGuard
from worker.api.settings import SettingsResource
from worker.api.submissions import SubmissionsResource


class Client(Calls):
    """What can be asked of one account, grouped as the API groups it."""

    @cached_property
    def investigate(self) -> Investigate:
        """Messages, and what is done to them."""
        return Investigate(self)

    @cached_property
    def phishguard(self) -> PhishGuard:
        """What analysts report."""
        return PhishGuard(self)

    @cached_property
    def submissions(self) -> SubmissionsResource:
        """Requests to judge a message anew."""
        return SubmissionsResource(self)

    @cached_property
    def settings(self) -> SettingsResource:
        """The account's own lists."""
        return SettingsResource(self)
