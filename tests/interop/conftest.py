"""Peers written in Go: built once a run, started as processes, followed by what they report.

Without Go, or without its modules, the tests that need them are skipped; where ``CI`` is set
they fail instead, so that they can't go missing there unseen.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Event: TypeAlias = dict[str, Any]

REPOSITORY = Path(__file__).parents[2]
WSRPC_PEER = Path(__file__).parent / "go" / "wsrpcpeer"
ECHO_PEER = REPOSITORY / "bench" / "peers" / "go"

#: Seconds that a peer gets to report what a test waits for, and to end.
REPORT_TIMEOUT = 30.0
END_TIMEOUT = 10.0
#: Seconds that a whole test gets.
STORY_TIMEOUT = 120.0


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)


def _build(source: Path, target: Path) -> Path:
    go = shutil.which("go")
    if go is None:
        _unavailable("Go isn't installed: its peers can't be built")
    built = subprocess.run(
        [go, "build", "-o", str(target), "."],
        cwd=source,
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        _unavailable(f"go build in {source.name} failed: {built.stderr.strip()}")
    return target


@pytest.fixture(scope="session")
def wsrpc_peer_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``tests/interop/go/wsrpcpeer``."""
    return _build(WSRPC_PEER, tmp_path_factory.mktemp("go") / "wsrpcpeer")


@pytest.fixture(scope="session")
def echo_peer_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``bench/peers/go``: WebSocket echo on gorilla and gws."""
    return _build(ECHO_PEER, tmp_path_factory.mktemp("go") / "benchpeer")


@dataclass(frozen=True)
class Identity:
    """An Ed25519 key pair, 32 bytes each."""

    seed: bytes
    public: bytes

    @classmethod
    def of(cls, digit: str) -> Identity:
        """The key whose seed is one hex *digit* over and over."""
        seed = bytes.fromhex(digit * 64)
        return cls(seed, Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


SERVER, CLIENT, OTHER = (Identity.of(digit) for digit in "123")


class GoPeer:
    """A running Go program that reports events, one JSON object a line."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._reading = trio.Lock()
        self._partial = b""
        self.seen: list[Event] = []  # reported, and not waited for yet

    async def wait_for(self, name: str, **members: object) -> Event:
        """The first event *name* with these *members* that nobody has waited for yet."""
        with trio.move_on_after(REPORT_TIMEOUT):
            while True:
                for index, event in enumerate(self.seen):
                    if event["event"] == name and members.items() <= event.items():
                        return self.seen.pop(index)
                if not await self._read_more():
                    raise AssertionError(f"the Go peer ended without {name!r}, after {self.seen}")
        raise AssertionError(f"no {name!r} from the Go peer, only {self.seen}")

    async def address(self) -> tuple[str, int]:
        """Where a peer that serves listens."""
        host, _, port = (await self.wait_for("listening"))["address"].rpartition(":")
        return host, int(port)

    async def _read_more(self) -> bool:
        known = len(self.seen)
        async with self._reading:
            if len(self.seen) > known:
                return True  # another waiter has read meanwhile
            assert self._process.stdout is not None
            data = await self._process.stdout.receive_some()
            *lines, self._partial = (self._partial + data).split(b"\n")
            self.seen += [json.loads(line) for line in lines]
            return bool(data)

    async def command(self, line: str) -> None:
        """Give the program a command on its standard input."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(line.encode() + b"\n")

    def terminate(self) -> None:
        """Ask the program to end, as a service manager does."""
        self._process.terminate()

    async def kill(self) -> None:
        """End the process without a chance to say goodbye."""
        self._process.kill()
        await self._process.wait()

    async def finish(self) -> int:
        """Close the program's standard input, read what else it reports; its exit status."""
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        with trio.fail_after(END_TIMEOUT):
            while await self._read_more():
                pass
            return await self._process.wait()

    @property
    def violations(self) -> list[Event]:
        """What the program saw that a well-behaved end never sends."""
        return [event for event in self.seen if event["event"] == "violation"]


StartGoPeer: TypeAlias = Callable[..., AbstractAsyncContextManager[GoPeer]]


@asynccontextmanager
async def _running(command: list[str]) -> AsyncIterator[GoPeer]:
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    peer = GoPeer(process)
    try:
        yield peer
        await peer.finish()
        assert peer.violations == []
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()


@pytest.fixture
def go_peer(wsrpc_peer_program: Path) -> StartGoPeer:
    """``async with go_peer("serve", SERVER, [CLIENT.public], "--calls", 10) as peer``.

    Starts the wsrpc peer in that role, with that key and those that it accepts. Leaving the
    block ends the program and fails if it saw a violation of the protocol.
    """

    def start(
        role: str, own: Identity, accepted: list[bytes], *flags: object
    ) -> AbstractAsyncContextManager[GoPeer]:
        keys = ",".join(key.hex() for key in accepted)
        return _running(
            [str(wsrpc_peer_program), role, "--seed", own.seed.hex(), "--keys", keys]
            + [str(flag) for flag in flags]
        )

    return start


@pytest.fixture
def echo_peer(echo_peer_program: Path) -> StartGoPeer:
    """``async with echo_peer("gorilla", "serve") as peer``: see ``bench/peers/README.md``."""

    def start(*arguments: object) -> AbstractAsyncContextManager[GoPeer]:
        return _running([str(echo_peer_program), *(str(argument) for argument in arguments)])

    return start


@pytest.fixture(scope="session")
def server_identity() -> Identity:
    """The key of whichever end serves."""
    return SERVER


@pytest.fixture(scope="session")
def client_identity() -> Identity:
    """The key of whichever end dials, known to the server."""
    return CLIENT


@pytest.fixture(scope="session")
def other_identity() -> Identity:
    """A key that nobody knows."""
    return OTHER


Story: TypeAlias = Callable[[], Awaitable[None]]


@pytest.fixture(scope="session")
def run() -> Callable[[Story], None]:
    """Run a test's story on trio, bounded in time."""

    def run_story(story: Story) -> None:
        async def bounded() -> None:
            with trio.fail_after(STORY_TIMEOUT):
                await story()

        trio.run(bounded)

    return run_story
