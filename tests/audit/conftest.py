"""What tests of audit records share."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from tests.every_record import write_every_record


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give a ledger with records of every verb; what a test changes in it is taken back."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'worker.db'}"
    asyncio.run(write_every_record(url))
    engine = create_engine(url)
    yield engine
    engine.dispose()
