"""Sentences in another language: whoever decides by the words of one, decides otherwise then."""

from worker.ledger.db.runner import SyncRunner
from worker.ledger.db.tables import metadata

SENTENCES = {
    "entries": ("said", "because"),
    "reasons": ("because",),
    "slices": ("why",),
    "held": ("why",),
    "mishaps": ("problem",),
    "broken": ("why",),
    "orders": ("because", "answer"),
    "brakes": ("because",),
}
"""The columns that hold sentences for people, by table."""


def speak_another_language(runner: SyncRunner) -> None:
    """Let every sentence be kept in other words than those it was written in."""
    with runner.engine.begin() as conn:
        for table, columns in SENTENCES.items():
            for column in columns:
                for event in ("INSERT", f'UPDATE OF "{column}"'):
                    conn.exec_driver_sql(_trigger(table, column, event))


def _trigger(table: str, column: str, event: str) -> str:
    this_row = " AND ".join(f'"{key.name}" = NEW."{key.name}"' for key in metadata.tables[table].primary_key)
    change = f"""UPDATE {table} SET "{column}" = 'ɐ' || hex(NEW."{column}") WHERE {this_row}"""  # noqa: S608
    name = f"{table}_{column}_{event.split(maxsplit=1)[0]}"
    return f"""CREATE TRIGGER {name} AFTER {event} ON {table} WHEN NEW."{column}" != '' BEGIN {change}; END"""
