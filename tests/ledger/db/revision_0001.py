"""Revision 0001: a ledger of it, and how it told a person lines of an action log."""

import lzma
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from worker.escaping import escape
from worker.language.models import LogEntry
from worker.language.times import epoch
from worker.ledger import db

OLD_LEDGER = lzma.decompress((Path(__file__).parents[1] / "data" / "worker-0001.db.xz").read_bytes())
FILE = Path(db.__file__).parent / "migrations" / "versions" / "0002_typed_state.py"
WELL = frozenset({"", "ok", "success", "succeeded", "successful", "completed", "moved", "delivered"})


def describe(lines: Sequence[LogEntry]) -> str:
    told = "; ".join(map(_describe, lines[:5])) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")
    return escape(told, 500)


def _describe(line: LogEntry) -> str:
    where = f" to {escape(line.folder, 60)}" if line.folder else ""
    status = f" ({escape(line.status, 80)})" if line.status.lower() not in WELL else ""
    when = f" at {datetime.fromtimestamp(epoch(line.completed_at), UTC):%F %T}Z" if line.completed_at else ""
    return f"{escape(line.operation, 30)}{where} by {escape(line.requested_by or 'somebody', 80)}{when}{status}"


def keys_in(told: str) -> list[str]:
    """Return the keys that the migration finds in a sentence."""
    spec = spec_from_file_location("migration", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    keys: list[str] = module._keys(told)  # noqa: SLF001 (a migration has no other door)
    return keys
