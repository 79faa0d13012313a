"""The rule host: whatever a rule does to its process, the other rules still run."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rule_files import BAD, GOOD, mail, rule_files
from worker import Move
from worker.errors import RuleError, Temporary
from worker.language.rules import ENFORCE, OBSERVE
from worker.rulehost.evaluation import Event, Said
from worker.rulehost.host import Deadlines, Host, split_pages
from worker.rulehost.protocol import PAGE_BYTES, PAGE_EVENTS

pytestmark = pytest.mark.slow
BAD_LINE = 11
MOODY = """
    import enum

    @rule(mode=ENFORCE)
    @example(sample.message(subject=""), gives=None)
    @example(sample.message(), gives=Move("Inbox"))
    def moody(message: Message) -> Move | None:
        'It depends.'
        if message.subject == 'bad':
            enum.sys.modules["os"]._exit(1)
        return Move("Inbox") if message.subject else None
"""


@asynccontextmanager
async def hosting(folder: Path, does: str = "") -> AsyncIterator[Host]:
    """Run a good rule, and with ``does`` a bad one that does it when the subject has "bad" in it."""
    rule_files(folder, good=GOOD, **({"bad": BAD.replace("{does}", does)} if does else {}))
    async with Host(folder, deadlines=Deadlines(call=0.2)) as host:
        yield host


def heard(answers: list[Said]) -> list[list[str]]:
    """Name the rules that acted, by event."""
    return [[one.rule for one in said.proposals] for said in answers]


async def test_what_rules_say_comes_back_in_the_order_of_the_events(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        answers = await host.propose([mail("b"), mail("a", final_disposition="NONE"), mail("c")])
    assert [said.key for said in answers] == ["b", "a", "c"]
    assert heard(answers) == [["good"], [], ["good"]]
    assert answers[0].proposals[0].actions == (Move("JunkEmail"),)
    assert answers[0].proposals[0].actions[0].because == "It is good."


async def test_the_host_knows_what_its_rules_hear(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        asked = [("Message", "MALICIOUS"), ("Message", "NEWER"), ("Message", "NONE"), ("Report", "MALICIOUS")]
        assert [host.is_heard(*one) for one in asked] == [True, True, False, False]


@pytest.mark.parametrize(
    ("does", "why", "line"),
    [
        ("while True: pass", "did not end within 0.2 s", BAD_LINE),
        ("re.fullmatch('(a+)+b', 'a' * 60)", "did not end within 0.2 s", BAD_LINE),
        ("os._exit(7)", "exit status 7", 8),
        ("os.kill(os.getpid(), 9)", "SIGKILL", 8),
        ("enum.sys.modules['ctypes'].string_at(8)", "SIGSEGV", BAD_LINE),
        ("x = [bytes(1 << 20) for _ in range(1000)]", "more than 512 MB", 8),
    ],
)
async def test_a_rule_that_stops_its_process_loses_its_say_and_nobody_else_does(
    tmp_path: Path, does: str, why: str, line: int
) -> None:
    async with hosting(tmp_path, does) as host:
        first = host.pid
        answers = await host.propose([mail("1"), mail("2", subject="bad"), mail("3")])
        assert heard(answers) == [["good"]] * 3
        assert [len(said.failed) for said in answers] == [0, 1, 0]
        failure = answers[1].failed[0]
        assert (failure.rule, failure.file, failure.line) == ("bad", f"{tmp_path}/bad.py", line)
        assert why in failure.problem
        assert host.pid != first
        assert host.lowered == frozenset()


@pytest.mark.parametrize(
    ("does", "problem"),
    [
        ("raise ValueError('\\x1b[31m' + message.subject)", "ValueError: \\u001B[31mbad"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("return bad(message)", "RecursionError: maximum recursion depth exceeded"),
        ("return Release()", "TypeError: Release is not in the rule's return type, which allows Move"),
        ("return Move('Nowhere')", 'TypeError: Move("Nowhere"): no such folder; use Inbox, JunkEmail'),
        ("return 3", "TypeError: a rule returns actions or None, not int"),
    ],
)
async def test_an_error_in_a_rule_needs_no_new_process(tmp_path: Path, does: str, problem: str) -> None:
    async with hosting(tmp_path, does) as host:
        first = host.pid
        answers = await host.propose([mail("1", subject="bad")])
        assert heard(answers) == [["good"]]
        assert answers[0].failed[0].problem.startswith(problem)
        assert host.pid == first


async def test_printing_and_reading_the_keyboard_disturb_nobody(tmp_path: Path) -> None:
    async with hosting(tmp_path, "print('x' * 100_000); enum.sys.stdout.flush()") as host:
        answers = await host.propose([mail("1", subject="bad"), mail("2")])
    assert heard(answers) == [["good"], ["good"]]
    assert not answers[0].failed


async def test_the_third_stop_within_an_hour_lowers_a_rule_to_observe(tmp_path: Path) -> None:
    rule_files(tmp_path, moody=MOODY)
    now = [0.0]
    async with Host(tmp_path, clock=lambda: now[0]) as host:
        for at in (0.0, 3000.0, 6500.0):
            now[0] = at
            assert len((await host.propose([mail(subject="bad")]))[0].failed) == 1
            assert host.lowered == frozenset()
        assert (await host.propose([mail(subject="hi")]))[0].proposals[0].mode == ENFORCE
        now[0] = 6550.0
        await host.propose([mail(subject="bad")])
        assert host.lowered == {"moody"}
        (proposal,) = (await host.propose([mail(subject="hi")]))[0].proposals
        assert (proposal.mode, proposal.lowered) == (OBSERVE, "stops")
        rule_files(tmp_path, moody=MOODY.replace("'bad'", "'worse'"))
        await host.load()
        assert host.lowered == frozenset()


async def test_a_rule_that_always_hangs_costs_three_stops_and_not_one_per_message(tmp_path: Path) -> None:
    async with hosting(tmp_path, "while True: pass") as host:
        begun = time.monotonic()
        answers = await host.propose([mail(str(number), subject="bad") for number in range(100)])
        assert time.monotonic() - begun < 10
    assert heard(answers) == [["good"]] * 100
    assert [[one.rule for one in said.failed] for said in answers] == [["bad"]] * 3 + [[]] * 97
    assert [[one.rule for one in said.asks] for said in answers] == [[]] * 3 + [["bad"]] * 97


async def test_a_rule_is_asked_about_the_rest_of_a_page_that_it_stopped_once_it_is_mended(tmp_path: Path) -> None:
    page = [mail(str(number), subject="bad") for number in range(9)]
    async with hosting(tmp_path, "while True: pass") as host:
        await host.propose(page)
        child = host.pid
        (ask,) = (await host.propose(page[5:]))[0].asks
        assert host.pid == child  # nobody has stopped it meanwhile
        assert (ask.rule, ask.mode, ask.actions) == ("bad", OBSERVE, ("Move",))
        rule_files(tmp_path, bad=BAD.replace("{does}", "return Move('Inbox')"))
        await host.load()
        assert heard(await host.propose(page[5:])) == [["bad", "good"]] * 4


@pytest.mark.parametrize("does", ["while True: pass", "os._exit(1)", "x = 'x' * (1 << 30)"])
async def test_a_mail_that_stops_a_lowered_rule_costs_no_other_mail_of_its_page(tmp_path: Path, does: str) -> None:
    async with hosting(tmp_path, does) as host:
        for number in range(3):
            await host.propose([mail(f"before-{number}", subject="bad")])
        assert host.lowered == {"bad"}
        page = [mail(str(number), subject="bad" if number in {1, 4} else "hi") for number in range(6)]
        answers = await host.propose(page)
    assert [said.key for said in answers if said.failed] == ["1", "4"]
    assert [one for one in heard(answers) if one != ["good"]] == []


async def test_who_was_not_asked_about_a_mail_is_not_said_to_have_hung_on_it(tmp_path: Path) -> None:
    async with hosting(tmp_path, "while True: pass") as host:
        answers = await host.propose([mail(str(number), subject="bad") for number in range(5)])
    hung = "it did not end within 0.2 s"
    assert [said.failed[0].problem for said in answers[:3]] == [hung] * 3
    stopped = f"it stopped the rule process on 3 other events of the same page: {hung}"
    assert [said.asks[0].stopped for said in answers[3:]] == [stopped] * 2


async def test_a_child_that_was_killed_while_idle_is_replaced_and_nobody_is_blamed(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        os.kill(host.pid, signal.SIGKILL)
        answers = await host.propose([mail()])
    assert heard(answers) == [["good"]]
    assert answers[0].failed == ()


async def test_a_rule_that_cuts_the_line_to_the_daemon_loses_its_say_and_no_other_does(tmp_path: Path) -> None:
    async with hosting(tmp_path, "os.closerange(0, 100)") as host:
        answers = await host.propose([mail("1"), mail("2", subject="bad"), mail("3")])
    assert heard(answers) == [["good"]] * 3
    assert [(one.rule, "exit status 1" in one.problem) for one in answers[1].failed] == [("bad", True)]


async def test_an_event_that_kills_the_child_by_itself_is_told_as_unreadable(tmp_path: Path) -> None:
    bomb = mail("bomb").raw[:-1] + b',"to":[' + b'"ab",' * 12_000_000 + b'""]}'
    rule_files(tmp_path, good=GOOD)
    async with Host(tmp_path, deadlines=Deadlines(call=5)) as host:
        answers = await host.propose([mail("1"), Event(key="bomb", kind="Message", raw=bomb), mail("2")])
    assert heard(answers) == [["good"], [], ["good"]]
    assert "the rule process cannot read it" in answers[1].unreadable


REMEMBERS = """
    SEEN = []

    @rule
    @example(sample.message(subject="magic"), gives=None)
    def remembers(message: Message) -> Move | None:
        'It remembers.'
        SEEN.append(message.subject)
        return Move("Inbox") if "magic" in SEEN and message.subject != "magic" else None
"""


async def test_an_example_that_no_fingerprint_covers_leaves_nothing_where_rules_judge(tmp_path: Path) -> None:
    async with Host(rule_files(tmp_path, remembers=REMEMBERS)) as host:
        assert heard(await host.propose([mail()])) == [[]]
        os.kill(host.pid, signal.SIGKILL)
        assert heard(await host.propose([mail()])) == [[]]
        assert heard(await host.propose([mail("2", subject="magic"), mail("3")])) == [[], ["remembers"]]


async def test_a_broken_bundle_leaves_the_running_one(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        first, child = host.bundle, host.pid
        rule_files(tmp_path, good=GOOD.replace('"""It is good."""', ""))
        with pytest.raises(RuleError, match=r"good\.py:4: good: it has no docstring") as caught:
            await host.load()
        assert (caught.value.file, caught.value.line) == (f"{tmp_path}/good.py", 4)
        assert (host.bundle, host.pid) == (first, child)
        assert heard(await host.propose([mail()])) == [["good"]]


async def test_a_changed_bundle_is_a_new_generation_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        first = host.pid
        assert (await host.load()).generation == 1
        assert host.pid == first
        rule_files(tmp_path, good=GOOD.replace("JunkEmail", "Inbox"))
        assert (await host.load()).generation == 2
        assert (await host.propose([mail()]))[0].proposals[0].actions == (Move("Inbox"),)


async def test_a_restart_runs_the_rules_that_were_loaded_and_not_what_lies_there_now(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        rule_files(tmp_path, good="this is no Python")
        os.kill(host.pid, signal.SIGKILL)
        assert heard(await host.propose([mail()])) == [["good"]]


@pytest.mark.parametrize(
    ("at_import", "why"),
    [
        ("while True: pass", "did not end within 0.3 s"),
        ("import enum; enum.sys.modules['os']._exit(5)", "exit status 5"),
        ("x = bytes(1 << 30)", "it cannot be loaded: MemoryError"),
    ],
)
async def test_what_a_file_does_at_import_only_refuses_the_bundle(tmp_path: Path, at_import: str, why: str) -> None:
    rule_files(tmp_path, a=GOOD, b=at_import)
    with pytest.raises(RuleError, match=why) as caught:
        await Host(tmp_path, deadlines=Deadlines(load=0.3)).load()
    assert caught.value.file == f"{tmp_path}/b.py"


async def test_files_that_stop_the_process_hide_neither_each_other_nor_the_rest(tmp_path: Path) -> None:
    leaves = "import enum; enum.sys.modules['os']._exit(5)"
    borrows = "from . import _stays"
    rule_files(tmp_path, _stays="while True: pass", a=leaves, b=borrows, c=borrows, d="x = 1", e=leaves)
    with pytest.raises(RuleError) as caught:
        await Host(tmp_path, deadlines=Deadlines(load=0.3)).load()
    told = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert [line.partition(":")[0] for line in told] == ["a.py", "_stays.py", "e.py", "d.py"]
    assert "did not end within 0.3 s" in told[1]


async def test_a_child_that_stops_whatever_it_runs_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(RuleError) as caught:
        await Host(rule_files(tmp_path, good=GOOD), python="/bin/false").load()
    assert str(caught.value) == f"{tmp_path}/good.py: it cannot be loaded: it ended its process (exit status 1)"


async def test_the_child_has_no_environment_and_no_descriptor_but_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "a-very-secret-token")
    with (tmp_path / "something open").open("w") as other:
        os.set_inheritable(other.fileno(), True)  # noqa: FBT003 (the only way to say it)
        async with hosting(tmp_path) as host:
            process = Path(f"/proc/{host.pid}")
            links = [str(link.readlink()) for link in (process / "fd").iterdir()]
            assert (process / "environ").read_bytes() == b""
            assert b"secret" not in (process / "cmdline").read_bytes()
            assert (process / "cwd").readlink() == Path("/")
    others = [link for link in links if link != os.devnull]
    assert len(others) == 1
    assert others[0].startswith("socket:")


async def test_the_child_ends_with_the_host(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        child = host.pid
    assert host.pid == 0
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=12), st.integers(0, 3))
def test_a_page_is_never_larger_than_a_frame_should_be(megabytes: list[int], hundreds: int) -> None:
    small = [mail(str(number)) for number in range(hundreds * 400)]
    large = [Event(key=str(size), kind="Message", raw=bytes(size << 20)) for size in megabytes]
    split = list(split_pages([*large, *small]))
    assert [event for page in split for event in page] == [*large, *small]
    assert all(0 < len(page) <= PAGE_EVENTS for page in split)
    assert all(len(page) == 1 or sum(len(event.raw) for event in page) <= PAGE_BYTES for page in split)


async def test_many_and_large_events_travel_in_pages(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        many = [mail(str(number)) for number in range(PAGE_EVENTS * 2 + 1)]
        large = [mail(f"large{number}", subject="x" * 5_000_000) for number in range(3)]
        answers = await host.propose([*many, *large])
        assert await host.propose([]) == []
    assert [said.key for said in answers] == [event.key for event in (*many, *large)]
    assert heard(answers) == [["good"]] * len(answers)


async def test_a_child_that_cannot_be_started_again_just_now_is_tried_again_later(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    rule_files(tmp_path, bad=BAD.replace("{does}", "os._exit(1)"))
    async with Host(tmp_path, python=str(python)) as host:
        python.unlink()
        with pytest.raises(Temporary, match="cannot start the rule process again"):
            await host.propose([mail("1", subject="bad")])
        python.symlink_to(sys.executable)
        (said,) = await host.propose([mail("1", subject="good")])
        assert not said.failed
