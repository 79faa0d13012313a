"""Who gave an order: the name that was given, else the login name; without one, only what stops something is done."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.shell import Shell
from tests.cli.test_approvals import draft, waits
from tests.faults.commands import NAMELESS, NOBODY, type_all
from tests.ledger.desk import ME
from worker.cli import context
from worker.errors import SettingsError
from worker.escaping import is_hidden
from worker.ledger.ledger import open_ledger
from worker.settings import Settings

LOGIN = ("LOGNAME", "USER", "LNAME", "USERNAME")
UNNAMED = f"uid {NOBODY}, no name given"


@pytest.mark.parametrize(
    ("given_name", "actor", "login", "who"),
    [
        ("ada", "ben", "cleo", "ada"),
        (" ada ", "ben", "cleo", "ada"),
        ("", "ben", "cleo", "ben"),
        (" \t", "ben", "cleo", "ben"),
        ("", "", "cleo", "cleo"),
        ("", "  ", "cleo", "cleo"),
        ("\x1b[2J", "ben", "cleo", r"\u001B[2J"),
        ("", "\u202enada", "cleo", r"\u202Enada"),
        ("", "", "cl\u200beo", r"cl\u200Beo"),
    ],
)
def test_a_name_that_is_given_counts_more_than_that_of_the_place_and_of_the_login(
    monkeypatch: pytest.MonkeyPatch, given_name: str, actor: str, login: str, who: str
) -> None:
    for name in LOGIN:
        monkeypatch.setenv(name, login)
    person = context.find_person(Settings.load({"WORKER_ACTOR": actor}), given_name, "why")
    assert person == context.Person(who, "why", is_named=True)


@given(st.text(max_size=400))
def test_a_name_is_harmless_and_short(name: str) -> None:
    person = context.find_person(Settings.load({"WORKER_ACTOR": "ben"}), name, "")
    assert (person.who == "ben") == (name.strip() in {"", "ben"})
    assert (any(map(is_hidden, person.who)), 0 < len(person.who) <= 200) == (False, True)


@pytest.mark.parametrize("command", ["approve", "brake off"])
def test_whoever_lets_actions_go_on_needs_a_name(command: str) -> None:
    with pytest.raises(SettingsError, match=f"`worker {command}` .* add --as NAME, or set WORKER_ACTOR"):
        context.require_name(context.Person("uid 7, no name given", "", is_named=False), command)
    context.require_name(context.Person("ada", ""), command)


def name_all() -> list[str]:
    """Take up every order; return who gave them."""

    async def take() -> list[str]:
        async with open_ledger(os.environ["WORKER_STORE_URL"], owner="test", exclusive=False) as ledger:
            return [order.who for order in await ledger.take_orders(ME, time.time())]

    return asyncio.run(take())


@pytest.mark.slow
def test_the_name_of_the_place_is_on_record(shell: Shell) -> None:
    waits(draft("m1", "one"), draft("m2", "two"))
    shell.set(WORKER_ACTOR="the desk")
    (first, second) = (row["id"] for row in shell.json("waiting"))
    for words in (("approve", first), ("refuse", second, "--as", "ada"), ("brake", "on")):
        assert shell.type(*words)[0] == 0
    assert name_all() == ["the desk", "ada", "the desk"]


@pytest.fixture
def nameless(shell: Shell) -> Iterator[dict[str, str]]:
    """Give the environment of a container in which one decision waits, in a folder that its user can reach."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become a user without a name")
    rules = Path(__file__).parents[2] / "rules"
    with TemporaryDirectory() as folder:
        shell.set(WORKER_STORE_URL=f"sqlite:///{folder}/worker.db")
        waits(draft("m1", "one"))
        for path in (Path(folder), *Path(folder).iterdir()):
            os.chown(path, NOBODY, NOBODY)
        yield {"WORKER_STORE_URL": f"sqlite:///{folder}/worker.db", "WORKER_RULES": str(rules)}


@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_user_without_a_name_can_stop_and_not_let_go_on(nameless: dict[str, str]) -> None:
    stops = (("brake", "on"), ("refuse", "one"))
    goes_on = (("approve", "one"), ("approve", "--rule", "r"), ("brake", "off"), ("brake", "off", "--lane", "block"))
    told = type_all((*goes_on, *stops), nameless, as_user=NAMELESS)
    for words in goes_on:
        assert (told[words].code, "add --as NAME, or set WORKER_ACTOR" in told[words].err) == (2, True)
        assert f"uid {NOBODY} has no login name here" in told[words].err
    for words in stops:
        assert (told[words].code, told[words].err) == (0, "")
        assert f"It is on record as {UNNAMED}: give your name with --as or WORKER_ACTOR." in told[words].out


@pytest.mark.slow
@pytest.mark.unmeasured
def test_what_a_user_without_a_name_ordered_is_on_record_by_its_number(nameless: dict[str, str]) -> None:
    type_all((("brake", "on"), ("brake", "on", "--lane", "block", "--as", "ada")), nameless, as_user=NAMELESS)
    assert name_all() == [UNNAMED, "ada"]


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("more", [{"WORKER_ACTOR": "ada"}, {"USER": "ada"}], ids=["actor", "login"])
def test_a_user_without_a_line_in_passwd_may_have_a_name_all_the_same(
    nameless: dict[str, str], more: dict[str, str]
) -> None:
    commands = (("brake", "on"), ("brake", "off"), ("approve", "one"))
    told = type_all(commands, {**nameless, **more}, as_user=NAMELESS)
    assert {one.code for one in told.values()} == {0}
    assert [one for one in told.values() if "no name given" in one.out] == []


@pytest.mark.slow
@pytest.mark.unmeasured
def test_no_command_needs_a_line_in_passwd(nameless: dict[str, str]) -> None:
    looking = (("status",), ("waiting",), ("gaps",), ("brake",), ("audit", "query"), ("audit", "verify"))
    loading = (("rules",), ("check",), ("run", "--once"), ("bulk", "list"), ("bulk", "cancel", "x", "--yes"))
    told = type_all(looking + loading, nameless, as_user=NAMELESS)
    assert [str(one) for one in told.values() if "Traceback" in one.err + one.out] == []
