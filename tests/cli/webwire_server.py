"""The webwire servers of the tests: copied into the folder that a server runs in."""

from __future__ import annotations

import socket
from typing import Any

from wirecore_trio import webwire

server = webwire.Server(store=webwire.FileStore("sessions"))
other = webwire.Server(webwire.ServerOptions(buffer_size=1024, subprotocol="shop 2"))


def make() -> webwire.Server:
    """A server with nothing in it."""
    return webwire.Server()


@server.before_upgrade
async def before_upgrade(request: webwire.HttpRequest) -> webwire.Upgrade | None:
    token = (request.header("x-token") or b"").decode()
    return webwire.Upgrade(info={"token": token}, concurrency=-1)


@server.request("same")
async def same(request: webwire.Request[Any]) -> webwire.Payload:
    """Give back what came."""
    return request.payload


@server.request("encoding")
async def encoding(request: webwire.Request[Any]) -> str:
    """Tell how what came was encoded."""
    return request.payload.encoding.name


@server.request("hold")
def hold(request: webwire.Request[Any]) -> bytes:
    """Tell the test, at the port that the payload names, that it is here; answer as it says."""
    with socket.create_connection(("127.0.0.1", int(request.text))) as gate:
        return gate.recv(1000)


@server.request("refuse")
async def refuse(request: webwire.Request[Any]) -> None:
    """Refuse with what came."""
    raise webwire.RequestError("NO", request.text)


@server.request("fail")
async def fail(request: webwire.Request[Any]) -> None:
    """Fail."""
    raise LookupError("a secret of the server's")


@server.request("token")
async def token(request: webwire.Request[Any]) -> str:
    """Give back a header field of the upgrade."""
    return str(request.connection.info["token"])


@server.request("login")
async def login(request: webwire.Request[Any]) -> None:
    """Begin a session."""
    await request.connection.create_session({"name": request.text})


@server.request("logout")
async def logout(request: webwire.Request[Any]) -> None:
    """End the session that the key names, for all of its connections."""
    await server.close_session(request.text)


@server.request("greet")
async def greet(request: webwire.Request[Any]) -> None:
    """Signal everybody in whose session they are."""
    for connection in server.connections:
        session = connection.session
        await connection.signal("greeting", session.info["name"] if session else "stranger")


@server.signal()
async def pass_on(signal: webwire.Signal[Any]) -> None:
    """To everybody."""
    await server.broadcast(signal.name, signal.payload)
