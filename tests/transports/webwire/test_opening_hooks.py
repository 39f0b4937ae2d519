"""What a server's program decides before a connection is open, and how HTTP is answered."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.transports.conftest import Run
from tests.transports.webwire.world import OpenServer, settle
from wirecore.errors import InvalidOption
from wirecore_trio import webwire
from wirecore_trio.webwire import HttpRequest, Response, Upgrade

UPGRADE = (
    b"%s / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n"
)
OPTIONS = b"OPTIONS /path HTTP/1.1\r\nHost: example.org\r\n\r\n"


def status(head: bytes) -> int:
    """The status of a response's head."""
    return int(head.split()[1])


def test_options_are_answered_with_nothing_if_nobody_says_otherwise(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server() as world:
            head, body = await world.http(OPTIONS)
            assert (status(head), body) == (200, b"")

    run_sockets(main)


def test_options_are_the_hooks(open_server: OpenServer, run_sockets: Run) -> None:
    asked: list[str] = []

    def prepare(server: webwire.Server) -> None:
        @server.on_options
        async def options(request: HttpRequest) -> Response | None:
            asked.append(request.method)
            if request.target == "/path":
                return Response(204, (("Access-Control-Allow-Origin", "*"),))
            return None

        @server.before_upgrade
        def never(request: HttpRequest) -> None:
            asked.append(f"before_upgrade: {request.method}")

    async def main() -> None:
        async with open_server(prepare) as world:
            head, body = await world.http(OPTIONS)
            assert (status(head), body) == (204, b"")
            assert b"Access-Control-Allow-Origin: *" in head
            head, body = await world.http(OPTIONS.replace(b"/path", b"/other"))
            assert (status(head), body) == (200, b"")
            assert asked == ["OPTIONS", "OPTIONS"]

    run_sockets(main)


@pytest.mark.parametrize("code", [200, 302, 401, 403, 404, 429, 500, 503])
def test_before_upgrade_answers_instead_with_any_status(
    open_server: OpenServer, run_sockets: Run, code: int
) -> None:
    hooks: list[str] = []

    def prepare(server: webwire.Server) -> None:
        @server.before_upgrade
        async def refuse(request: HttpRequest) -> Response:
            assert request.header("x-reason") == b"tested"
            return Response(code, (("X-Why", "because"),), b"the reason\n")

        server.on_client_connected(lambda connection: hooks.append("connected"))
        server.on_client_disconnected(lambda connection, reason: hooks.append("disconnected"))

    async def main() -> None:
        async with open_server(prepare) as world:
            head, body = await world.http(UPGRADE % (b"GET", b"X-Reason: tested\r\n"))
            assert (status(head), body) == (code, b"the reason\n")
            assert b"X-Why: because" in head
            assert hooks == []

    run_sockets(main)


def test_before_upgrade_gives_the_connection_what_it_knows(
    open_server: OpenServer, run_sockets: Run
) -> None:
    infos: list[Any] = []

    def prepare(server: webwire.Server) -> None:
        @server.before_upgrade
        async def upgrade(request: HttpRequest) -> Upgrade | None:
            if request.target == "/":
                return Upgrade(info={"user": "alice", 7: [1]}, headers={"X-Hello": "you"})
            return None

        @server.on_client_connected
        def note(connection: webwire.Connection) -> None:
            infos.append(dict(connection.info))
            connection.info["seen"] = True
            assert connection.http_request.target in ("/", "/plain")
            assert connection.remote_address.startswith("127.0.0.1:")

    async def main() -> None:
        async with open_server(prepare) as world, world.raw():
            await settle()
            assert infos == [{"user": "alice", 7: [1]}]
            assert world.only().info["seen"] is True
            async with webwire.connect(world.url + "plain", backend=world.backend):
                await settle()
                assert infos[1:] == [{}]

    run_sockets(main)


def test_without_it_the_user_agent_is_known(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_server() as world, world.raw(b"User-Agent: a browser\r\n"):
            assert world.only().info == {"user_agent": "a browser"}
        async with open_server() as world, world.raw():
            assert world.only().info == {"user_agent": ""}

    run_sockets(main)


@pytest.mark.parametrize("answer", [ValueError("broken"), 403, True])
def test_a_hook_that_fails_refuses_with_500_and_the_server_goes_on(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.before_upgrade
        @server.on_options
        async def fail(request: HttpRequest) -> Any:
            if request.target == "/fine":
                return None
            if isinstance(answer, Exception):
                raise answer
            return answer

    async def main() -> None:
        async with open_server(prepare) as world:
            assert status((await world.http(UPGRADE % (b"GET", b"")))[0]) == 500
            assert status((await world.http(OPTIONS))[0]) == 500
            async with webwire.connect(world.url + "fine", backend=world.backend):
                pass

    run_sockets(main)
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 2


# --- origins, and what is no upgrade ------------------------------------------------------------


@pytest.mark.parametrize(
    ("keywords", "origin", "expected"),
    [
        ({}, b"", 101),
        ({}, b"Origin: http://example.org\r\n", 101),
        ({}, b"Origin: http://evil.example\r\n", 403),
        ({}, b"Origin: null\r\n", 403),
        ({"origins": ["https://app.example"]}, b"", 101),
        ({"origins": ["https://app.example"]}, b"Origin: https://app.example\r\n", 101),
        ({"origins": ["https://app.example"]}, b"Origin: http://evil.example\r\n", 403),
        ({"check_origin": lambda request: True}, b"Origin: http://evil.example\r\n", 101),
        ({"check_origin": lambda request: False}, b"Origin: http://example.org\r\n", 403),
        ({"check_origin": lambda request: False}, b"", 101),
    ],
)
def test_a_foreign_origin_is_forbidden(
    open_server: OpenServer,
    run_sockets: Run,
    keywords: dict[str, Any],
    origin: bytes,
    expected: int,
) -> None:
    async def main() -> None:
        async with open_server(keywords=keywords) as world:
            head, body = await world.http(UPGRADE % (b"GET", origin))
            assert status(head) == expected
            if expected == 403:
                assert b"Sec-Websocket-Version: 13" in head
                assert body

    run_sockets(main)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (UPGRADE % (b"POST", b"Content-Length: 0\r\n"), 405),
        (UPGRADE % (b"WEBWIRE", b""), 405),
        (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", 400),
        ((UPGRADE % (b"GET", b"")).replace(b"Version: 13", b"Version: 8"), 400),
        ((UPGRADE % (b"GET", b"")).replace(b"AAAA==", b"AA"), 400),
    ],
)
def test_what_is_no_upgrade_is_refused_as_the_original_does(
    open_server: OpenServer, run_sockets: Run, request_: bytes, expected: int
) -> None:
    async def main() -> None:
        async with open_server() as world:
            head, body = await world.http(request_)
            assert status(head) == expected
            assert b"Sec-Websocket-Version: 13" in head
            assert body

    run_sockets(main)


def test_no_subprotocol_and_no_extension_is_chosen(
    open_server: OpenServer, run_sockets: Run
) -> None:
    offers = (
        b"Sec-WebSocket-Protocol: webwire, chat\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    )

    async def main() -> None:
        async with open_server() as world:
            head, _ = await world.http(UPGRADE % (b"GET", offers))
            assert status(head) == 101
            assert b"sec-websocket-protocol" not in head.lower()
            assert b"extensions" not in head.lower()

    run_sockets(main)


# --- what the client is told first --------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, (60_000, 8192, b"")),
        ({"read_timeout": 0.5}, (60_000, 8192, b"")),
        ({"read_timeout": 1}, (1000, 8192, b"")),
        ({"read_timeout": 4294967.295}, (2**32 - 1, 8192, b"")),
        ({"buffer_size": 0}, (60_000, 8192, b"")),
        ({"buffer_size": 32, "subprotocol": "chät"}, (60_000, 32, b"ch\xc3\xa4t")),
    ],
)
def test_how_the_server_is_set_up_comes_first(
    open_server: OpenServer, run_sockets: Run, options: dict[str, Any], told: tuple[Any, ...]
) -> None:
    async def main() -> None:
        async with open_server(**options) as world, world.raw(conf=False) as raw:
            milliseconds, size, subprotocol = told
            fields = milliseconds.to_bytes(4, "little") + size.to_bytes(4, "little")
            assert await raw.next() == b"\x17\x02\x00" + fields + subprotocol

    run_sockets(main)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"buffer_size": 1}, "buffer_size is 0, for the default, or 32 to"),
        ({"buffer_size": 31}, "buffer_size is 0, for the default, or 32 to"),
        ({"buffer_size": 2**32}, "buffer_size is 0, for the default, or 32 to"),
        ({"read_timeout": 4294967.296}, "read_timeout is at most 4294967.295 seconds"),
        ({"read_timeout": float("inf")}, "read_timeout is at most 4294967.295 seconds"),
        ({"max_session_connections": -1}, "max_session_connections must be at least 0"),
        ({"max_queue": 0}, "max_queue must be at least 1"),
        ({"on_disconnect": "no"}, 'on_disconnect must be "finish" or "cancel"'),
        ({"subprotocol": "\ud800"}, "can't be encoded"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        webwire.ServerOptions(**options)


def test_hooks_are_functions_that_take_what_they_are_given() -> None:
    server = webwire.Server()
    for hook in (
        server.on_options,
        server.before_upgrade,
        server.on_client_connected,
        server.on_client_disconnected,
        server.on_session_created,
        server.on_session_lookup,
        server.on_session_closed,
    ):
        with pytest.raises(TypeError):
            hook(lambda: None)
        with pytest.raises(TypeError):
            hook("text")  # type: ignore[type-var]  # the mistake is tested
