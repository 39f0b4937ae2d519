"""Cancelling a TLS stream's operations wherever they wait."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore_trio.tls import (
    ClientCredentials,
    PinnedTLSStream,
    ServerCredentials,
    StreamLost,
    connect_pinned_tls,
    wrap_server,
)

if TYPE_CHECKING:
    from tests.transports.tls.conftest import Shake, Story

Run = Callable[["Story"], None]


class Stepping(trio.abc.Stream):
    """A transport that cancels *scope* as its operation number *cancel_at* begins.

    It hands out *piece* bytes at a time, all that there are if it is None.
    """

    def __init__(
        self, inner: trio.abc.Stream, cancel_at: int = 0, piece: int | None = None
    ) -> None:
        self.inner = inner
        self.piece = piece
        self.cancel_at = cancel_at
        self.scope = trio.CancelScope()
        self.operations: list[str] = []
        self.closed = False

    def _step(self, name: str) -> None:
        self.operations.append(name)
        if len(self.operations) == self.cancel_at:
            self.scope.cancel()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._step("send")
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        self._step("wait")
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self._step("receive")
        return await self.inner.receive_some(self.piece)

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_handshake_is_cancelled_at_every_step(
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    side: str,
) -> None:
    """While it waits for the peer it can be taken up again; in the middle of a send it can't."""

    async def attempt(cancel_at: int) -> str | None:
        near, far = trio.testing.memory_stream_pair()
        stepping = Stepping(near, cancel_at)
        if side == "client":
            cancelled = PinnedTLSStream(stepping, client_credentials)
            peer = PinnedTLSStream(far, server_credentials)
        else:
            cancelled = PinnedTLSStream(stepping, server_credentials)
            peer = PinnedTLSStream(far, client_credentials)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as stepping.scope:
                nursery.start_soon(peer.receive_some)
                await cancelled.do_handshake()
            if not stepping.scope.cancelled_caught:
                nursery.cancel_scope.cancel()
                return None
            where = stepping.operations[-1]
            if where == "send":
                for _ in range(2):
                    with pytest.raises(StreamLost, match="broke off in the middle"):
                        await cancelled.do_handshake()
            else:
                await cancelled.do_handshake()
                await cancelled.send_all(b"it lives")
            nursery.cancel_scope.cancel()
        return where

    async def story() -> None:
        cancelled_at: list[str] = []
        while where := await attempt(len(cancelled_at) + 1):
            cancelled_at.append(where)
        # The server's tickets wait for its first data, so its last step is a receive.
        assert (
            cancelled_at
            == {
                "client": ["send", "receive", "send"],
                "server": ["receive", "send", "receive"],
            }[side]
        )

    run(story)


def test_cancelled_receives_lose_nothing(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    data = random.Random(7).randbytes(400_000)

    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        stepping = Stepping(far, piece=5_000)
        client = PinnedTLSStream(near, client_credentials)
        server = PinnedTLSStream(stepping, server_credentials)
        await shake(client, server)
        got = bytearray()
        cancelled = {"before": 0, "within": 0}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, data)
            turn = 0
            while len(got) < len(data):
                turn += 1
                # In turn: cancelled beforehand, cancelled when the transport is asked, left alone.
                stepping.cancel_at = len(stepping.operations) + 1 if turn % 3 == 1 else 0
                with trio.CancelScope() as stepping.scope:
                    if turn % 3 == 0:
                        stepping.scope.cancel()
                    got += await server.receive_some(30_000)
                if stepping.scope.cancelled_caught:
                    cancelled["within" if turn % 3 else "before"] += 1
        assert got == data
        assert min(cancelled.values()) > 10

    run(story)


def test_a_send_cancelled_beforehand_was_never_begun(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        client = PinnedTLSStream(near, client_credentials)
        server = PinnedTLSStream(far, server_credentials)
        await shake(client, server)
        for data in (b"never", b""):
            with trio.CancelScope() as scope:
                scope.cancel()
                await client.send_all(data)
            assert scope.cancelled_caught
        await client.send_all(b"but this")
        assert await server.receive_some() == b"but this"

    run(story)


def test_a_send_cancelled_half_way_ends_sending(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    async def story() -> None:
        near, far = trio.testing.lockstep_stream_pair()
        client = PinnedTLSStream(near, client_credentials)
        server = PinnedTLSStream(far, server_credentials)
        await shake(client, server)
        with trio.move_on_after(3) as scope:
            await client.send_all(b"nobody receives")
        assert scope.cancelled_caught
        with pytest.raises(StreamLost, match="an earlier send on this TLS stream broke off"):
            await client.send_all(b"more")
        # The other direction is as it was.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.send_all, b"hello")
            assert await client.receive_some() == b"hello"
        started = trio.current_time()
        await client.aclose()  # with no close_notify behind half a record
        assert trio.current_time() == started

    run(story)


def test_waiting_to_send_is_cancelled_without_a_trace(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    async def story() -> None:
        near, far = trio.testing.lockstep_stream_pair()
        client = PinnedTLSStream(near, client_credentials)
        server = PinnedTLSStream(far, server_credentials)
        await shake(client, server)
        with trio.move_on_after(1) as scope:
            await client.wait_send_all_might_not_block()
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, b"x")
            assert await server.receive_some() == b"x"

    run(story)


def test_a_cancelled_close_still_closes(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    async def story() -> None:
        near, far = trio.testing.lockstep_stream_pair()
        stepping = Stepping(near)
        client = PinnedTLSStream(stepping, client_credentials)
        server = PinnedTLSStream(far, server_credentials)
        await shake(client, server)
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.aclose()
        assert scope.cancelled_caught
        assert stepping.closed
        with pytest.raises(trio.ClosedResourceError):
            await client.receive_some()

    run(story)


@pytest.mark.parametrize("side", ["client", "server"])
def test_connecting_is_cancelled_at_every_step(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    side: str,
) -> None:
    """Nothing is left open, whoever is cancelled: the side that dials or the one that accepts."""

    async def attempt(cancel_at: int) -> bool:
        near, far = trio.testing.memory_stream_pair()
        stepping = Stepping(near, cancel_at)

        async def open_tcp_stream(host: str, port: int) -> trio.abc.Stream:
            assert (host, port) == ("example.org", 1338)
            await trio.lowlevel.checkpoint()
            return stepping

        monkeypatch.setattr(trio, "open_tcp_stream", open_tcp_stream)
        peer = PinnedTLSStream(far, server_credentials if side == "client" else client_credentials)

        async def follow() -> None:
            with contextlib.suppress(trio.BrokenResourceError):  # the other side was cancelled
                await peer.receive_some()

        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as stepping.scope:
                nursery.start_soon(follow)
                if side == "client":
                    await connect_pinned_tls("example.org", 1338, client_credentials)
                else:
                    await wrap_server(stepping, server_credentials)
            nursery.cancel_scope.cancel()
        assert stepping.closed is stepping.scope.cancelled_caught
        return stepping.scope.cancelled_caught

    async def story() -> None:
        steps = 0
        while await attempt(steps + 1):
            steps += 1
        assert steps == 3

    run(story)
