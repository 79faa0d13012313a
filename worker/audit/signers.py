"""Signers: what makes a signature, the worker's own key or a command that asks another machine."""

import asyncio
import os
import shlex
import signal
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from worker.audit.keys import KeyPair, Succession, read_pair, read_signature
from worker.errors import SettingsError, Temporary

COMMAND = "command"
"""What heads name as their key when a command has signed them: only it knows which key that was."""
DEADLINE = 5.0
"""Seconds that a command may take."""
LARGEST = 4096
"""Bytes of an answer."""


class Signer(Protocol):
    """Signs bytes; raises Temporary, with what to do, when it cannot now."""

    @property
    def key(self) -> str:
        """The id of the key."""

    @property
    def succession(self) -> Succession | None:
        """The word of the key before."""

    async def sign(self, body: bytes) -> bytes:
        """Return the signature."""


class KeySigner:
    """Signs with a key that is held in memory."""

    def __init__(self, pair: KeyPair) -> None:
        """Take the key; its file is not needed any more."""
        self._pair = pair
        self.key = pair.public.id
        self.succession = pair.succession

    async def sign(self, body: bytes) -> bytes:
        """Return the signature."""
        return self._pair.sign(body)


class CommandSigner:
    """Signs with a command: the bytes on its stdin, the signature from its stdout, as 64 bytes or in base64."""

    key = COMMAND
    succession = None

    def __init__(self, command: str, deadline: float = DEADLINE) -> None:
        """Take the command as a shell would read it; raises SettingsError when it is none."""
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise SettingsError(
                f"WORKER_AUDIT_SIGNER cannot be read ({error}): write a command as for a shell"
            ) from None
        self._deadline = deadline

    async def sign(self, body: bytes) -> bytes:
        """Return the signature; what takes too long is ended, with everything it has started."""
        loop = asyncio.get_running_loop()
        start = loop.subprocess_exec(
            _SignerOutput, *self._words, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        try:
            transport, answer = await start
        except OSError as error:
            raise Temporary(f"WORKER_AUDIT_SIGNER cannot be started ({error.strerror}): check the command") from None
        try:
            _give(transport, body)
            async with asyncio.timeout(self._deadline):
                await answer.whole.wait()
        except TimeoutError:
            raise Temporary(
                f"WORKER_AUDIT_SIGNER has not answered within {self._deadline:g} s: try the command by hand"
            ) from None
        finally:
            await _end(transport, answer)
        return _check(answer.told, transport.get_returncode())


class _SignerOutput(asyncio.SubprocessProtocol):
    """Collects what a command writes, and no more than would be an answer."""

    def __init__(self) -> None:
        self.told = b""
        self.whole, self.gone = asyncio.Event(), asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 (there is one pipe)
        """Take a part of the answer."""
        self.told += data
        if len(self.told) > LARGEST:
            self.whole.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the library's signature)
        """Note that the command has ended and all pipes are closed."""
        self.whole.set()
        self.gone.set()


async def _end(transport: asyncio.SubprocessTransport, answer: _SignerOutput) -> None:
    """End the command and what it has started, and wait for that.

    The pipes are closed one by one: to close the transport would ask for the exit code, which its watcher waits for.
    """
    with suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    for pipe in filter(None, map(transport.get_pipe_transport, (0, 1))):
        pipe.close()
    await answer.gone.wait()
    transport.close()


def _give(transport: asyncio.SubprocessTransport, body: bytes) -> None:
    stdin = transport.get_pipe_transport(0)
    if isinstance(stdin, asyncio.WriteTransport):
        stdin.write(body)
        stdin.write_eof()


def _check(told: bytes, code: int | None) -> bytes:
    if code and len(told) <= LARGEST:  # what says too much is ended by us
        raise Temporary(f"WORKER_AUDIT_SIGNER ended with exit code {code}: try the command by hand")
    try:
        return read_signature(told)
    except ValueError:
        raise Temporary(
            f"WORKER_AUDIT_SIGNER answered with {len(told)} bytes that are no Ed25519 signature: let it write the 64 "
            "bytes of one, or these in base64"
        ) from None


def open_signer(key: str, command: str) -> Signer | None:
    """Open what signs: a key, by its file or its text, or a command; None when neither is set. Raises SettingsError."""
    if key and command:
        raise SettingsError("WORKER_AUDIT_KEY and WORKER_AUDIT_SIGNER are both set: keep the one that is to sign")
    if command:
        return CommandSigner(command)
    return KeySigner(load_pair(key, "WORKER_AUDIT_KEY")) if key else None


def load_pair(key: str, name: str) -> KeyPair:
    """Load a pair of keys from its text, or from a file of it; raises SettingsError, which quotes neither."""
    if key.lstrip().startswith("-----BEGIN"):
        return read_pair(key, name)
    try:
        text = Path(key).read_text("ascii")
    except OSError as error:
        raise SettingsError(
            f"{name} cannot be read ({error.strerror}): name the file of a key that `worker audit key` has made"
        ) from None
    except ValueError:
        text = ""
    return read_pair(text, name)
