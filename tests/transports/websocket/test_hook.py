"""``on_request``: a health check, a refusal, words of its own; and requests that are no upgrade."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.errors import UpgradeRejected
from wirecore_trio.websocket import Accept, Options, Request, Response, Server, wrap_server

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, Run
    from tests.transports.websocket.conftest import World

Http = Callable[[Server, bytes], Awaitable[bytes]]

UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def status(answer: bytes) -> int:
    version, code, _ = answer.split(b" ", 2)
    assert version == b"HTTP/1.1"
    return int(code)


async def hook(request: Request) -> Response | Accept | None:
    """A server with a health check, a locked door, and a door with a sign on it."""
    await trio.lowlevel.checkpoint()
    match request.path:
        case "/healthz":
            return Response(200, [("X-Load", "low")], b"fine\n")
        case "/locked":
            return Response(401, [("WWW-Authenticate", "Bearer")])
        case "/sign":
            return Accept([("X-Sign", "welcome")], subprotocol="second")
        case "/broken":
            raise ValueError("a bug in the hook")
        case "/absurd":
            return Accept(subprotocol="nobody asked for it")
        case "/absurd-header":
            return Accept([("Upgrade", "h2c")])
        case "/wrong-type":
            wrong: Any = True
            return wrong  # type: ignore[no-any-return]  # on purpose
    return None


def test_a_health_check_is_an_ordinary_request(world: World, run_sockets: Run, http: Http) -> None:
    async def story() -> None:
        async with world.serving(on_request=hook) as server:
            answer = await http(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert status(answer) == 200
            head, _, body = answer.partition(b"\r\n\r\n")
            assert body == b"fine\n"
            assert b"X-Load: low" in head
            assert b"Content-Length: 5" in head
            assert b"Connection: close" in head
            # To HEAD the same without the body, to POST what the hook makes of it.
            answer = await http(server, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer == head + b"\r\n\r\n"
            post = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            assert status(await http(server, post)) == 200
            assert server.connections == set()

    run_sockets(story)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + UPGRADE.replace(b"13", b"8") + b"\r\n", 426),
        (b"GET / HTTP/1.0\r\nHost: x\r\n" + UPGRADE + b"\r\n", 400),
        (b"rubbish\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
    ids=["GET", "HEAD", "POST", "version 8", "HTTP/1.0", "rubbish", "large"],
)
def test_what_is_no_proper_upgrade_is_told_why(
    world: World, run_sockets: Run, http: Http, request_: bytes, expected: int
) -> None:
    async def story() -> None:
        async with world.serving() as server:
            answer = await http(server, request_)
            assert status(answer) == expected
            if request_.startswith(b"HEAD"):
                assert answer.endswith(b"\r\n\r\n")
            async with world.connect(server) as ws:  # and it goes on
                await ws.send(b"x")
                assert await ws.receive() == b"x"

    run_sockets(story)


def test_a_client_that_asks_for_nothing_gets_nothing(
    world: World, run_sockets: Run, http: Http
) -> None:
    async def story() -> None:
        async with world.serving() as server:
            assert await http(server, b"") == b""
            assert await http(server, b"GET / HTT") == b""

    run_sockets(story)


def test_an_answer_over_tls_ends_in_order(
    world: World, run_sockets: Run, authority: Authority
) -> None:
    async def story() -> None:
        context = authority.server_context()
        async with world.serving(on_request=hook, ssl_context=context) as server:
            tcp = await trio.open_tcp_stream("127.0.0.1", server.port)
            stream = trio.SSLStream(tcp, authority.client_context(), server_hostname="server.test")
            async with stream:
                await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = bytearray()
                async for data in stream:  # raises where it is cut instead of ended
                    answer += data
                assert status(bytes(answer)) == 200

    run_sockets(story)


def test_a_client_may_be_refused(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving(on_request=hook) as server:
            with pytest.raises(UpgradeRejected) as caught:
                async with world.connect(server, "/locked"):
                    pytest.fail("it was let in")
            assert caught.value.status == 401
            assert (b"www-authenticate", b"Bearer") in caught.value.headers

    run_sockets(story)


def test_a_client_may_be_accepted_with_words_of_its_own(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        subprotocols = ["first", "second"]
        async with world.serving(on_request=hook, subprotocols=["first"]) as server:
            async with world.connect(server, "/sign", subprotocols=subprotocols) as ws:
                assert ws.subprotocol == "second"
                assert (b"x-sign", b"welcome") in ws.accepted.headers
            async with world.connect(server, "/other", subprotocols=subprotocols) as ws:
                assert ws.subprotocol == "first"
            async with world.connect(server, "/other", subprotocols=["third"]) as ws:
                assert ws.subprotocol is None

    run_sockets(story)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/broken", "a bug in the hook"),
        ("/absurd", "on_request accepted with what can't be sent"),
        ("/absurd-header", "the header field 'Upgrade' is set by the library"),
        ("/wrong-type", "on_request must return Response, Accept or None, not bool"),
    ],
)
def test_a_hook_with_a_bug_is_500_and_the_server_lives_on(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture, path: str, told: str
) -> None:
    async def story() -> None:
        async with world.serving(on_request=hook) as server:
            with pytest.raises(UpgradeRejected, match="500"):
                async with world.connect(server, path):
                    pytest.fail("it was let in")
            async with world.connect(server) as ws:
                await ws.send(b"x")
                assert await ws.receive() == b"x"

    run_sockets(story)
    assert told in caplog.text
    assert "on_request" in caplog.text


def test_a_hook_that_isnt_async_is_told_so(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def health(_: Request) -> Response:
        return Response(200)

    async def story() -> None:
        async with world.serving(on_request=health) as server:
            with pytest.raises(UpgradeRejected, match="500"):
                await world.connect(server).__aenter__()

    run_sockets(story)
    assert "on_request must be async: it returned Response" in caplog.text


def test_accepting_what_is_no_upgrade_or_of_a_foreign_origin_is_refused_all_the_same(
    world: World, run_sockets: Run, http: Http
) -> None:
    async def story() -> None:
        async with world.serving(on_request=hook) as server:
            assert status(await http(server, b"GET /sign HTTP/1.1\r\nHost: x\r\n\r\n")) == 400
            with pytest.raises(UpgradeRejected, match="403"):
                async with world.connect(server, "/sign", origin="http://foe.test"):
                    pytest.fail("it was let in")

    run_sockets(story)


def test_a_hook_that_takes_too_long_is_cut(
    world: World, run_sockets: Run, http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def think(_: Request) -> None:
        await trio.sleep_forever()

    async def story() -> None:
        async with world.serving(on_request=think, options=Options(open_timeout=5)) as server:
            start = trio.current_time()
            assert await http(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""
            assert trio.current_time() - start >= 5

    run_sockets(story)
    assert re.search(r"a connection from 127\.0\.0\.1:\d+ wasn't opened within 5 s", caplog.text)


def test_a_wrapped_stream_may_be_answered_too(world: World, run: Run) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        await one.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await wrap_server(other, on_request=hook, backend=world.backend) is None
        assert status(bytes(await one.receive_some())) == 200
        assert await one.receive_some() == b""

    run(story)
