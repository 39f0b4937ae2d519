"""What handlers make go wrong stays one call's matter: the connection and the server live on."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
import trio
import trio.testing

from wirecore._backend import Backend
from wirecore.errors import RpcError
from wirecore_trio._dispatch import Workers
from wirecore_trio._link import SocketLink
from wirecore_trio.wsrpc import Options, Peer
from wirecore_trio.wsrpc._channel import Channel
from wirecore_trio.wsrpc._registry import Registry
from wirecore_trio.wsrpc._upgrade import make_session
from wirecore_trio.wsrpc.ping import PingRequest, PingResponse

Opener = Callable[..., Any]
Run = Callable[..., Any]

INTERNAL = r"^internal error [0-9a-f-]{36}$"


def echo(payload: bytes, peer: Peer) -> bytes:
    return payload


class Garbled:
    """A message class with a mistake: what it says is its encoding isn't bytes."""

    def SerializeToString(self) -> Any:  # noqa: N802  # protobuf's name
        return "not bytes"

    @classmethod
    def FromString(cls, data: bytes, /) -> Self:  # noqa: N802  # protobuf's name
        return cls()


class Careless(RpcError):
    """An error class with a mistake: its base never hears of the text."""

    def __init__(self, number: int) -> None:
        self.number = number


@pytest.mark.parametrize("inline", [True, False])
def test_a_reply_that_encodes_to_no_bytes_is_an_internal_error(
    open_pair: Opener, run: Run, inline: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle(
                "Garble", lambda _, __: Garbled(), request=Garbled, response=Garbled, inline=inline
            )
            pair.server_methods.handle("Echo", echo, inline=True)
            with pytest.raises(RpcError, match=INTERNAL):
                await pair.client.call("Garble", b"")
            assert await pair.client.call("Echo", b"and on") == b"and on"

    run(main)
    assert "defect in wirecore" not in caplog.text


@pytest.mark.parametrize("error", [Careless, RpcError], ids=["no text at all", "a number"])
@pytest.mark.parametrize("inline", [True, False])
def test_an_error_whose_text_is_no_text_is_an_internal_error(
    open_pair: Opener, run: Run, error: Callable[[Any], RpcError], inline: bool
) -> None:
    def fail(payload: bytes, peer: Peer) -> bytes:
        raise error(7)

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Fail", fail, inline=inline)
            pair.server_methods.handle("Echo", echo, inline=True)
            with pytest.raises(RpcError, match=INTERNAL):
                await pair.client.call("Fail", b"")
            assert await pair.client.call("Echo", b"and on") == b"and on"

    run(main)


def test_a_garbled_reply_that_a_handler_got_is_not_its_callers_fault(
    open_pair: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The handler's own call came back as no message: the request it handles was fine."""

    async def ask_back(payload: bytes, peer: Peer) -> bytes:
        reply = await peer.invoke("Garbage", PingRequest(), PingResponse)
        return reply.body.encode()

    async def main() -> None:
        async with open_pair() as pair:
            pair.client_methods.handle("Garbage", lambda _, __: b"\xff\xff", inline=True)
            pair.server_methods.handle("AskBack", ask_back)
            with pytest.raises(RpcError, match=INTERNAL):
                await pair.client.call("AskBack", b"")

    with caplog.at_level(logging.ERROR):
        run(main)
    assert "2 bytes are no PingResponse" in caplog.text


async def later(payload: bytes, peer: Peer) -> bytes:
    await trio.lowlevel.checkpoint()
    return payload


class Later:
    def __await__(self) -> Iterator[None]:
        raise AssertionError("nobody awaits it")


async def forgets_to_await(payload: bytes, peer: Peer) -> Any:
    await trio.lowlevel.checkpoint()
    return later(payload, peer)


def hands_on(payload: bytes, peer: Peer) -> Any:
    return later(payload, peer)


def promises(payload: bytes, peer: Peer) -> Any:
    return Later()


@pytest.mark.parametrize("response", [None, PingResponse])
@pytest.mark.parametrize(
    ("handler", "inline", "says"),
    [
        (forgets_to_await, False, "must return {kind}, not coroutine: is an await missing?"),
        (hands_on, False, "returned a coroutine: make it async def, and await that in it"),
        (hands_on, True, "returned a coroutine: make it async def, and await that in it"),
        (promises, False, "returned a Later: make it async def, and await that in it"),
    ],
)
def test_an_await_that_is_missing_in_a_handler_is_named(
    open_pair: Opener,
    run: Run,
    handler: Any,
    inline: bool,
    response: Any,
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And Python has nothing to warn of, which would hide what is wrong."""

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Sync", handler, response=response, inline=inline)
            with pytest.raises(RpcError, match=INTERNAL):
                await pair.client.call("Sync", b"")

    run(main)
    gc.collect()
    assert f"Sync {says.format(kind=response.__name__ if response else 'bytes')}" in caplog.text


def test_an_object_with_an_async_call_runs_in_a_task(open_pair: Opener, run: Run) -> None:
    class Handler:
        async def __call__(self, payload: bytes, peer: Peer) -> bytes:
            await trio.lowlevel.checkpoint()
            return payload[::-1]

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Reverse", Handler())
            assert await pair.client.call("Reverse", b"abc") == b"cba"
            with pytest.raises(ValueError, match="inline is for plain functions"):
                pair.server_methods.handle("Inline", Handler(), inline=True)

    run(main)


def test_an_error_text_is_cut_to_what_may_be_sent(
    open_pair: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns that its call failed, and as much of why as there is room for."""

    def fail(payload: bytes, peer: Peer) -> bytes:
        raise RpcError("no" * 1000)

    async def main() -> None:
        async with open_pair(server=Options(max_send_size=100)) as pair:
            pair.server_methods.handle("Fail", fail, inline=True)
            pair.server_methods.handle("Echo", echo, inline=True)
            with pytest.raises(RpcError) as caught:
                await pair.client.call("Fail", b"")
            assert caught.value.text == "no" * (len(caught.value.text) // 2)
            assert 50 < len(caught.value.text) < 60
            with pytest.raises(RpcError, match="the reply is too large"):
                await pair.client.call("Echo", b"x" * 100)
            assert await pair.client.call("Echo", b"and on") == b"and on"

    run(main)


def test_where_not_even_an_error_may_be_sent_the_log_says_so(
    open_pair: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        options = Options(max_send_size=40)  # a call id alone takes 38
        async with open_pair(server=options, client=Options(call_timeout=5)) as pair:
            pair.server_methods.handle("Echo", echo, inline=True)
            with pytest.raises(TimeoutError, match="no answer within call_timeout"):
                await pair.client.call("Echo", b"too much")
            assert "max_send_size is 40" in caplog.text
            assert not pair.server.ended
            assert not pair.client.ended

    run(main, autojump=True)


def test_a_request_right_before_the_end_is_cancelled_at_its_first_wait(
    backend: Backend, run: Run
) -> None:
    """The connection is gone before the handler's first step: it still gets to take it."""
    ends: list[str] = []

    async def work(payload: bytes, peer: Peer) -> bytes:
        assert isinstance(peer, Channel)
        ends.append("begun after the end" if peer.ended else "begun before the end")
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            ends.append("cancelled")
            raise
        raise AssertionError

    async def main() -> None:
        ours, theirs = socket.socketpair()
        registry = Registry()
        registry.handle("Work", work)
        options = Options(on_disconnect="cancel")
        envelope = backend.envelope.encode_request("Work", "an id", b"")
        with theirs:
            theirs.sendall(backend.frames.encode_message(envelope, True))
        async with trio.open_nursery() as nursery:
            channel = Channel(
                SocketLink(ours),
                make_session(client=False, options=options, backend=backend),
                public_key=b"C" * 32,
                registry=registry,
                workers=Workers(nursery),
                options=options,
            )
            await channel.run()
            await channel.wait_handled()
            nursery.cancel_scope.cancel()
        assert ends == ["begun after the end", "cancelled"]

    run(main)


def test_a_handler_in_time_never_hears_of_its_timeout(open_pair: Opener, run: Run) -> None:
    async def work(payload: bytes, peer: Peer) -> bytes:
        await trio.sleep(2.9)
        return payload

    async def main() -> None:
        options = Options(handler_timeout=3, on_disconnect="cancel")
        async with open_pair(server=options) as pair:
            pair.server_methods.handle("Work", work)
            assert await pair.client.call("Work", b"x") == b"x"
            await trio.sleep(1)
            assert await pair.client.call("Work", b"y") == b"y"

    run(main, autojump=True)


def test_a_handler_whose_connection_is_gone_fails_quietly(
    open_pair: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """It calls back to a peer that is gone: no wonder, and nobody is left to be told."""
    release = trio.Event()

    async def call_back(payload: bytes, peer: Peer) -> bytes:
        await release.wait()
        return await peer.call("Anything", b"")

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("CallBack", call_back)
            with trio.move_on_after(1):
                await pair.client.call("CallBack", b"")
            pair.client.close()
            await trio.testing.wait_all_tasks_blocked()
            release.set()
            await trio.testing.wait_all_tasks_blocked()
        assert "the handler of CallBack ended with its connection" in caplog.text
        assert "internal error" not in caplog.text

    with caplog.at_level(logging.DEBUG):
        run(main, autojump=True)
