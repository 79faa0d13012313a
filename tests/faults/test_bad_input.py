"""What people get wrong when they start a worker: one sentence that says what to change, and an exit code."""

from pathlib import Path

import pytest

from tests.faults.rig import TOKEN, Rig

pytestmark = pytest.mark.slow
NOWHERE = {"CLOUDFLARE_BASE_URL": "http://127.0.0.1:1/client/v4", "WORKER_REQUEST_TIMEOUT": "100ms"}


@pytest.mark.parametrize(
    ("words", "more", "code", "told"),
    [
        (("run",), {"CLOUDFLARE_API_TOKEN": ""}, 2, "CLOUDFLARE_API_TOKEN"),
        (("run",), {"CLOUDFLARE_API_TOKEN": "two\nlines"}, 2, "CLOUDFLARE_API_TOKEN"),
        (("run",), {"CLOUDFLARE_ACCOUNT_ID": ""}, 2, "CLOUDFLARE_ACCOUNT_ID"),
        (("run",), {"WORKER_CIELING": "enforce"}, 2, "did you mean WORKER_CEILING?"),
        (("run",), {"WORKER_SETTLE": "soon"}, 2, "WORKER_SETTLE"),
        (("run",), {"WORKER_RULES": "/nowhere/rules"}, 2, "WORKER_RULES"),
        (("rnu",), {}, 2, "run"),
        (("run", "--onec"), {}, 2, "--once"),
        (("run", "--once"), {"CLOUDFLARE_API_TOKEN": f"wrong-{TOKEN}"}, 3, "credential"),
        (("run", "--once"), {"CLOUDFLARE_ACCOUNT_ID": "f" * 32}, 3, "credential"),
        (("run", "--once"), NOWHERE, 3, "could not connect to the API"),
    ],
    ids=[
        "no token",
        "a token of two lines",
        "no account",
        "an unknown setting",
        "a duration that is none",
        "no rules",
        "an unknown command",
        "an unknown option",
        "a wrong token",
        "an unknown account",
        "nobody there",
    ],
)
async def test_a_mistake_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...], more: dict[str, str], code: int, told: str
) -> None:
    rig = Rig(tmp_path)
    async with rig.api():
        found = await rig.command(*words, **more)
    assert (found.code, found.out) == (code, "")
    assert told in found.err
    assert found.err.startswith("worker: ") or '"event"' in found.err
    assert "Traceback" not in found.err
    assert TOKEN not in found.err
    assert rig.world.effects == []
