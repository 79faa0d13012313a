"""The API client's room: the API of one account, by resource."""

from functools import cached_property

from worker.api.calls import Calls
from worker.api.investigate import Investigate
from worker.api.phishguard import PhishGuard
from worker.api.settings import Settings
from worker.api.submissions import Submissions


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
    def submissions(self) -> Submissions:
        """Requests to judge a message anew."""
        return Submissions(self)

    @cached_property
    def settings(self) -> Settings:
        """The account's own lists."""
        return Settings(self)
