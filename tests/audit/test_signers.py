"""A command may sign instead of a key; whatever it does instead is told in a sentence, within its time."""

import sys
from pathlib import Path

import pytest

from tests.daemon.bench import until
from worker.audit.keys import KeyPair
from worker.audit.signers import COMMAND, CommandSigner, KeySigner, open_signer
from worker.errors import SettingsError, Temporary

PAIR = KeyPair.make()


def write_signer(folder: Path, *, text: bool) -> str:
    """Write a command that signs, as 64 bytes or as text."""
    told = "base64.b64encode(told)" if text else "told"
    (folder / "sign.py").write_text(
        "import base64, sys\nfrom worker.audit.keys import KeyPair\n"
        f"told = KeyPair(bytes.fromhex('{PAIR.seed.hex()}')).sign(sys.stdin.buffer.read())\n"
        f"sys.stdout.buffer.write({told})\n"
    )
    return f"{sys.executable} {folder / 'sign.py'}"


@pytest.mark.slow
@pytest.mark.parametrize("text", [True, False])
async def test_a_command_gets_the_bytes_and_gives_the_signature(tmp_path: Path, text: bool) -> None:  # noqa: FBT001
    signer = open_signer("", write_signer(tmp_path, text=text))
    assert signer
    assert signer.key == COMMAND
    assert PAIR.public.has_signed(b"bytes", await signer.sign(b"bytes"))


FAILING = [
    ("cat >/dev/null; exit 3", "ended with exit code 3: try the command by hand"),
    ("true", "answered with 0 bytes that are no Ed25519 signature"),
    ("echo hello", "answered with 6 bytes that are no Ed25519 signature"),
    ("head -c 64000 /dev/zero", "that are no Ed25519 signature"),
    ("cat /dev/zero", "that are no Ed25519 signature"),
    ("sleep 600", "has not answered within 0.5 s: try the command by hand"),
    ("sleep 600 & cat >/dev/null", "has not answered within 0.5 s"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("script", "problem"), FAILING)
async def test_a_command_that_does_anything_else_is_told_of(script: str, problem: str) -> None:
    signer = CommandSigner(f"sh -c '{script}'", deadline=0.5)
    with pytest.raises(Temporary, match="WORKER_AUDIT_SIGNER") as failed:
        await signer.sign(b"x" * 100_000)
    assert problem in str(failed.value)


@pytest.mark.slow
async def test_what_a_command_that_hangs_has_started_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "hang.sh"
    script.write_text(f"sleep 600 &\necho $! > {tmp_path / 'pid'}\nwait\n")
    with pytest.raises(Temporary, match="has not answered"):
        await CommandSigner(f"sh {script}", deadline=0.5).sign(b"")
    await until(lambda: is_gone((tmp_path / "pid").read_text().strip()))


def is_gone(pid: str) -> bool:
    """Tell whether a process has ended, though nobody may have asked how."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().split()[2] == "Z"


@pytest.mark.slow
async def test_a_command_that_is_not_there_is_named_as_such() -> None:
    with pytest.raises(Temporary, match=r"cannot be started \(No such file or directory\): check the command"):
        await CommandSigner("/none/such").sign(b"")
    with pytest.raises(SettingsError, match="write a command as for a shell"):
        open_signer("", "sign 'it")


async def test_a_key_is_a_file_or_its_own_text_and_never_both_a_key_and_a_command(tmp_path: Path) -> None:
    file = tmp_path / "audit.key"
    file.write_text(PAIR.to_pem())
    for key in (str(file), PAIR.to_pem()):
        signer = open_signer(key, "")
        assert isinstance(signer, KeySigner)
        file.unlink(missing_ok=True)
        assert (signer.key, await signer.sign(b"x")) == (PAIR.public.id, PAIR.sign(b"x"))
    assert open_signer("", "") is None
    with pytest.raises(SettingsError, match="are both set: keep the one"):
        open_signer("a", "b")
    with pytest.raises(SettingsError, match=r"WORKER_AUDIT_KEY cannot be read \(No such file"):
        open_signer(str(file), "")


@pytest.mark.slow
async def test_a_command_that_ends_while_it_is_ended_leaves_its_exit_code_to_whoever_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for number in range(60):
        with pytest.raises(Temporary):
            await CommandSigner("sleep 0.02", 0.02 + 0.0001 * number).sign(b"x")
    assert caplog.messages == []  # asyncio would say: Unknown child process pid
