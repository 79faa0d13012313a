"""The walls around the rules: told in the log when the worker starts, and measured."""

import pytest

from tests.daemon.bench import Bench
from tests.promql import read_page
from worker.daemon.maintenance import update_gauges
from worker.walls import WALLS

pytestmark = pytest.mark.slow  # it starts a server


@pytest.mark.parametrize(
    ("sandbox", "event", "stands"),
    [
        ("best-effort", "rules run behind walls", 1.0),
        ("off", "rules run without some walls around them", 0.0),
    ],
)
async def test_the_walls_that_stand_are_told_and_measured(
    bench: Bench, sandbox: str, event: str, stands: float
) -> None:
    async with bench.api(), bench.worker(WORKER_RULES_SANDBOX=sandbox) as app:
        await update_gauges(app)
        page = read_page(app.services.outlets.metrics.render().decode())
    (line,) = (line for line in bench.told() if "walls" in line["event"])
    assert line["event"] == event
    assert (line["walls"] == ", ".join(WALLS)) is bool(stands)
    measured = {str(labels): value for (name, labels), value in page.items() if name == "worker_rules_sandbox_wall"}
    assert len(measured) == len(WALLS)
    assert set(measured.values()) == {stands}


async def test_the_walls_around_mail_are_measured_from_the_first_mail_on(bench: Bench) -> None:
    async with bench.app() as app:
        assert "worker_mail_sandbox_wall{" not in app.services.outlets.metrics.render().decode()
        await app.services.opener.open("Subject: a\n\nb")
        page = read_page(app.services.outlets.metrics.render().decode())
    measured = [value for (name, _), value in page.items() if name == "worker_mail_sandbox_wall"]
    assert measured == [1.0] * len(WALLS)
    assert [line["event"] for line in bench.told() if "walls" in line["event"]] == ["mail is taken apart behind walls"]
