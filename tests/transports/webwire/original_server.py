"""The server that stood at one end of everything recorded, with our API."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import trio

from wirecore.errors import WirecoreError
from wirecore.websocket import Request as HttpRequest
from wirecore_trio import webwire
from wirecore_trio.webwire import Encoding, Payload, Request, Response

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore_trio.websocket._accepting import ServeKeywords
    from wirecore_trio.webwire import SessionStore

#: The key of the first session; those after it end with -2, -3 and so on.
KEY = urlsafe_b64encode(bytes(range(48))).decode()

#: The fields of what Go's HTTP answers in plain text.
TEXT = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}

#: What Go writes for an error that isn't there.
NIL = "<nil>"

_ENCODINGS: dict[str, Callable[[str], Payload]] = {
    "bin": lambda text: Payload(text.encode()),
    "utf8": Payload.of,
    "utf16": Payload.utf16,
    "odd16": lambda text: Payload(text.encode(), Encoding.UTF16),
}


def options_of(recorded: dict[str, Any]) -> webwire.ServerOptions:
    """The options that a session was recorded with."""
    return webwire.ServerOptions(
        buffer_size=recorded.get("buffer", 8192),
        read_timeout=recorded.get("read_timeout_ms", 60_000) / 1000,
        subprotocol=recorded.get("subprotocol", ""),
        concurrency=recorded.get("concurrency", 1),
        max_session_connections=recorded.get("max_session_connections", 0),
    )


class OriginalServer:
    """The server, and what its hooks and signal handlers were told."""

    def __init__(
        self,
        options: webwire.ServerOptions,
        store: SessionStore | None,
        backend: Backend,
        *,
        first_key: str = KEY,
    ) -> None:
        self.server = webwire.Server(options, store=store, backend=backend)
        self.signals: list[tuple[str, Payload]] = []
        self.connected: list[webwire.Connection] = []
        self.disconnected: list[tuple[webwire.Connection, Exception | None]] = []
        self._keys = _keys(first_key)
        self._slept = 0
        self._add_hooks()
        self._add_requests()
        self._add_session_requests()
        self._add_signal_requests()

    def _add_hooks(self) -> None:
        server = self.server
        server.generate_session_key(lambda: next(self._keys))

        @server.on_options
        def on_options(request: HttpRequest) -> Response:
            return Response(200, {"Allow": "GET"})

        @server.before_upgrade
        def before_upgrade(request: HttpRequest) -> Response | None:
            if request.target == "/refuse":
                return Response(200)
            if request.target == "/refuse403":
                return Response(403, TEXT, b"nope\n")
            return None

        @server.on_client_connected
        def on_client_connected(connection: webwire.Connection) -> None:
            self.connected.append(connection)

        @server.on_client_disconnected
        def on_client_disconnected(
            connection: webwire.Connection, reason: Exception | None
        ) -> None:
            self.disconnected.append((connection, reason))

        @server.signal()
        async def on_signal(signal: webwire.Signal[Payload]) -> None:
            self.signals.append((signal.name, signal.payload))

    def _add_requests(self) -> None:
        server = self.server

        @server.request()
        async def echo(request: Request[Payload]) -> Payload:
            return request.payload

        @server.request("slow")
        async def slow(request: Request[Payload]) -> str:
            # A millisecond more each time: of those that are due at once the first one is first.
            self._slept += 1
            await trio.sleep((int(request.text) + self._slept) / 1000)
            return "slept"

        @server.request("close")
        async def close(request: Request[Payload]) -> str:
            request.connection.close()
            return "closing"

        def fails(name: str, error: Exception) -> None:
            async def fail(request: Request[Payload]) -> None:
                raise error

            server.request(name)(fail)

        fails("fail", webwire.RequestError("FAIL_CODE", "it failed: ünï"))
        fails("fail-nomsg", webwire.RequestError("X"))
        fails("fail-nocode", webwire.RequestError("", "without a code"))
        fails("boom", LookupError("boom"))
        fails("panic", AssertionError("panic"))

        def replies(name: str, make: Any) -> None:
            async def reply(request: Request[Payload]) -> Any:
                return make(request)

            server.request(name)(reply)

        replies("reply-big", lambda request: bytes(int(request.text)))
        replies("reply-binary", lambda request: request.data)
        replies("reply-utf8", lambda request: request.text)
        replies("reply-utf16", lambda request: Payload.utf16(request.text))
        replies("reply-odd16", lambda request: Payload(b"abc", Encoding.UTF16))
        replies("reply-empty", lambda request: "")

    def _add_session_requests(self) -> None:
        server = self.server

        @server.request("login")
        async def login(request: Request[Payload]) -> str:
            info = {"level": 42, "nested": {"a": [1, 2]}, "username": request.text}
            try:
                session = await request.connection.create_session(
                    None if request.text == "noinfo" else info
                )
            except WirecoreError as error:
                return f"ERR {type(error).__name__}"
            return session.key

        @server.request("session-info")
        async def session_info(request: Request[Payload]) -> str:
            session = request.connection.session
            if session is None:
                return "none"
            time = session.created.isoformat().replace("+00:00", "Z")
            user = session.info.get("username")
            told = {"creation": time, "key": session.key, "username": user}
            return json.dumps(told, separators=(",", ":"))

        @server.request("stats")
        async def stats(request: Request[Payload]) -> str:
            users = len(server.session_connections(request.text))
            # The original counts -1 where nobody uses the session, and lists nobody.
            return f"{server.active_sessions} {users or -1} {users}"

        @server.request("close-session")
        async def close_session(request: Request[Payload]) -> str:
            return await _error_of(request.connection.close_session())

        @server.request("close-key")
        async def close_key(request: Request[Payload]) -> str:
            closed = await server.close_session(request.text)
            told = " ".join(NIL if error is None else str(error) for _, error in closed)
            return f"{len(closed)} [{told}] {NIL}"

    def _add_signal_requests(self) -> None:
        server = self.server

        @server.request("signal-me")
        async def signal_me(request: Request[Payload]) -> str:
            return await _error_of(request.connection.signal("from-server", request.payload))

        @server.request("signal-as")
        async def signal_as(request: Request[Payload]) -> str:
            name, encoding, text = request.text.split("|")
            payload = _ENCODINGS[encoding or "bin"](text)
            return await _error_of(request.connection.signal(name, payload))

        @server.request("signal-big")
        async def signal_big(request: Request[Payload]) -> str:
            payload = bytes(int(request.text))
            return await _error_of(request.connection.signal("big", payload))


@asynccontextmanager
async def serving(made: OriginalServer, **keywords: Unpack[ServeKeywords]) -> AsyncIterator[int]:
    """Serve on a port, which is given; the server is shut down in the end, and nothing is left."""
    async with trio.open_nursery() as nursery:
        listener = await nursery.start(partial(made.server.serve, "127.0.0.1", **keywords))
        yield listener.port
        await made.server.shutdown()
    assert made.server.connections == []
    assert made.server.active_sessions == 0


async def _error_of(sending: Any) -> str:
    """What *sending* raised, in a word: the buffer may be small."""
    try:
        await sending
    except WirecoreError as error:
        return type(error).__name__
    return NIL


def _keys(first: str) -> Iterator[str]:
    yield first
    number = 1
    while True:
        number += 1
        yield f"{first}-{number}"
