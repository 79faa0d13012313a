"""A process that writes to a ledger until it is killed, and tells what was acknowledged. Arguments: URL, owner."""

import asyncio
import sys

from tests.ledger.desk import ME, T0, Desk
from worker.ledger.ledger import open_ledger
from worker.ledger.values import Page, Slice


async def main(url: str, owner: str) -> None:
    """Enter page after page, each with entries and records, and print its number once it is committed."""
    desk = Desk()
    async with open_ledger(url, owner=owner, exclusive=True) as ledger:
        known = len((await ledger.coverage(ME, "messages")).closed)
        for number in range(known, known + 10_000):
            drafts = [desk.draft(message=f"m{number}-{n}") for n in range(10)]
            slice_ = Slice(source="messages", kind="head", start=2 * number, end=2 * number + 1)
            page = Page(account=ME, now=T0, source="messages", drafts=tuple(drafts), slice=slice_, closes=True)
            await ledger.enter(page)
            print(number, flush=True)  # noqa: T201 (the parent reads it)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
