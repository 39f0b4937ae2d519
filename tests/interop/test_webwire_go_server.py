"""Our client of webwire against a Go server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from tests.interop.webwire_meeting import TEXT, command, our_client, request_many
from wirecore_trio import webwire

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer, Story

Run = Callable[["Story"], None]


class Signals:
    """What signals a client got, in order."""

    def __init__(self, connecting: webwire.Connecting) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[str, webwire.Payload]](100)
        connecting.on_signal()(self._take)

    def _take(self, signal: webwire.ServerSignal[object]) -> None:
        self._send.send_nowait((signal.name, signal.payload))

    async def next(self) -> tuple[str, webwire.Payload]:
        """The next one."""
        return await self._receive.receive()


PAYLOADS = [
    webwire.Payload(bytes(range(256))),
    webwire.Payload(TEXT.encode(), webwire.Encoding.UTF8),
    webwire.Payload.utf16(TEXT),
]


def test_requests_come_back_in_every_encoding(webwire_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with webwire_peer("serve") as go:
            _, port = await go.address()
            async with our_client(port) as client:
                for payload in PAYLOADS:
                    assert await client.request("echo", payload) == payload
                    assert await client.request("", payload) == payload  # without a name
                for target in webwire.Encoding:
                    name = f"to {target.name.lower()}"
                    for text in (TEXT, ""):
                        for sent in (text, webwire.Payload.utf16(text)):
                            reply = await client.request(name, sent)
                            assert (reply.text, reply.encoding) == (text, target)
            await go.wait_for("closed", by="peer", code=1000, requests=18)

    run(story)


def test_empty_and_biggest_payloads(webwire_peer: StartPeer, run: Run) -> None:
    head = 10 + len("echo")  # of a request: type, id, length of the name

    async def story() -> None:
        async with webwire_peer("serve", "--buffer-size", 1_000_000) as go:
            _, port = await go.address()
            async with our_client(port, buffer_size=1_000_000) as client:
                for encoding in webwire.Encoding:
                    empty = webwire.Payload(b"", encoding)
                    assert await client.request("echo", empty) == empty
                    biggest = webwire.Payload(b"ab" * ((1_000_000 - head) // 2), encoding)
                    assert await client.request("echo", biggest) == biggest
                with pytest.raises(webwire.BufferOverflow):
                    await client.request("echo", bytes(1_000_000 - head + 1))
                assert (await client.request("echo", "and on")).text == "and on"

    run(story)


def test_errors_keep_their_names(webwire_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with webwire_peer("serve") as go:
            _, port = await go.address()
            async with our_client(port) as client:
                with pytest.raises(webwire.RequestError) as refused:
                    await client.request("fail", f"TOO_LATE {TEXT}")
                assert (refused.value.code, refused.value.message) == ("TOO_LATE", TEXT)
                with pytest.raises(webwire.RequestError) as refused:
                    await client.request("fail", "x" * 255)
                assert (refused.value.code, refused.value.message) == ("x" * 255, "")
                with pytest.raises(webwire.InternalError):
                    await client.request("fail within")
                with pytest.raises(webwire.DeadlineExceeded):
                    await client.request("slow", "200", timeout=0.02)
                assert (await client.request("slow", "1")).text == "1"
                await command(go, "stop")
                await go.wait_for("stopping")
                with pytest.raises(webwire.ServerShutdown):
                    await client.request("echo", "too late")

    run(story)


def test_ten_thousand_requests_in_flight(webwire_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with webwire_peer("serve") as go:
            _, port = await go.address()
            async with our_client(port) as client:
                assert await request_many(client, 20_000, 10_000) == 10_000
            await go.wait_for("closed", by="peer", code=1000, requests=20_000)

    run(story)


def test_signals_go_both_ways_in_order(webwire_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with webwire_peer("serve") as go:
            _, port = await go.address()
            connecting = our_client(port)
            signals = Signals(connecting)
            async with connecting as client:
                for number, payload in enumerate(PAYLOADS * 10):
                    name = "n" * (number * 9 % 256)
                    await client.signal(name, payload)
                    assert await signals.next() == (name, payload)
                await command(go, "signal", name="news", encoding="utf16", text=TEXT)
                assert await signals.next() == ("news", webwire.Payload.utf16(TEXT))
                await client.signal("only a name")
                assert await signals.next() == ("only a name", webwire.Payload())
            await go.wait_for("closed", signals=31)

    run(story)


def test_heartbeats_keep_a_quiet_client_connected(webwire_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with webwire_peer("serve", "--read-timeout", "1s") as go:
            _, port = await go.address()
            async with our_client(port) as client:
                await trio.sleep(4)
                assert client.connections == 1
                assert (await client.request("echo", "still here")).text == "still here"
            ended = await go.wait_for("closed", by="peer", code=1000, requests=1)
            assert ended["heartbeats"] >= 5  # one in 0.75 s

    run(story)


def test_a_session_is_made_restored_and_ended(webwire_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        closed = trio.Event()
        async with webwire_peer("serve", "--max-session-connections", 2) as go:
            _, port = await go.address()
            connecting = our_client(port)
            connecting.on_session_closed(closed.set)
            async with connecting as client, our_client(port) as other, our_client(port) as third:
                await client.request("login", TEXT)
                session = client.session
                assert session is not None
                assert session.info == {"user": TEXT}
                assert await other.restore_session(session.key) == session
                assert (await other.request("who am I")).text == TEXT
                with pytest.raises(webwire.MaxSessionConnectionsReached):
                    await third.restore_session(session.key)
                with pytest.raises(webwire.SessionNotFound):
                    await third.restore_session("no such key")
                await other.close_session()
                assert (await other.request("who am I")).text == ""
                await command(go, "sessions")
                await go.wait_for("sessions", known=1, used=1)
                await client.request("end my session")
                await closed.wait()
                assert client.session is None
                with pytest.raises(webwire.SessionNotFound):
                    await other.restore_session(session.key)

    run(story)


@pytest.mark.parametrize("kept", [True, False])
def test_a_client_comes_back_with_its_session_after_the_server_was_killed(
    webwire_peer: StartPeer, run: Run, tmp_path: Path, kept: bool
) -> None:
    """A server that remembers nothing says so, and the client goes on without its session."""
    flags = ("--sessions", tmp_path / "sessions") if kept else ()

    async def story() -> None:
        async with webwire_peer("serve", *flags) as go:
            _, port = await go.address()
            async with our_client(port) as client:
                await client.request("login", "Ada")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_lose, client)
                    await trio.testing.wait_all_tasks_blocked(0.05)
                    await go.kill()
                before = client.session
                assert before is not None
                async with webwire_peer("serve", "--address", f"127.0.0.1:{port}", *flags) as again:
                    reply = await client.request("who am I")  # waits for the connection
                    assert reply.text == ("Ada" if kept else "")
                    assert client.connections == 2
                    after = client.session
                    assert (after and after.key) == (before.key if kept else None)
                    assert await request_many(client, 1000, 100) == 100
                    if kept:
                        await again.wait_for("restored", user="Ada")

    run(story)


async def _lose(client: webwire.Client) -> None:
    with pytest.raises(webwire.Disconnected) as lost:
        await client.request("slow", "60000")
    assert lost.value.execution == "maybe_executed"


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (("--major-version", 1), webwire.IncompatibleVersion),
        (("--subprotocol", "other"), webwire.SubprotocolMismatch),
        (("--buffer-size", 4096), webwire.BufferSizeMismatch),
    ],
)
def test_a_server_of_another_kind_is_refused(
    webwire_peer: StartPeer, run: Run, flags: tuple[object, ...], error: type[Exception]
) -> None:
    async def story() -> None:
        async with webwire_peer("serve", *flags) as go:
            _, port = await go.address()
            with pytest.raises(error):
                async with our_client(port):
                    raise AssertionError("connected")
            await go.wait_for("closed", by="peer")

    run(story)


def test_a_server_that_never_says_how_it_is_set_up_is_left(
    webwire_peer: StartPeer, run: Run
) -> None:
    async def story() -> None:
        async with webwire_peer("serve", "--no-conf") as go:
            _, port = await go.address()
            async with our_client(port, wait=False, dial_timeout=0.2) as client:
                for _ in range(3):  # each attempt's connection is closed, and another made
                    await go.wait_for("closed", by="peer")
                assert client.status is webwire.Status.CONNECTING
                with pytest.raises(webwire.ConnectionTimeout):
                    await client.request("echo", "nobody", timeout=0.1)

    run(story)
