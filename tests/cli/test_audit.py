"""`worker audit query` and `worker audit verify`, on records written by hand and on those of a round."""

import asyncio
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, event

from tests.audit.test_verify import forged
from tests.cli.shell import Shell
from tests.cli.test_approvals import draft, waits
from tests.support import Memory
from worker.audit.keys import read_pair
from worker.audit.signers import KeySigner
from worker.audit.signing import HeadChain
from worker.audit.sinks import ON_STDOUT, FileSink, Sink
from worker.audit.stream import Stream
from worker.ledger.ledger import open_ledger
from worker.ledger.records import Json, NewRecord, Verb

ME = "023e105f4ecef8ad9ca31a8372d0c353"
NIGHT = datetime(2026, 11, 20, 3, tzinfo=UTC).timestamp()
RULE = [["malicious_mail", "f"]]
ENTERED = {
    "verb": "entered",
    "to": "waiting",
    "rules": RULE,
    "action": {"type": "Move", "destination": "DeletedItems"},
    "target": "dy0VrnzKvnXVXPrK-2026-11-20T19:09:24-544b4c85",
    "because": "judged MALICIOUS and delivered",
}
REFUSED = {**ENTERED, "verb": "refused", "to": "refused", "who": "ada", "because": "a newsletter"}


@pytest.fixture
def kept(shell: Shell) -> Shell:
    """Give a shell with a ledger that holds no record yet."""
    shell.set(CLOUDFLARE_ACCOUNT_ID=ME)
    write(shell, at=NIGHT)
    return shell


def new(verb: Verb, **said: Json) -> NewRecord:
    return NewRecord(verb, said)


def write(shell: Shell, *records: dict[str, Any], at: float = NIGHT) -> None:
    """Chain records in the shell's ledger."""

    async def chain() -> None:
        async with open_ledger(f"sqlite:///{shell.folder / 'worker.db'}", owner="test", exclusive=True) as ledger:
            await ledger.write(ME, [new(**record) for record in records], at)

    asyncio.run(chain())


@pytest.mark.parametrize("words", [("--subject", "invoice"), ("--entry", "01X")])
def test_records_that_are_not_there_are_looked_for_without_reading_all_for_names_of_rules(
    kept: Shell, words: tuple[str, ...]
) -> None:
    write(kept, *[ENTERED] * 9)
    read: list[str] = []

    def hear(_c: object, _u: object, statement: str, *_: object) -> None:
        read.extend([statement] if "FROM records" in statement else [])

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        kept.type("audit", "query", *words)
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    assert read
    assert [one for one in read if "records.entry" not in one.partition("WHERE")[2]] == []


def files(shell: Shell, *lengths: int) -> list[str]:
    """Write records, and then the stream of them as files of some lengths, as a log rotation would."""
    write(shell, *({"verb": "started", "n": n} for n in range(sum(lengths))))
    lines = shell.type("audit", "query", "--json")[1].splitlines(keepends=True)
    names = [shell.folder / f"records.{number}.jsonl" for number in range(len(lengths))]
    for name, length in zip(names, lengths, strict=True):
        name.write_text("".join(lines[:length]))
        del lines[:length]
    return [str(name) for name in names]


def query_numbers(shell: Shell, *words: str) -> list[int]:
    """Ask for records; give their numbers."""
    code, out, err = shell.type("audit", "query", "--json", *words)
    assert code == 0, err
    return [msgspec.json.decode(line)["number"] for line in out.splitlines()]


def test_the_table_of_records_says_who_wanted_what_and_why(kept: Shell) -> None:
    write(kept, ENTERED, REFUSED, {"verb": "ordered", "what": "refuse", "subject": "rule:r", "who": "ada"})
    _, out, _ = kept.type("audit", "query")
    third, second, first = re.split(r"\n[321] ", out)[1:]
    assert all(word in first for word in ("malicious_mail", "→ waiting", "Move DeletedItems", "judged MALICIOUS and"))
    assert all(word in second for word in ("malicious_mail", "ada", "a newsletter"))
    assert all(word in third for word in ("ordered", "ada", "refuse", "rule:r"))


def test_the_newest_records_come_first_and_more_are_counted_on(kept: Shell) -> None:
    write(kept, *({"verb": "started", "n": n} for n in range(60)))
    out = kept.type("audit", "query")[1]
    assert re.findall(r"^\d+", out, re.MULTILINE) == [str(number) for number in range(60, 10, -1)]
    assert out.endswith("\nolder records match, too: --limit lists more than 50\n")
    assert query_numbers(kept, "--limit", "2") == [59, 60]
    assert query_numbers(kept) == list(range(1, 61))


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("--sender", "EVIL.example"), [1, 3]),
        (("--sender", "a@evil.example", "--recipient", "ben@corp.example"), [3]),
        (("--subject", "pay"), [1, 2]),
        (("--subject", "pay", "--rule", "s"), [2]),
        (("--subject", "pay", "--since", "1h"), [1, 2]),
        (("--sender", "nobody.example"), []),
        (("--since", "5m"), []),
    ],
)
def test_records_are_found_by_the_mail_that_their_entries_are_about(
    shell: Shell, words: tuple[str, ...], numbers: list[int]
) -> None:
    waits(
        draft("m1", "one", sender="a@evil.example", subject="Pay now"),
        draft("m2", "two", subject="pay", rules=("s",)),
        draft("m3", "three", sender="a@evil.example", recipients=("ben@corp.example",)),
    )
    assert query_numbers(shell, *words) == numbers


def test_long_and_hostile_reasons_stay_within_a_hundred_columns(kept: Shell) -> None:
    hostile = "\x1b[2J\u202e\n" + "x" * 5000
    write(kept, {**REFUSED, "because": hostile, "who": hostile, "target": hostile, "rules": RULE * 5})
    _, out, _ = kept.type("audit", "query")
    assert max(map(len, out.splitlines())) <= 100
    assert "…" in out
    assert all(character.isprintable() for character in out.replace("\n", ""))


def test_an_unknown_verb_is_named_with_its_nearest_known_one(shell: Shell) -> None:
    code, _, err = shell.type("audit", "query", "--verb", "setled")
    assert (code, err) == (2, "worker: no record has the verb 'setled'; did you mean settled?\n")
    _, _, err = shell.type("audit", "query", "--verb", "quux")
    assert "setled" not in err
    assert ": the verbs are abandoned, accepted, answered, approved" in err


def test_an_unknown_rule_is_named_with_its_nearest_one_on_record(kept: Shell) -> None:
    code, _, err = kept.type("audit", "query", "--rule", "malicious_male")
    assert (code, err) == (2, "worker: no record has the rule 'malicious_male': there are no rules on record yet\n")
    write(kept, ENTERED)
    code, _, err = kept.type("audit", "query", "--rule", "malicious_male")
    assert (code, err) == (2, "worker: no record has the rule 'malicious_male'; did you mean malicious_mail?\n")


@pytest.mark.parametrize("what", ["entry", "target"])
def test_an_id_that_no_record_names_is_refused(kept: Shell, what: str) -> None:
    write(kept, {**ENTERED, "entry": "e1"})
    code, out, err = kept.type("audit", "query", f"--{what}", "m1")
    assert (code, out) == (2, "")
    assert err.startswith(f"worker: no record names the {what} 'm1': check the spelling; no rule may have acted on it:")
    known = {"entry": "e1", "target": str(ENTERED["target"])}[what]
    assert kept.type("audit", "query", f"--{what}", known, "--verb", "settled")[:2] == (0, "no records match\n")


def test_a_rule_on_record_that_did_nothing_of_the_kind_is_no_mistake(kept: Shell) -> None:
    write(kept, ENTERED)
    assert kept.type("audit", "query", "--rule", "malicious_mail", "--verb", "settled")[:2] == (0, "no records match\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "numbers"),
    [
        ("1", [2, 3]),
        ("2026-11-20", [1, 2, 3]),
        ("2026-11-20T03:00", [2, 3]),
        ("2026-11-20T03:00Z", [2, 3]),
        ("2026-11-20T04:00+01:00", [2, 3]),
        ("2026-11-20 03:59:59.999", [2, 3]),
        ("2h", [3]),
        ("99999d", [1, 2, 3]),
        ("9999-12-31T23:59-12:00", []),
    ],
)
def test_records_can_be_asked_for_from_a_number_a_duration_or_a_time_on(
    kept: Shell, after: str, numbers: list[int]
) -> None:
    for at in (NIGHT, NIGHT + 3600, time.time() - 3600):
        write(kept, {"verb": "started"}, at=at)
    assert query_numbers(kept, "--after", after) == numbers


@pytest.mark.parametrize("after", ["yesterday", "-5", "2x", "9" * 30])
def test_what_is_no_beginning_is_refused_with_what_would_be(shell: Shell, after: str) -> None:
    code, _, err = shell.type("audit", "query", "--after", after)
    assert (code, f"a duration such as 2h, or a time such as 2026-11-20T17:22, not {after!r}" in err) == (2, True)


def test_a_stream_that_begins_later_is_proved_and_says_what_was_not(kept: Shell) -> None:
    older, newer = files(kept, 5, 4)
    end = kept.json("audit", "verify", older)[0]["hash"]
    code, out, _ = kept.type("audit", "verify", newer)
    assert (code, out.startswith(f"account {ME}: records 6 to 9 are intact\n")) == (0, True)
    assert f"\n  hash of record 5: {end}\n" in out
    assert "Records up to 5 are not here and were not checked" in out
    assert max(map(len, out.splitlines())) <= 100


def test_files_are_verified_as_one_stream_the_older_first(kept: Shell) -> None:
    older, newer = files(kept, 5, 4)
    code, out, _ = kept.type("audit", "verify", older, newer)
    assert (code, out.splitlines()[0]) == (0, f"account {ME}: records 1 to 9 are intact")
    assert "hash of record 9" in out.splitlines()[1]
    code, out, _ = kept.type("audit", "verify", newer, older)
    assert (code, "record 1 does not follow record 9" in out) == (1, True)


def test_an_older_file_with_another_end_than_the_newer_one_names_is_a_finding(kept: Shell) -> None:
    older, newer = files(kept, 1, 3)
    Path(older).write_bytes(forged(Path(older).read_bytes(), n=9))
    code, out, _ = kept.type("audit", "verify", older, newer)
    assert (code, out.splitlines()[1:]) == (
        1,
        ["  record 2 names another record than 1 as its previous one", "  before that, record 1 is unchanged"],
    )


def test_a_last_line_that_is_cut_is_named_and_breaks_no_chain(kept: Shell) -> None:
    older, newer = files(kept, 3, 2)
    with Path(older).open("ab") as file:
        file.write(Path(newer).read_bytes()[:40])
    code, out, _ = kept.type("audit", "verify", older, newer)
    assert (code, out.splitlines()[0]) == (1, f"account {ME}: records 1 to 5 are intact")
    assert f"{older} line 4 is incomplete, as when the worker is killed while it writes: the next" in out
    whole, torn = kept.json("audit", "verify", older, code=1)
    assert (whole["whole"], whole["records"], torn["whole"], "line 4 is incomplete" in torn["problem"]) == (
        True,
        3,
        False,
        True,
    )


def test_a_line_that_is_cut_before_the_last_one_breaks_the_chain(kept: Shell) -> None:
    older, newer = files(kept, 3, 2)
    Path(older).write_bytes(Path(older).read_bytes()[:-40] + b"\n" + Path(newer).read_bytes())
    code, out, _ = kept.type("audit", "verify", older)
    assert (code, "does not follow record 2" in out, "is incomplete" in out) == (1, True, False)
    Path(newer).write_bytes(Path(newer).read_bytes()[:40] + b"\n")
    code, out, _ = kept.type("audit", "verify", newer)
    assert (code, "is not a record" in out, "is incomplete" in out) == (1, True, False)


def test_a_ledger_that_lost_its_beginning_is_broken(kept: Shell) -> None:
    write(kept, *[{"verb": "started"}] * 4)
    assert kept.json("audit", "verify")[0]["whole"]
    cut_off(kept, 2)
    code, out, _ = kept.type("audit", "verify")
    assert (code, "no checkpoint says what came before it" in out) == (1, True)


def test_a_ledger_that_lost_its_end_or_everything_is_broken(kept: Shell) -> None:
    write(kept, *[{"verb": "started"}] * 4)
    hand_out(kept)
    assert kept.json("audit", "verify")[0]["whole"]
    cut_off(kept, 9)
    code, out, _ = kept.type("audit", "verify")
    assert (code, "record 1 is missing, and with it all up to 4, which was handed out once" in out) == (1, True)


def test_a_ledger_without_records_says_so(kept: Shell) -> None:
    write(kept, {"verb": "started"})
    cut_off(kept, 1)
    assert kept.type("audit", "verify")[:2] == (0, f"account {ME}: there are no records\n")


def hand_out(shell: Shell) -> None:
    """Hand on what is there, as the worker does on its stdout."""

    async def hand_on() -> None:
        async with open_ledger(f"sqlite:///{shell.folder / 'worker.db'}", owner="test", exclusive=True) as ledger:
            await Stream(ledger, ME, Memory()).step()

    asyncio.run(hand_on())


def cut_off(shell: Shell, number: int) -> None:
    """Delete the oldest records of the shell's ledger by hand."""
    import sqlite3  # noqa: PLC0415

    with sqlite3.connect(shell.folder / "worker.db") as ledger:
        ledger.execute("DELETE FROM records WHERE number <= ?", (number,))
    ledger.close()


def test_records_that_the_worker_cut_off_are_told_of(kept: Shell) -> None:
    write(kept, {"verb": "started"}, {"verb": "started"})

    async def prune() -> None:
        async with open_ledger(f"sqlite:///{kept.folder / 'worker.db'}", owner="test", exclusive=True) as ledger:
            await ledger.prune(ME, NIGHT + 10, {}, NIGHT + 10)

    asyncio.run(prune())
    code, out, _ = kept.type("audit", "verify")
    assert (code, "too young for WORKER_KEEP=400d; if that was shorter then, set it so" in out) == (1, True)
    kept.set(WORKER_KEEP="1ms")
    code, out, _ = kept.type("audit", "verify")
    assert (code, "records up to 1 were older than WORKER_KEEP" in out) == (0, True)


def test_a_file_that_holds_no_text_is_broken_and_not_a_fault_of_ours(shell: Shell) -> None:
    file = shell.folder / "odd.jsonl"
    file.write_bytes(b'{"account":"\xff"}\n' + b"[" * 5000)
    code, out, _ = shell.type("audit", "verify", str(file))
    assert (code, out.splitlines()[0]) == (1, "account unknown: broken at record 1")


def test_a_file_without_records_says_so(shell: Shell) -> None:
    (shell.folder / "empty.jsonl").touch()
    assert shell.type("audit", "verify", str(shell.folder / "empty.jsonl"))[:2] == (0, "there are no records\n")


@pytest.mark.slow
def test_records_can_be_asked_for_and_verified(worked: Shell, tmp_path: Path) -> None:
    code, out, _ = worked.type("audit", "query", "--json")
    (tmp_path / "records.jsonl").write_text(out)
    (verdict,) = worked.json("audit", "verify")
    (offline,) = worked.json("audit", "verify", str(tmp_path / "records.jsonl"))
    assert (code, verdict["records"], verdict["problem"]) == (0, len(out.splitlines()), "")
    assert offline == verdict


@pytest.mark.slow
def test_a_record_that_was_changed_is_a_finding(worked: Shell, tmp_path: Path) -> None:
    _, out, _ = worked.type("audit", "query", "--json")
    (tmp_path / "records.jsonl").write_text(out.replace("malicious_mail", "somebody_else", 1) + "[]\nnonsense\n")
    verdicts = {
        row["account"]: row["problem"]
        for row in worked.json("audit", "verify", str(tmp_path / "records.jsonl"), code=1)
    }
    assert "was changed" in verdicts[os.environ["CLOUDFLARE_ACCOUNT_ID"]]
    assert "not a record" in verdicts[""]


def test_a_file_of_records_that_is_not_there_is_named(shell: Shell) -> None:
    code, _, err = shell.type("audit", "verify", "none.jsonl")
    assert (code, "none.jsonl cannot be read" in err) == (2, True)


@pytest.mark.slow
def test_the_table_of_records_fits_a_hundred_columns(worked: Shell) -> None:
    _, out, _ = worked.type("audit", "query", "--rule", "malicious_mail")
    assert "malicious_mail" in out.replace("\n", "")
    assert max(map(len, out.splitlines())) <= 100


def test_a_ledger_is_not_taken_for_a_file_of_records(kept: Shell) -> None:
    ledger = kept.folder / "worker.db"
    code, out, err = kept.type("audit", "verify", str(ledger))
    assert (code, out, f"set WORKER_STORE_URL to sqlite:///{ledger}, and name no file" in err) == (2, "", True)


def keep_heads(shell: Shell, *records: dict[str, Any]) -> None:
    """Write records and sign them, as a daemon does, with a key whose public half is kept as well."""
    shell.type("audit", "key", str(shell.folder / "audit.key"))
    pair = read_pair((shell.folder / "audit.key").read_text(), "it")
    (shell.folder / "audit.pub").write_text(pair.public.to_pem())

    async def sign() -> None:
        async with open_ledger(f"sqlite:///{shell.folder / 'worker.db'}", owner="test", exclusive=True) as ledger:
            sinks: dict[str, Sink] = {ON_STDOUT: FileSink(shell.folder / "heads.jsonl")}
            await HeadChain(ledger, ME, KeySigner(pair), sinks, lambda: NIGHT).step(0, at_once=True)

    write(shell, *records)
    asyncio.run(sign())


def proof(shell: Shell, heads: str = "heads.jsonl", key: str = "audit.pub") -> tuple[str, ...]:
    """Name what was kept elsewhere."""
    return "--heads", str(shell.folder / heads), "--key", str(shell.folder / key)


def test_signed_heads_prove_what_the_chain_alone_cannot(kept: Shell) -> None:
    write(kept, *[{"verb": "started", "n": n} for n in range(3)])
    code, out, _ = kept.type("audit", "verify")
    assert (code, "\n  nothing is signed\nNot proved: that nobody who can write this wrote it anew" in out) == (0, True)
    keep_heads(kept, {"verb": "started", "n": 3})
    write(kept, {"verb": "stopped"})
    assert "\n  records up to 4 were signed on 2026-11-20T03:00:00.000Z by key " in kept.type("audit", "verify")[1]
    code, out, _ = kept.type("audit", "verify", *proof(kept))
    assert (
        code,
        "Up to record 4, nothing was changed, removed or put in since it was signed\n  on 2026-11-20T03:00" in out,
    ) == (0, True)
    assert "Records 5 to 5 are signed by no head here, so they are not proved." in out
    assert (max(map(len, out.splitlines())) <= 100, "Not proved: that nobody" in out) == (True, False)
    (kept.folder / "records.jsonl").write_text(kept.type("audit", "query", "--json")[1])
    assert kept.json("audit", "verify", str(kept.folder / "records.jsonl"), *proof(kept))[0]["signed"] == 4


@pytest.mark.parametrize("heads", ["", "{", "some other log\n"])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_heads_that_are_about_no_record_prove_nothing_which_is_a_finding(
    kept: Shell, heads: str, more: tuple[str, ...]
) -> None:
    keep_heads(kept, {"verb": "started"})
    (kept.folder / "cut.jsonl").write_text(heads)
    code, out, _ = kept.type("audit", "verify", *proof(kept, heads="cut.jsonl"), *more)
    assert (code, "Nothing is proved: no trusted head" in out) == (1, not more)
    assert kept.type("audit", "verify", *proof(kept), *more)[0] == 0


def test_a_ledger_that_was_made_anew_is_found_with_signed_heads_only(kept: Shell) -> None:
    keep_heads(kept, *[{"verb": "started", "n": n} for n in range(3)])
    (kept.folder / "worker.db").unlink()
    write(kept, *[{"verb": "started", "n": n, "who": "the ciso"} for n in range(7)])
    assert kept.type("audit", "verify")[0] == 0
    code, out, _ = kept.type("audit", "verify", *proof(kept))
    assert (code, "record 3 is not what head 1 signed on" in out) == (1, True)
    (kept.folder / "worker.db").unlink()
    write(kept)
    code, out, _ = kept.type("audit", "verify", *proof(kept))
    assert (code, "record 1 is missing: head 1 signed record 3 on" in out) == (1, True)


def test_heads_and_their_key_are_named_together_and_must_be_what_they_are_called(kept: Shell) -> None:
    keep_heads(kept, {"verb": "started"})
    for words, problem in (
        (proof(kept)[:2], "name --heads and --key"),
        (proof(kept)[2:], "name --heads and --key"),
        (proof(kept, key="none.pub"), "--key cannot be read (No such file or directory): name the file"),
        (proof(kept, key="audit.key"), "audit.key holds no Ed25519 public key: name the file with what"),
        (proof(kept, heads="none.jsonl"), "none.jsonl cannot be read: No such file or directory"),
    ):
        code, _, err = kept.type("audit", "verify", *words)
        assert (code, problem in err) == (2, True), err
