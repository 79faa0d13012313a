"""What `worker check --live` says of the signatures under the audit records."""

import asyncio
from typing import TYPE_CHECKING

from worker.cli.findings import Finding
from worker.errors import SettingsError, Temporary

if TYPE_CHECKING:
    from worker.settings import Settings

NOTHING_IS_SIGNED = Finding(
    "remarks",
    "nothing signs the audit records, so whoever can write the ledger can write them anew unseen: "
    "`worker audit key` makes a key for WORKER_AUDIT_KEY",
)
TRIED = b'{"worker":"check --live"}'
"""What is signed to try it; no head looks like this."""


def check_signing(settings: "Settings") -> Finding | None:
    """Say that nothing signs the records, or that what should cannot; a command is tried."""
    from worker.audit.signers import open_signer

    key = settings.audit_key.get_secret_value() if settings.audit_key else ""
    try:
        if (signer := open_signer(key, settings.audit_signer)) is None:
            return NOTHING_IS_SIGNED
        asyncio.run(signer.sign(TRIED))
    except (SettingsError, Temporary) as error:
        return Finding("problems", str(error))
    if settings.audit_heads:
        return None
    return Finding("remarks", "signed heads go to stdout only: keep it where the worker's user cannot change it")
