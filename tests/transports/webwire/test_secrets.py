"""What is secret stays out of logs, reprs and errors; what says who is who stands in them."""

from __future__ import annotations

import logging

import pytest

from tests.transports.conftest import Run
from tests.transports.webwire.logins import login
from tests.transports.webwire.world import OpenServer, lose_all, settle
from wirecore_trio import webwire
from wirecore_trio.webwire import Payload
from wirecore_trio.webwire.stores import MemoryStore

SECRET = "a payload that is nobody's business"
KEY = "a-session-key-that-nobody-may-see"


def test_no_log_has_a_key_or_a_payload(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where everything is logged and everything fails."""
    caplog.set_level(logging.DEBUG)

    def prepare(server: webwire.Server) -> None:
        login()(server)
        server.generate_session_key(lambda: KEY)

        @server.request("fail")
        async def fail(request: webwire.Request[Payload]) -> None:
            raise ValueError("without details")

        @server.request("json", codec=webwire.Json())
        async def json(request: webwire.Request[object]) -> None: ...

        @server.signal("json", codec=webwire.Json())
        async def json_signal(signal: webwire.Signal[object]) -> None: ...

    async def main() -> None:
        async with (
            open_server(prepare, store=MemoryStore()) as world,
            world.connect() as client,
            world.raw() as raw,
        ):
            await client.request("login", SECRET)
            for name in ("fail", "json", "unheard-of"):
                with pytest.raises((webwire.RequestError, webwire.InternalError)) as caught:
                    await client.request(name, SECRET)
                assert SECRET not in str(caught.value)
                await client.signal(name, SECRET)
                await world.server.session_connections(KEY)[0].signal(name, SECRET)
            await raw.restore(1, KEY)
            await raw.answer()
            await raw.restore(2, "other " + KEY)
            await raw.answer()
            await raw.message(b"\xff" + SECRET.encode())
            await raw.closing()
            await lose_all(world)
            await client.request("who")
            await world.server.close_session(KEY)
            await settle()
            with pytest.raises(webwire.SessionNotFound) as not_found:
                await client.restore_session(KEY)
            assert KEY not in str(not_found.value)

    run_sockets(main)
    assert len(caplog.records) > 3
    formatter = logging.Formatter()
    for record in caplog.records:
        text = formatter.format(record)
        assert KEY not in text
        assert SECRET not in text


def test_a_signal_that_isnt_what_its_route_wants_is_dropped_with_a_warning(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """A client can send as many as it likes: no error of ours, and no traceback."""
    seen: list[object] = []

    def prepare(server: webwire.Server) -> None:
        @server.signal("n", codec=webwire.Json())
        async def note(signal: webwire.Signal[object]) -> None:
            seen.append(signal.value)

        server.signal("inline", codec=webwire.Json(), inline=True)(
            lambda signal: seen.append(signal.value)
        )

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            for name in ("n", "inline"):
                await client.signal(name, "{")
                await client.signal(name, "[1]")
            await settle()
            assert seen == [[1], [1]]

    run_sockets(main)
    told = [each for each in caplog.records if "was dropped" in each.getMessage()]
    assert [(each.levelname, each.exc_info) for each in told] == [("WARNING", None)] * 2
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_reprs(open_server: OpenServer, run_sockets: Run) -> None:
    shown: list[str] = []

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.request("show")
        async def show(request: webwire.Request[Payload]) -> None:
            shown.append(repr(request))

        @server.signal("show")
        async def show_signal(signal: webwire.Signal[Payload]) -> None:
            shown.append(repr(signal))

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world:
            async with world.connect() as client:
                await client.request("login", "alice")
                await client.request("show", SECRET)
                await client.signal("show", b"\0" + SECRET.encode())
                await settle()
                assert shown == [
                    "<Request 'show', <Payload of 35 bytes, UTF8>>",
                    "<Signal 'show', <Payload of 36 bytes, BINARY>>",
                ]
                assert repr(world.server) == "<webwire.Server of 1 connections>"
                connection = world.only()
                assert repr(connection).startswith("<webwire.Connection from 127.0.0.1:")
                assert repr(connection).endswith(", connected>")
                assert connection.session is not None
                for each in (connection.session, client.session, connection, client, world.server):
                    assert connection.session.key not in repr(each)
                    assert "alice" not in repr(each)
            hidden = webwire.connect(world.url + "?token=secret")._client
            assert "secret" not in repr(hidden)

    run_sockets(main)
