"""Dialling: with which words, and what comes of a peer that has others."""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.errors import HandshakeError, InvalidOption, UpgradeRejected
from wirecore.session import Backoff
from wirecore_trio.websocket import (
    Options,
    Prepared,
    RetryPolicy,
    WebSocket,
    connect,
    wrap_client,
    wrap_server,
)

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.websocket.conftest import World


async def say_hello(ws: WebSocket) -> None:
    await ws.send("hello")
    async for _ in ws:
        pass


async def assert_echo(ws: WebSocket) -> None:
    await ws.send("text")
    await ws.send(b"binary")
    assert [await ws.receive(), await ws.receive()] == ["text", b"binary"]


# --- with which words -----------------------------------------------------------------------


def test_headers_subprotocols_and_user(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        asked: list[Any] = []

        async def note(ws: WebSocket) -> None:
            asked.append(ws.request)

        async with world.serving(note, subprotocols=["v2", "v1"]) as server:
            url = f"ws://me:p%C3%A4ss@127.0.0.1:{server.port}/a%20b?c=d"
            async with connect(
                url,
                headers=[("X-One", "1"), (b"x-two", b"\xff")],
                subprotocols=["v0", "v1", "v2"],
                backend=world.backend,
            ) as ws:
                assert ws.subprotocol == "v2"  # the server's choice
                assert (b"sec-websocket-protocol", b"v2") in ws.accepted.headers
        (request,) = asked
        assert (request.path, request.query) == ("/a%20b", "c=d")
        assert request.header(b"x-one") == b"1"
        assert request.header(b"x-two") == b"\xff"
        assert request.header(b"authorization") == b"Basic " + b64encode("me:päss".encode())
        assert request.header(b"user-agent").startswith(b"wirecore/")

    run_sockets(story)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://127.0.0.1:{port}", True),
        ("http://friend.test", True),
        ("http://foe.test", False),
        ("null", False),
    ],
)
def test_the_origin(world: World, run_sockets: Run, origin: str | None, allowed: bool) -> None:
    async def story() -> None:
        async with world.serving(origins=["http://friend.test"]) as server:
            said = None if origin is None else origin.format(port=server.port)
            dialling = world.connect(server, origin=said)
            if allowed:
                async with dialling as ws:
                    await assert_echo(ws)
            else:
                with pytest.raises(UpgradeRejected, match="403"):
                    await dialling.__aenter__()

    run_sockets(story)


def test_each_attempt_is_prepared(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        tokens: list[bytes | None] = []
        attempts = 0

        async def admit_third(ws: WebSocket) -> None:
            assert ws.request is not None
            tokens.append(ws.request.header(b"x-token"))
            await say_hello(ws)

        async with world.serving(admit_third) as server:

            async def prepare() -> Prepared:
                nonlocal attempts
                attempts += 1
                port = server.port if attempts == 3 else 1  # nobody listens there
                return Prepared(f"ws://127.0.0.1:{port}/", [("X-Token", str(attempts))])

            policy = RetryPolicy(backoff=lambda: Backoff(1, 2, 0, 60))
            start = trio.current_time()
            async with connect(
                prepare=prepare, headers=[("X-Same", "x")], retry=policy, backend=world.backend
            ) as ws:
                assert trio.current_time() - start >= 3
                assert await ws.receive() == "hello"
        assert tokens == [b"3"]

    run_sockets(story)


async def a_prepared_url() -> Prepared:
    raise AssertionError("nobody dials")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "either a URL or prepare="),
        ({"url": "ws://h/", "prepare": a_prepared_url}, "either a URL or prepare="),
        ({"url": "http://h/"}, "begins with ws://"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidOption, match=why):
        connect(**arguments)


@pytest.mark.parametrize(
    "options",
    [{"headers": [("Upgrade", "x")]}, {"subprotocols": ["a b"]}, {"origin": "line\r\nbreak"}],
)
def test_words_that_cant_be_sent_are_told_and_not_tried_again(
    world: World, run_sockets: Run, options: dict[str, Any]
) -> None:
    async def story() -> None:
        async with world.serving() as server:
            with pytest.raises(InvalidOption):
                async with world.connect(server, retry=RetryPolicy(), **options):
                    pytest.fail("it was let in")

    run_sockets(story)


def test_wrapping_a_stream_with_words_that_cant_be_sent_leaves_it_open(
    world: World, run: Run
) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        with pytest.raises(InvalidOption):
            await wrap_client(one, headers=[("Host", "x")], backend=world.backend)
        await trio.testing.wait_all_tasks_blocked()
        await one.send_all(b"x")
        assert await other.receive_some() == b"x"

    run(story)


# --- a peer that doesn't answer -------------------------------------------------------------


def test_a_server_that_says_nothing_is_given_open_timeout(world: World, run: Run) -> None:
    async def story() -> None:
        one, _ = trio.testing.memory_stream_pair()
        start = trio.current_time()
        with pytest.raises(TimeoutError, match="no answer to the upgrade request within 3 s"):
            await wrap_client(one, options=Options(open_timeout=3), backend=world.backend)
        assert trio.current_time() - start == 3

        one, _ = trio.testing.memory_stream_pair()
        with pytest.raises(TimeoutError, match="no upgrade request within 3 s"):
            await wrap_server(one, options=Options(open_timeout=3), backend=world.backend)

    run(story)


def test_dialling_is_given_open_timeout(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
            with pytest.raises(TimeoutError, match=rf"to {re.escape(url)} within 3 s"):
                async with connect(url, options=Options(open_timeout=3), backend=world.backend):
                    pytest.fail("it was let in")

    run_sockets(story)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nno", UpgradeRejected),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", UpgradeRejected),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", HandshakeError),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", HandshakeError),
        (b"HTTP/1.1 101 S\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", HandshakeError),
        (b"\x15\x03\x01\x00\x02\x02\x46", HandshakeError),
        (b"", HandshakeError),
    ],
    ids=["forbidden", "ok", "bare", "ssh", "large", "alert", "nothing"],
)
def test_a_server_that_answers_something_else(
    world: World, run: Run, answer: bytes, error: type[Exception]
) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()

        async def refuse() -> None:
            await other.receive_some()
            if answer:
                await other.send_all(answer)
            await other.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refuse)
            with pytest.raises(error) as caught:
                await wrap_client(one, backend=world.backend)
        assert type(caught.value) is error
        if b"403" in answer:
            assert caught.value.__dict__ == {
                "status": 403,
                "headers": ((b"x-why", b"no"), (b"content-length", b"2")),
                "body": b"no",
            }

    run(story)
