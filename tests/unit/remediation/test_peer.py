"""Who may talk to the actuator, and what really separates it from the engine: both as the kernel says."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from remediation.actuator import SocketClient, separation, serve
from remediation.actuator.peer import peer
from watchkeeper.errors import ActionError

NOBODY = 65534
#: Becomes another user, keeps the group, and asks the actuator that listens in the current folder.
STRANGER = f"""
import asyncio, os, pathlib
from remediation.actuator import SocketClient, separation
os.setgroups([]); os.setuid({NOBODY})
path = pathlib.Path("a.sock")
try:
    print(separation(path), asyncio.run(SocketClient(path).ping()))
except Exception as error:
    print(separation(path), error)
"""
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="wk-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@asynccontextmanager
async def listening(folder: Path, allowed: Collection[int] = ()) -> AsyncIterator[Path]:
    stop, path = asyncio.Event(), folder / "a.sock"
    task = asyncio.create_task(
        serve(path, folder / "journal", [], folder / "kill-switch", allowed_uids=allowed, stop=stop)
    )
    async with asyncio.timeout(10):
        while not path.exists():
            await asyncio.sleep(0.01)
    yield path
    stop.set()
    await task


def test_the_kernel_names_the_process_at_the_other_end() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer(one) == (os.getpid(), os.getuid())


async def test_an_actuator_in_our_own_process_is_not_separated(folder: Path) -> None:
    async with listening(folder) as path:
        assert await asyncio.to_thread(separation, path) == "none"


def test_nothing_is_claimed_of_an_actuator_that_is_not_there(folder: Path) -> None:
    assert separation(folder / "a.sock") == "unknown"
    (folder / "b.sock").write_text("no socket")
    assert separation(folder / "b.sock") == "unknown"


async def test_another_process_of_our_user_is_separated_by_process(folder: Path) -> None:
    async with listening(folder):
        code = "import pathlib; from remediation.actuator import separation; print(separation(pathlib.Path('a.sock')))"
        assert (await said(folder, code)) == "process"


@pytest.mark.parametrize(("allowed", "mode"), [((), 0o600), ((NOBODY,), 0o660)])
async def test_the_socket_is_open_to_the_group_only_when_somebody_else_may_come(
    folder: Path, allowed: tuple[int, ...], mode: int
) -> None:
    async with listening(folder, allowed) as path:
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert await SocketClient(path).ping() == os.getpid()


@root_only
async def test_an_allowed_user_is_answered_and_is_separated_by_user(folder: Path) -> None:
    async with listening(folder, [NOBODY]):
        assert await said(folder, STRANGER) == f"user {os.getpid()}"


@root_only
async def test_a_user_who_is_not_named_is_refused_though_the_group_lets_him_in(folder: Path) -> None:
    async with listening(folder, [NOBODY - 1]):
        answer = await said(folder, STRANGER)
    assert answer.startswith("user the actuator ")
    assert str(os.getpid()) not in answer


async def said(folder: Path, code: str) -> str:
    """What a process of its own prints, started in the folder."""
    root = str(Path(__file__).parents[3])
    run = [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{code}"]
    done = await asyncio.to_thread(subprocess.run, run, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_a_silent_socket_is_an_error_of_the_client(folder: Path) -> None:
    with pytest.raises(ActionError, match="cannot be reached"):
        await SocketClient(folder / "a.sock").ping()
