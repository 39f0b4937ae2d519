"""Either end of a wsrpc connection dies in the middle of calls; what is left comes back."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import PingRequest

if TYPE_CHECKING:
    from tests.interop.conftest import Identity, Meeting, PeerProcess, StartPeer, Story

Run = Callable[["Story"], None]

OUR_PROCESS = Path(__file__).with_name("wsrpc_process.py")


class Callers:
    """Tasks that call without a pause until their connection is lost, and how each ended."""

    def __init__(self, caller: wsrpc.Caller, method: str = "Ping", size: int = 64) -> None:
        self._caller = caller
        self._method = method
        self._request = PingRequest(body="x" * size).SerializeToString()
        self._enough = trio.Event()
        self.answered = 0
        self.lost: Counter[str] = Counter()

    async def _call_on(self) -> None:
        while True:
            try:
                await self._caller.call(self._method, self._request)
            except wsrpc.CallLost as error:
                self.lost[error.execution] += 1
                return
            self.answered += 1
            if self.answered == 500:
                self._enough.set()

    def start(self, nursery: trio.Nursery, count: int) -> None:
        """Begin with *count* tasks."""
        for _ in range(count):
            nursery.start_soon(self._call_on)

    async def under_way(self) -> None:
        """Wait until calls go to and fro."""
        await self._enough.wait()


def test_calls_end_with_a_typed_error_when_the_go_server_is_killed_and_it_comes_back(
    meeting: Meeting, run: Run
) -> None:
    async def story() -> None:
        async with meeting.go_server() as go:
            _, port = await go.address()
            async with meeting.our_client(port) as client:
                callers = Callers(client)
                async with trio.open_nursery() as nursery:
                    callers.start(nursery, 100)
                    await callers.under_way()
                    await go.kill()
                assert callers.lost.total() == 100
                assert callers.lost["maybe_executed"] > 0
                with pytest.raises(wsrpc.NotConnected) as refused:
                    await client.call("Ping", b"")
                assert refused.value.execution == "not_sent"
                async with meeting.go_server("--address", f"127.0.0.1:{port}"):
                    assert await client.wait_ready()
                    await meeting.call_many(client, 100, 10)
                    assert client.connections == 2

    run(story)


@pytest.mark.parametrize("role", ["client", "server"])
def test_requests_that_never_left_are_told_from_those_that_may_have_been_executed(
    meeting: Meeting, run: Run, role: str
) -> None:
    """The peer reads nothing: what fits into the sockets may be executed, the rest is not sent."""
    request = bytes(30_000)
    total = 400
    ended: list[str] = []

    async def story() -> None:
        async with meeting.ours_as(role, "--stop-reading", 0) as (caller, go):

            async def call() -> None:
                with pytest.raises(wsrpc.CallLost) as lost:
                    await caller.call("Ping", request)
                ended.append(lost.value.execution)

            async with trio.open_nursery() as nursery:
                for _ in range(total):
                    nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked(0.1)
                assert ended == []
                await go.kill()
        count = Counter(ended)
        assert count.total() == total
        assert count["maybe_executed"] > 0
        assert count["not_sent"] > 0

    run(story)


def test_calls_end_with_a_typed_error_when_the_go_client_is_killed_and_it_comes_back(
    meeting: Meeting, run: Run, client_identity: Identity
) -> None:
    async def story() -> None:
        async with meeting.our_server() as (server, port):
            peer = server.peer(client_identity.public)
            async with meeting.go_client(port) as go:
                await go.wait_for("connected")
                callers = Callers(peer)
                async with trio.open_nursery() as nursery:
                    callers.start(nursery, 100)
                    await callers.under_way()
                    await go.kill()
            assert callers.lost.total() == 100
            assert callers.lost["maybe_executed"] > 0
            assert server.connected_keys == []
            with pytest.raises(wsrpc.NotConnected, match="client not connected"):
                await peer.call("Ping", b"")
            async with meeting.go_client(port, "--calls", 100, "--inflight", 10) as go:
                await go.wait_for("connected")
                await meeting.call_many(peer, 100, 10)
                await go.wait_for("calls", ok=100)

    run(story)


@pytest.fixture
def our_process(
    start_process: StartPeer,
) -> Callable[[str, Identity, Identity, str], AbstractAsyncContextManager[PeerProcess]]:
    """Our end as a process: ``our_process("serve", own, accepted, "127.0.0.1:0")``."""

    def start(
        role: str, own: Identity, accepted: Identity, address: str
    ) -> AbstractAsyncContextManager[PeerProcess]:
        keys = (own.seed.hex(), accepted.public.hex())
        return start_process(sys.executable, OUR_PROCESS, role, *keys, address)

    return start


OurProcess = Callable[
    ["str", "Identity", "Identity", "str"], AbstractAsyncContextManager["PeerProcess"]
]


def test_a_go_client_comes_back_to_our_server_after_it_was_killed(
    meeting: Meeting,
    run: Run,
    our_process: OurProcess,
    server_identity: Identity,
    client_identity: Identity,
) -> None:
    async def story() -> None:
        own = ("serve", server_identity, client_identity)
        async with our_process(*own, "127.0.0.1:0") as ours:
            _, port = await ours.address()
            endless = ("--calls", 1_000_000, "--inflight", 50, "--reconnect")
            async with meeting.go_client(port, *endless) as go:
                await go.wait_for("connected")
                await go.wait_for("progress")
                await ours.kill()
                await go.wait_for("calls", wrong=0)
                await go.wait_for("closed", by="peer", code=1006)
                async with our_process(*own, f"127.0.0.1:{port}"):
                    await go.wait_for("connected")
                    await go.wait_for("progress")

    run(story)


def test_our_client_is_let_in_again_after_its_process_was_killed(
    meeting: Meeting,
    run: Run,
    our_process: OurProcess,
    server_identity: Identity,
    client_identity: Identity,
) -> None:
    async def story() -> None:
        async with meeting.go_server("--calls", 1_000_000, "--inflight", 50) as go:
            _, port = await go.address()
            own = ("dial", client_identity, server_identity, f"127.0.0.1:{port}")
            for _ in range(2):
                async with our_process(*own) as ours:
                    await ours.wait_for("connected")
                    await go.wait_for("progress")
                    await ours.kill()
                    await go.wait_for("calls", wrong=0)
                    ended = await go.wait_for("closed", by="peer", code=1006)
                    assert ended["requests"] > 0

    run(story)
