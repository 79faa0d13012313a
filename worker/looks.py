"""What messages looked like lately: intake writes down every reading, the executor looks here before it asks."""

from collections import OrderedDict

from worker.ledger.entries import Look

REMEMBERED = 20_000


class Looks:
    """The latest look at each of the most recently read messages; bounded, and lost with the process."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self._looks: OrderedDict[str, Look] = OrderedDict()

    def saw(self, message: str, look: Look) -> None:
        """Keep a look, unless a newer one is known."""
        known = self._looks.pop(message, look)
        self._looks[message] = look if look.at >= known.at else known
        if len(self._looks) > REMEMBERED:
            self._looks.popitem(last=False)

    def of(self, message: str, since: float) -> Look | None:
        """Return the look at a message if its read began at or after ``since``."""
        look = self._looks.get(message)
        return look if look and look.at >= since else None
