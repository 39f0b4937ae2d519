"""A program with sessions: it logs users in and out, and notes what happens to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.transports.webwire.world import Raw
from wirecore_trio import webwire
from wirecore_trio.webwire import Payload

Events = list[Any]


def login(events: Events | None = None) -> Callable[[webwire.Server], None]:
    """Handlers that create and close sessions, and hooks that note what happens to them."""
    seen: Events = [] if events is None else events

    def prepare(server: webwire.Server) -> None:
        @server.request("login")
        async def login(request: webwire.Request[Payload]) -> str:
            session = await request.connection.create_session({"user": request.text})
            assert request.connection.session is session
            seen.append("in the handler")
            return session.key

        @server.request("logout")
        async def logout(request: webwire.Request[Payload]) -> None:
            await request.connection.close_session()
            assert request.connection.session is None

        @server.request("who")
        async def who(request: webwire.Request[Payload]) -> str:
            session = request.connection.session
            return "nobody" if session is None else session.info["user"]

        @server.on_session_created
        async def created(connection: webwire.Connection, session: webwire.Session) -> None:
            seen.append(("created", session.info["user"], connection.session is session))

        @server.on_session_closed
        async def closed(key: str) -> None:
            seen.append(("closed", key))

    return prepare


async def logged_in(raw: Raw, user: bytes = b"alice") -> str:
    """Create a session: its key."""
    await raw.request(1, "login", user)
    key: str = json.loads((await raw.answer())[3])["k"]
    await raw.answer()
    return key
