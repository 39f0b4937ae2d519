"""The server of the tests in which processes are killed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import trio

from tests.transports.killing import NUMBER, descriptors
from wirecore._backend import Backend
from wirecore_trio import webwire

#: What server and clients have in common: large enough to fill sockets with a few requests.
BUFFER_SIZE = 65_536

#: Seconds that the slowest handler takes: when the server is told to end, some run.
_SLOW = 0.05


def digest(key: str) -> str:
    """What stands for a session's key in reports, as the key is a secret."""
    return hashlib.sha256(key.encode()).hexdigest()


def user_of(connection: webwire.Connection) -> str:
    """Whose session the connection has, "" without one."""
    return "" if connection.session is None else str(connection.session.info["user"])


def answer_to(text: str, user: str) -> str:
    """What the server answers to a request."""
    return f"{text[:NUMBER]} from {user}, {len(text)} characters"


def make_server(
    note: Callable[[int], None],
    store: webwire.SessionStore,
    *,
    max_session_connections: int = 0,
    backend: Backend | None = None,
) -> webwire.Server:
    """A server that answers what a fleet asks, in four ways, and signals back.

    *note* is called with the number of each request before it is answered.
    """
    options = webwire.ServerOptions(
        buffer_size=BUFFER_SIZE, concurrency=4, max_session_connections=max_session_connections
    )
    server = webwire.Server(options, store=store, backend=backend)

    def do(request: webwire.Request[Any]) -> webwire.Payload:
        text = request.payload.text
        note(int(text[:NUMBER]))
        answer = answer_to(text, user_of(request.connection))
        if request.payload.encoding is webwire.Encoding.UTF16:
            return webwire.Payload.utf16(answer)
        return webwire.Payload(answer.encode(), request.payload.encoding)

    @server.request("do_async")
    async def do_async(request: webwire.Request[Any]) -> webwire.Payload:
        answer = do(request)
        await request.connection.signal("done", request.payload.text[:NUMBER])
        return answer

    @server.request("do_slowly")
    async def do_slowly(request: webwire.Request[Any]) -> webwire.Payload:
        answer = do(request)
        await trio.sleep(_SLOW)
        return answer

    server.request("do_in_thread")(do)
    server.request("do_inline", inline=True)(do)

    @server.signal("tick")
    async def tick(signal: webwire.Signal[Any]) -> None:
        await signal.connection.signal("tock", signal.payload)

    @server.request("login")
    async def login(request: webwire.Request[Any]) -> None:
        await request.connection.create_session({"user": request.payload.text})

    @server.request("who am I", inline=True)
    def who_am_i(request: webwire.Request[Any]) -> str:
        return user_of(request.connection)

    @server.request("report", reply=webwire.Json())
    async def report(request: webwire.Request[Any]) -> object:
        return state_of(server)

    return server


def state_of(server: webwire.Server) -> dict[str, Any]:
    """Who is connected with which session, as JSON has it."""
    sessions = [
        [user_of(each), digest(each.session.key)]
        for each in server.connections
        if each.session is not None
    ]
    return {
        "sessions": sorted(sessions),
        "active": server.active_sessions,
        "connections": len(server.connections),
        "rooms": len(server._rooms),
        "descriptors": descriptors(),
    }


def add_what_servers_share(server: webwire.Server) -> None:
    """Rooms, and the end of a session, which reach all servers of a shared store."""

    @server.request("join")
    async def join(request: webwire.Request[Any]) -> None:
        await server.room(request.payload.text).join(request.connection)

    @server.request("say")
    async def say(request: webwire.Request[Any]) -> None:
        room, _, words = request.payload.text.partition(" ")
        await server.room(room).send("said", words)

    @server.request("end")
    async def end(request: webwire.Request[Any]) -> None:
        for _, error in await server.close_session(request.payload.text):
            if error is not None:
                raise error  # who failed to leave the session has it still
