"""What an entry of the block list does to mail that arrives after it: it comes in as malicious."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.sandbox.matching import means, senders

if TYPE_CHECKING:
    from worker.sandbox.exempting import Lists
    from worker.sandbox.wire import Json


def block(lists: Lists, fields: Json) -> Json | None:
    """Return what a message shows as its properties where an entry means it, else None."""
    parties = senders(fields)
    for thing in lists.get("block_senders", {}).values():
        if thing.value is not None and means(thing.value, parties):
            return {"blocklisted_message": True, "blocklisted_pattern": thing.value["pattern"]}
    return None
