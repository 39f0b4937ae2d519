"""Peers written in Go: built once a run, started as processes, followed by what they report.

Without Go, or without its modules, the tests that need them are skipped; where ``CI`` is set
they fail instead, so that they can't go missing there unseen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import PingRequest, PingResponse, PingService

Event: TypeAlias = dict[str, Any]

REPOSITORY = Path(__file__).parents[2]
WSRPC_PEER = Path(__file__).parent / "go" / "wsrpcpeer"
WEBWIRE_PEER = Path(__file__).parent / "go" / "webwirepeer"
GOB_PEER = Path(__file__).parent / "go" / "gobpeer"
POOL_PEER = Path(__file__).parent / "go" / "poolpeer"
REST_PEER = Path(__file__).parent / "go" / "restpeer"
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
def webwire_peer_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``tests/interop/go/webwirepeer``."""
    return _build(WEBWIRE_PEER, tmp_path_factory.mktemp("go") / "webwirepeer")


@pytest.fixture(scope="session")
def gob_peer_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``tests/interop/go/gobpeer``."""
    return _build(GOB_PEER, tmp_path_factory.mktemp("go") / "gobpeer")


@pytest.fixture(scope="session")
def pool_peer_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``tests/interop/go/poolpeer``."""
    return _build(POOL_PEER, tmp_path_factory.mktemp("go") / "poolpeer")


@pytest.fixture(scope="session")
def rest_peer_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``tests/interop/go/restpeer``."""
    return _build(REST_PEER, tmp_path_factory.mktemp("go") / "restpeer")


@pytest.fixture(scope="session")
def echo_peer_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of ``bench/peers/go``: WebSocket echo on gorilla and gws, and encoding/gob."""
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


class PeerProcess:
    """A running program that reports events, one JSON object a line."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._reading = trio.Lock()
        self._partial = b""
        self.seen: list[Event] = []  # reported, and not waited for yet

    async def wait_for(self, name: str, /, **members: object) -> Event:
        """The first event *name* with these *members* that nobody has waited for yet."""
        with trio.move_on_after(REPORT_TIMEOUT):
            while True:
                for index, event in enumerate(self.seen):
                    if event["event"] == name and members.items() <= event.items():
                        return self.seen.pop(index)
                if not await self._read_more():
                    raise AssertionError(f"the peer ended without {name!r}, after {self.seen}")
        raise AssertionError(f"no {name!r} from the peer, only {self.seen}")

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

    def freeze(self) -> None:
        """Let the program do nothing, with its connections open, until :meth:`thaw`."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen program go on."""
        self._process.send_signal(signal.SIGCONT)

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


StartPeer: TypeAlias = Callable[..., AbstractAsyncContextManager[PeerProcess]]


@asynccontextmanager
async def _running(command: list[str]) -> AsyncIterator[PeerProcess]:
    # A Python program finds what this one finds, installed or not.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    peer = PeerProcess(process)
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
def go_peer(wsrpc_peer_program: Path) -> StartPeer:
    """``async with go_peer("serve", SERVER, [CLIENT.public], "--calls", 10) as peer``.

    Starts the wsrpc peer in that role, with that key and those that it accepts. Leaving the
    block ends the program and fails if it saw a violation of the protocol.
    """

    def start(
        role: str, own: Identity, accepted: list[bytes], *flags: object
    ) -> AbstractAsyncContextManager[PeerProcess]:
        keys = ",".join(key.hex() for key in accepted)
        return _running(
            [str(wsrpc_peer_program), role, "--seed", own.seed.hex(), "--keys", keys]
            + [str(flag) for flag in flags]
        )

    return start


@pytest.fixture
def webwire_peer(webwire_peer_program: Path) -> StartPeer:
    """``async with webwire_peer("serve", "--read-timeout", "1s") as peer``: as go_peer."""

    def start(*arguments: object) -> AbstractAsyncContextManager[PeerProcess]:
        return _running([str(webwire_peer_program), *(str(argument) for argument in arguments)])

    return start


@pytest.fixture
def pool_peer(pool_peer_program: Path) -> StartPeer:
    """``async with pool_peer("pool", "--bind", "/db=Arith") as peer``; see ``poolpeer.py``."""

    def start(*arguments: object) -> AbstractAsyncContextManager[PeerProcess]:
        return _running([str(pool_peer_program), *(str(argument) for argument in arguments)])

    return start


@pytest.fixture
def rest_peer(rest_peer_program: Path) -> StartPeer:
    """``async with rest_peer("server", "call", "--watch") as peer``; see ``restpeer.py``."""

    def start(*arguments: object) -> AbstractAsyncContextManager[PeerProcess]:
        return _running([str(rest_peer_program), *(str(argument) for argument in arguments)])

    return start


@pytest.fixture
def start_process() -> StartPeer:
    """``async with start_process(program, argument, ...) as peer``: any that reports events."""

    def start(*command: object) -> AbstractAsyncContextManager[PeerProcess]:
        return _running([str(word) for word in command])

    return start


@pytest.fixture
def echo_peer(echo_peer_program: Path) -> StartPeer:
    """``async with echo_peer("gorilla", "serve") as peer``: see ``bench/peers/README.md``."""

    def start(*arguments: object) -> AbstractAsyncContextManager[PeerProcess]:
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


class Meeting:
    """Our end of wsrpc and the Go peer's, in either role, with keys that fit."""

    def __init__(self, start: StartPeer) -> None:
        self._start = start

    def go_server(self, *flags: object) -> AbstractAsyncContextManager[PeerProcess]:
        """The Go peer, serving our client."""
        return self._start("serve", SERVER, [CLIENT.public], *flags)

    def go_client(
        self, port: int, *flags: object, own: Identity = CLIENT, accepted: Identity = SERVER
    ) -> AbstractAsyncContextManager[PeerProcess]:
        """The Go peer, dialling *port*."""
        at = ("--address", f"127.0.0.1:{port}")
        return self._start("dial", own, [accepted.public], *at, *flags)

    def our_client(
        self,
        port: int,
        options: wsrpc.Options | None = None,
        *,
        own: Identity = CLIENT,
        accepted: Identity = SERVER,
        credentials: wsrpc.ClientCredentials | None = None,
        attempts: int | None = None,
    ) -> AbstractAsyncContextManager[wsrpc.Client]:
        """Our client, which serves Ping in tasks and comes back fast after a loss.

        *credentials* in place of those with *own* and *accepted*.
        """
        return wsrpc.connect(
            f"127.0.0.1:{port}",
            credentials or wsrpc.ClientCredentials(own.seed, accepted.public),
            services=[Ponging()],
            options=options,
            retry=wsrpc.RetryPolicy(
                backoff=lambda: Backoff(0.02, 1.0, 0.0, 0.02), attempts=attempts
            ),
        )

    @asynccontextmanager
    async def our_server(
        self,
        options: wsrpc.Options | None = None,
        *,
        credentials: wsrpc.ServerCredentials | None = None,
    ) -> AsyncIterator[tuple[wsrpc.Server, int]]:
        """Our server, which serves Ping inline, and the port it listens on."""
        if credentials is None:
            credentials = wsrpc.ServerCredentials(SERVER.seed, [CLIENT.public])
        server = wsrpc.Server(credentials, options=options)
        server.handle("Ping", give_back, inline=True)
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            yield server, listening.port
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def ours_as(
        self, role: str, *flags: object, options: wsrpc.Options | None = None
    ) -> AsyncIterator[tuple[wsrpc.Caller, PeerProcess]]:
        """Our end as "client" or "server", connected to a Go peer with *flags* at the other."""
        if role == "client":
            async with self.go_server(*flags) as go:
                _, port = await go.address()
                async with self.our_client(port, options) as client:
                    yield client, go
        else:
            async with (
                self.our_server(options) as (server, port),
                self.go_client(port, *flags) as go,
            ):
                await go.wait_for("connected")
                yield server.peer(CLIENT.public), go

    @staticmethod
    async def call_many(caller: wsrpc.Caller, total: int, in_flight: int, size: int = 64) -> None:
        """Call Ping *total* times, *in_flight* at once, with bodies of *size*, all different."""
        numbers = iter(range(total))

        async def call_on() -> None:
            for number in numbers:
                body = f"{number}.".ljust(size, "x")
                request = PingRequest(body=body).SerializeToString()
                reply = PingResponse.FromString(await caller.call("Ping", request))
                assert reply.body == body

        async with trio.open_nursery() as nursery:
            for _ in range(in_flight):
                nursery.start_soon(call_on)


def give_back(payload: bytes, _: object) -> bytes:
    """Ping on encoded messages: request and reply have the same field."""
    return payload


class Ponging(PingService):
    """Ping on messages, in tasks."""

    async def Ping(  # noqa: N802 (the method's name)
        self, request: PingRequest, peer: wsrpc.Peer
    ) -> PingResponse:
        """Give the body back."""
        return PingResponse(body=request.body)


@pytest.fixture
def meeting(go_peer: StartPeer) -> Meeting:
    """Our end and the Go peer's."""
    return Meeting(go_peer)
