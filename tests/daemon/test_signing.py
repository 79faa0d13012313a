"""A worker signs its records if it has a key, tells when it cannot, and goes on acting."""

from pathlib import Path

import msgspec
import pytest

from tests.daemon.bench import Bench, until
from worker import daemon
from worker.audit.heads import open_head
from worker.audit.keys import KeyPair
from worker.daemon.signing import Signing
from worker.sandbox import ACCOUNT
from worker.settings import Settings
from worker.telemetry import Metrics, Outlets, open_log

pytestmark = pytest.mark.slow  # it starts a server
PAIR = KeyPair.make()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "audit.key"
    file.write_text(PAIR.to_pem())
    return file


def forget(key: Path) -> None:
    key.unlink()


def list_lines(bench: Bench, kind: str) -> list[bytes]:
    """Return the lines on stdout that have this key: verb for records, head for heads."""
    return [line for line in bench.records.getvalue().splitlines() if kind in msgspec.json.decode(line)]


async def test_the_key_is_read_once_and_the_last_record_is_signed_when_the_worker_stops(
    bench: Bench, key: Path
) -> None:
    heads = bench.folder / "heads.jsonl"
    async with bench.api(), bench.worker(WORKER_AUDIT_KEY=str(key), WORKER_AUDIT_HEADS=str(heads)) as app:
        forget(key)
        await until(lambda: app.check_readiness().ready)
    (line,), *_, last = list_lines(bench, "head"), msgspec.json.decode(list_lines(bench, "verb")[-1])
    head, body, signature = open_head(line)
    assert PAIR.public.has_signed(body, signature)
    assert (head.account, head.number, head.hash, last["verb"]) == (ACCOUNT, last["number"], last["hash"], "stopped")
    assert heads.read_bytes() == line + b"\n"


async def test_a_signer_that_fails_is_told_everywhere_and_stops_nothing(bench: Bench) -> None:
    bench.world.arrive(3, "outbreak")
    async with bench.api(), bench.worker(WORKER_AUDIT_SIGNER="false") as app:
        await until(lambda: len(bench.world.effects) == 3)
        await Signing(app).end()
        found = app.check_readiness()
        told = "audit records are not signed, and the worker goes on: WORKER_AUDIT_SIGNER ended with exit code 1"
        assert any(warning.startswith(told) for warning in found.warnings)
        assert app.services.outlets.metrics.registry.get_sample_value("worker_audit_signing_failures_total")
    assert [told["level"] for told in bench.told() if told["event"] == "records are not signed"] == ["warning"]
    assert list_lines(bench, "head") == []


async def test_a_single_round_leaves_its_head_to_the_next_daemon(bench: Bench, key: Path) -> None:
    async with bench.api():
        settings = Settings.load({**bench.environment, "WORKER_AUDIT_KEY": str(key)})
        await daemon.run_once(settings, Outlets(open_log(bench.log), bench.records, Metrics()))
        assert list_lines(bench, "head") == []
        async with bench.worker(WORKER_AUDIT_KEY=str(key)):
            await until(lambda: len(list_lines(bench, "head")) == 1)
    assert [open_head(line)[0].head for line in list_lines(bench, "head")] == [1, 2]
