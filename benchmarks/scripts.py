"""What people would write instead, on the official SDK; each prints a line when it is imported, then what it came to.

Run as `python -m benchmarks.scripts obvious|careful URL`.
"""

import sys

from cloudflare import Cloudflare, CloudflareError

from worker.sandbox import ACCOUNT

MOST = 1000


def obvious(client: Cloudflare) -> None:
    """List everything with the SDK's own paging, and move what matches one by one.

    That paging counts pages and never sends the cursor. The parameter is documented as ended: where it is ignored, the
    first page comes for ever. The sandbox honours it for this script.
    """
    moved = 0
    try:
        for message in client.email_security.investigate.list(account_id=ACCOUNT, per_page=MOST):
            if message.final_disposition == "MALICIOUS":
                client.email_security.investigate.move.create(
                    message.id, account_id=ACCOUNT, destination="DeletedItems"
                )
                moved += 1
    except CloudflareError as error:
        print(moved, type(error).__name__)
        return
    print(moved, "done")


def careful(client: Cloudflare) -> None:
    """Follow the cursor by hand, which the SDK's paging does not, and move a thousand at a time."""
    malicious: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        more = {"cursor": cursor} if cursor else {}
        page = client.email_security.investigate.list(account_id=ACCOUNT, per_page=MOST, extra_query=more)
        malicious += [message.id for message in page.result if message.final_disposition == "MALICIOUS"]
        cursor = getattr(page.result_info, "next", None)
    for start in range(0, len(malicious), MOST):
        client.email_security.investigate.move.bulk(
            account_id=ACCOUNT, ids=malicious[start : start + MOST], destination="DeletedItems"
        )
    print(len(malicious), "done")


if __name__ == "__main__":
    print("ready", flush=True)
    {"obvious": obvious, "careful": careful}[sys.argv[1]](Cloudflare(api_token="any", base_url=sys.argv[2]))  # noqa: S106 (the sandbox takes any)
