"""`worker audit query` and `worker audit verify`."""

import os
from pathlib import Path

import pytest

from tests.cli.shell import Shell

pytestmark = pytest.mark.slow  # it starts a server


def test_records_can_be_asked_for_and_verified(worked: Shell, tmp_path: Path) -> None:
    code, out, _ = worked.type("audit", "query", "--json")
    (tmp_path / "records.jsonl").write_text(out)
    (verdict,) = worked.json("audit", "verify")
    (offline,) = worked.json("audit", "verify", str(tmp_path / "records.jsonl"))
    assert (code, verdict["records"], verdict["problem"]) == (0, len(out.splitlines()), "")
    assert offline == verdict


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


def test_the_table_of_records_fits_a_hundred_columns(worked: Shell) -> None:
    _, out, _ = worked.type("audit", "query", "--rule", "malicious_mail")
    assert "malicious_mail" in out.replace("\n", "")
    assert max(map(len, out.splitlines())) <= 100
