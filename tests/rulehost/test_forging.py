"""A rule that writes to the daemon itself: it loses its say, the other rules keep theirs, and the daemon goes on."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from struct import pack

import pytest

from tests.rule_files import BAD, GOOD, mail, rule_files
from worker.errors import RuleError
from worker.rulehost import host as hosting
from worker.rulehost.host import Deadlines, Host

pytestmark = pytest.mark.slow
SENDS = (
    "pack = enum.sys.modules['msgspec.msgpack'].encode; "
    "link = int(enum.sys.argv[1]); "
    "send = lambda body: os.write(link, len(body).to_bytes(4, 'little') + body); "
)
NOTES = (
    "frame = enum.sys._getframe()\n"
    "            while 'memory' not in frame.f_locals: frame = frame.f_back\n"
    "            notes = frame.f_locals['memory']\n            "
)
PATIENT = "\n            while True: pass"


@asynccontextmanager
async def host_with(folder: Path, does: str, python: str = sys.executable) -> AsyncIterator[Host]:
    """Run a good rule beside one that does this when the subject has "bad" in it."""
    rule_files(folder, good=GOOD, bad=BAD.replace("{does}", does))
    async with Host(folder, deadlines=Deadlines(call=0.2), python=python) as host:
        yield host


async def propose(host: Host) -> list[tuple[list[str], list[str]]]:
    """Let three mails be judged, one of them bad; return which rules acted on each and which failed."""
    answers = await host.propose([mail("1"), mail("2", subject="bad"), mail("3")])
    assert [said.key for said in answers] == ["1", "2", "3"]
    return [([one.rule for one in said.proposals], [one.rule for one in said.failed]) for said in answers]


ONLY_THE_BAD_ONE = [(["good"], []), (["good"], ["bad"]), (["good"], [])]


@pytest.mark.parametrize(
    "body",
    [
        "b'x'",
        "pack([])",
        "pack({'not': 'a list'})",
        "pack({'said': []})",
        "pack({'said': [{'key': 'nobody'}] * 3})",
        "pack({'said': [{'key': '1', 'asks': [{'rule': 'bad', 'facts': ['Nonsense']}]}]})",
        "pack({'said': [{'key': '1'}, {'key': '2'}, {'key': '3'}], 'calls': {99: [1, 0.1]}})",
        "b'\\x91' * 100_000",
        "b'x' * (1 << 20)",
    ],
)
async def test_a_forged_frame_costs_the_rule_that_wrote_it_its_say(tmp_path: Path, body: str) -> None:
    async with host_with(tmp_path, f"{SENDS}send({body}); {PATIENT}") as host:
        assert await propose(host) == ONLY_THE_BAD_ONE


@pytest.mark.parametrize(
    "head", ["b'\\xff\\xff\\xff\\x7f'", "b'\\xff\\xff\\xff\\xff'", "b'Fata'", "b'\\x01\\x00\\x10\\x00'"]
)
async def test_words_without_end_are_not_kept(tmp_path: Path, head: str) -> None:
    floods = f"{SENDS}os.write(link, {head})\n            while True: os.write(link, b'x' * 65536)"
    async with host_with(tmp_path, floods) as host:
        assert await propose(host) == ONLY_THE_BAD_ONE


async def test_a_flood_of_empty_frames_is_no_answer(tmp_path: Path) -> None:
    floods = f"{SENDS}\n            while True: os.write(link, b'\\x00\\x00\\x00\\x80' * 10_000)"
    async with host_with(tmp_path, floods) as host:
        assert await propose(host) == ONLY_THE_BAD_ONE


async def test_a_rule_that_always_says_that_it_goes_on_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "PAGE_SECONDS", 2.0)
    bumps = f"{NOTES}while True: notes[0:8] = (int.from_bytes(notes[0:8], 'little') + 1).to_bytes(8, 'little')"
    async with host_with(tmp_path, bumps) as host:
        begun = time.monotonic()
        assert await propose(host) == ONLY_THE_BAD_ONE
        assert time.monotonic() - begun < 15


@pytest.mark.parametrize(("event", "rule"), [(99, 0), (0, 99), (2**32 - 1, 2**32 - 1), (2**32 - 1, 0)])
async def test_a_forged_note_names_nobody_else(tmp_path: Path, event: int, rule: int) -> None:
    numbers = pack("<II", event, rule)
    async with host_with(tmp_path, f"{NOTES}notes[8:16] = {numbers!r}; os._exit(3)") as host:
        assert await propose(host) == ONLY_THE_BAD_ONE


@pytest.mark.parametrize(
    "does",
    [
        "os.kill(os.getpid(), 40)",
        "enum.sys.modules['ctypes'].CDLL(None).prctl(15, b'\\xff) \\x80', 0, 0, 0); os._exit(1)",
        "os.write(int(enum.sys.argv[1]), b'Fata  File \"/etc/x\", line ' + b'9' * 60_000 + b' in '); os._exit(1)",
        "os.close(int(enum.sys.argv[1]))\n            while True: pass",
    ],
)
async def test_a_strange_end_is_an_end(tmp_path: Path, does: str) -> None:
    async with host_with(tmp_path, does) as host:
        assert await propose(host) == ONLY_THE_BAD_ONE


IMPOSTOR = """
    import enum
    loader = enum.sys.modules["worker.rulehost.loader"]
    loader.identify_rule = lambda name, code, shared: "0" * 32

    @rule
    def impostor(message: Message) -> Move | None:
        "It hides that it was changed."
        return None
"""


async def test_a_file_that_claims_the_fingerprint_of_other_code_is_refused(tmp_path: Path) -> None:
    rule_files(tmp_path, good=GOOD, impostor=IMPOSTOR)
    with pytest.raises(RuleError, match=r"impostor\.py: it cannot be loaded: a rule has the fingerprint of other code"):
        await Host(tmp_path).load()


async def test_the_loop_does_not_wait_for_a_child_that_has_cut_the_line(tmp_path: Path) -> None:
    async with host_with(tmp_path, "os.close(int(enum.sys.argv[1]))\n            while True: pass") as host:
        judging = asyncio.ensure_future(propose(host))
        longest, last = 0.0, time.monotonic()
        while not judging.done():
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert judging.result() == ONLY_THE_BAD_ONE
        assert longest < 0.3


async def test_a_rule_that_names_a_call_which_was_not_made_does_not_keep_the_page_for_ever(tmp_path: Path) -> None:
    async with host_with(tmp_path, NOTES + "notes[8:16] = bytes(8); os._exit(1)") as host:
        async with asyncio.timeout(30):
            assert (await propose(host))[2] == (["good"], [])


async def test_a_lowered_rule_that_names_another_call_costs_few_processes_on_a_page(tmp_path: Path) -> None:
    starts, python = tmp_path / "starts", tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho >> {starts}\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    async with host_with(tmp_path, NOTES + "notes[8:16] = bytes(8); os._exit(1)", python=str(python)) as host:
        counts: list[int] = []
        for page in range(2):
            answers = await host.propose([mail(f"{page}/{number}", subject="bad") for number in range(16)])
            assert [[one.rule for one in said.proposals] for said in answers] == [["good"]] * 16
            assert [one.rule for one in answers[-1].asks] == ["bad"]
            counts.append(len(starts.read_bytes()) - sum(counts))
    assert counts[1] <= 3, counts
