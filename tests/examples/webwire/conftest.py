"""The programs of the webwire examples, as processes that a story follows line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import trio

from wirecore._backend import Backend

EXAMPLES = Path(__file__).parents[3] / "examples"

#: Seconds that a program gets to say what is awaited, and that a whole test gets.
PATIENCE = 60.0
STORY_TIMEOUT = 240.0

Story: TypeAlias = Callable[[], Awaitable[None]]
RunStory: TypeAlias = Callable[[Story], None]


class Program:
    """A running program in its *folder*; *said*: its lines so far, both outputs in one."""

    def __init__(self, process: trio.Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.said: list[str] = []
        self._more = trio.Event()

    async def follow(self) -> None:
        """Note what it says, until it ends."""
        assert self.process.stdout is not None
        rest = b""
        async for chunk in self.process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            self.said += [line.decode() for line in lines]
            more, self._more = self._more, trio.Event()
            more.set()

    async def wait_for(self, text: str, after: int = 0) -> str:
        """The first line with *text* in it, which is waited for; *after* so many lines."""
        with trio.move_on_after(PATIENCE):
            while not any(text in line for line in self.said[after:]):
                await self._more.wait()
        found = [line for line in self.said[after:] if text in line]
        assert found, f"{text!r} isn't in {self.said[-20:]}"
        return found[0]

    async def address(self) -> str:
        """Host and port that it says it listens on."""
        line = await self.wait_for("listening on ")
        return line.partition("://")[2].rstrip("/")

    async def type(self, line: str) -> None:
        """Type *line*."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(f"{line}\n".encode())

    async def end(self, number: int) -> int:
        """Send it the signal *number*; its exit status."""
        self.process.send_signal(number)
        with trio.fail_after(PATIENCE):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it at once, in the midst of whatever it does."""
        await self.end(signal.SIGKILL)


Start: TypeAlias = Callable[..., AbstractAsyncContextManager[Program]]


@asynccontextmanager
async def running(command: list[str], folder: Path, **environment: str) -> AsyncIterator[Program]:
    """The program that *command* starts in *folder*; it is killed at the end."""
    process = await trio.lowlevel.open_process(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    program = Program(process, folder)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(program.follow)
            yield program
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


@pytest.fixture
def start(backend: Backend, tmp_path: Path) -> Start:
    """``async with start("webwire_echo/serve.py", "0") as program``; it is killed at the end."""

    def started(
        program: str, *arguments: str, **environment: str
    ) -> AbstractAsyncContextManager[Program]:
        command = [sys.executable, "-W", "error", str(EXAMPLES / program), *arguments]
        return running(command, tmp_path, WIRECORE_BACKEND=backend.name, **environment)

    return started


@pytest.fixture
def run_story() -> RunStory:
    """Run a test's story on trio, bounded in time."""

    def run(story: Story) -> None:
        async def bounded() -> None:
            with trio.fail_after(STORY_TIMEOUT):
                await story()

        trio.run(bounded)

    return run
