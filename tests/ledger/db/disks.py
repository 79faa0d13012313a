"""Small disks, to be filled or made read-only."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest


@asynccontextmanager
async def small_disk(folder: Path, options: str) -> AsyncIterator[Path]:
    """Mount a small disk, or skip the test where that is not allowed."""
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder, stderr=PIPE)
    _, said = await mount.communicate()
    if mount.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {said.decode().strip()}")
    try:
        yield folder
    finally:
        unmount = await asyncio.create_subprocess_exec("umount", folder)
        assert await unmount.wait() == 0
