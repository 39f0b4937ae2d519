"""A server for a try of webwire: ``wirecore webwire serve wirecore_cli.chat:server``."""

from __future__ import annotations

from typing import Any, Final

from wirecore_trio import webwire

server: Final = webwire.Server(store=webwire.MemoryStore())


@server.request("echo", inline=True)
def echo(request: webwire.Request[Any]) -> webwire.Payload:
    """Give back what came."""
    return request.payload


@server.request("login")
async def login(request: webwire.Request[Any]) -> str:
    """Begin a session for whoever says a name; there are no passwords here."""
    if not request.text:
        raise webwire.RequestError("NO_NAME", "say who you are")
    await request.connection.create_session({"name": request.text})
    return f"hello {request.text}"


@server.request("whoami")
async def whoami(request: webwire.Request[Any]) -> str:
    """Tell whose session it is."""
    session = request.connection.session
    if session is None:
        raise webwire.RequestError("NO_SESSION", "log in first")
    return str(session.info["name"])


@server.signal("chat")
async def chat(signal: webwire.Signal[Any]) -> None:
    """Pass it on to everybody."""
    await server.broadcast("chat", signal.payload)
