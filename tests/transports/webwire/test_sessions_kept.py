"""A session outlives its connections: kept by the client, restored before anything else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.logins import Events, login
from tests.transports.webwire.world import OpenServer, conf_message, lose_all, scripted, settle
from wirecore._backend import Backend
from wirecore_trio import websocket, webwire
from wirecore_trio.webwire.stores import MemoryStore


def test_a_client_restores_its_session_before_anything_else(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: Events = []

    async def main() -> None:
        async with (
            open_server(login(), store=MemoryStore(), concurrency=-1) as world,
            world.connect() as client,
        ):
            client.on_session_created(lambda session: events.append(session.info["user"]))
            client.on_session_closed(lambda: events.append("closed"))
            await client.request("login", "alice")
            for _ in range(3):
                await lose_all(world)
                assert client.session is not None  # it is kept
                assert (await client.request("who")).text == "alice"
            await client.close()
            assert client.session is not None
            await client.connect()
            assert (await client.request("who")).text == "alice"
            assert events == ["alice"] * 5

    run_sockets(main)


def test_a_session_that_is_gone_is_forgotten_and_the_client_connected_nevertheless(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    events: Events = []

    async def main() -> None:
        store = MemoryStore()
        async with open_server(login(), store=store) as world, world.connect() as client:
            client.on_session_closed(lambda: events.append("closed"))
            key = (await client.request("login", "alice")).text
            await lose_all(world)
            await store.close(key)
            assert (await client.request("who")).text == "nobody"
            assert client.session is None
            await settle()
            assert events == []

    run_sockets(main)
    assert "the session is lost" in caplog.text


def test_a_session_closed_without_a_connection_is_forgotten_here_only(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        store = MemoryStore()
        async with open_server(login(), store=store) as world, world.connect() as client:
            await client.request("login", "alice")
            await lose_all(world)
            await client.close_session()
            assert client.session is None
            assert (await client.request("who")).text == "nobody"
            assert len(store) == 1

    run_sockets(main)


def test_what_says_nothing_of_the_session_lets_it_be_restored_later(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """An internal error of the look-up, say: the next connection tries again."""
    fails = [True, True]

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session:
            if fails:
                fails.pop()
                raise OSError("out of reach")
            now = datetime.now(UTC)
            return webwire.Session(key, now, now, {"user": "alice"})

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            await client.request("login", "alice")
            await lose_all(world)
            assert (await client.request("who")).text == "alice"
            assert fails == []

    run_sockets(main)


def test_a_client_is_told_that_it_is_connected_and_that_its_session_is_refused(
    open_server: OpenServer, run_sockets: Run
) -> None:
    told: list[str] = []

    async def main() -> None:
        store = MemoryStore()
        async with open_server(login(), store=store) as world:
            connecting = world.connect()
            connecting.on_connected(lambda: told.append("connected"))
            connecting.on_session_created(lambda session: told.append("session"))
            connecting.on_disconnected(lambda: told.append("disconnected"))

            @connecting.on_session_refused
            async def refused(error: Exception) -> None:
                assert isinstance(error, webwire.SessionNotFound)
                told.append("refused")
                await client.request("login", "bob")

            async with connecting as client:
                await client.request("login", "alice")
                await lose_all(world)
                await trio.sleep(5)
                assert told == ["connected", "session", "disconnected", "session", "connected"]
                told.clear()
                store._sessions.clear()
                await lose_all(world)
                await trio.sleep(5)
                assert told == ["disconnected", "refused", "connected", "session"]
                assert (await client.request("who")).text == "bob"

    run_sockets(main)


@pytest.mark.parametrize("fault", ["error", "silence"])
def test_a_server_that_never_restores_it_keeps_no_client_away_for_ever(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    tries: list[float] = []

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session:
            tries.append(trio.current_time())
            if fault == "silence":
                await trio.sleep_forever()
            raise ValueError("damaged")

    async def main() -> None:
        options = webwire.ClientOptions(restore_timeout=30, request_timeout=10)
        async with open_server(prepare) as world, world.connect(options) as client:
            await client.request("login", "alice")
            await lose_all(world)
            assert (await client.request("who", timeout=100)).text == "nobody"
            assert client.session is None
            assert 19 <= tries[-1] - tries[0] <= 45
            assert trio.current_time() - tries[0] <= 45
            assert len(tries) > 2
            # A session after that is given its own time.
            await client.request("login", "alice")
            await lose_all(world)
            with pytest.raises(webwire.ConnectionTimeout):
                await client.request("who", timeout=20)
            assert client.session is not None

    run_sockets(main)
    assert "the session is lost" in caplog.text


def test_a_client_without_autoconnect_restores_when_it_connects(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with (
            open_server(login(), store=MemoryStore()) as world,
            world.connect(autoconnect=False) as client,
        ):
            await client.request("login", "alice")
            await lose_all(world)
            await client.connect()
            assert (await client.request("who")).text == "alice"

    run_sockets(main)


SESSION = b'{"k":"%s","c":"2020-01-01T00:00:00Z","l":"2020-01-01T00:00:00Z"}'


def test_replies_and_notifications_of_sessions_count_in_the_order_in_which_they_come(
    backend: Backend, run_sockets: Run
) -> None:
    """However late the task has its turn that waits for the reply."""

    async def script(ws: websocket.WebSocket) -> None:
        await ws.send(conf_message())
        async for message in ws:
            assert isinstance(message, bytes)
            if message[0] == 0x20:  # restored, and closed at once
                await ws.send_many([b"\xc0" + message[1:9] + SESSION % b"a", b"\x16"])
            elif message[0] == 0x7F:
                await ws.send_many([b"\x15" + SESSION % b"b", b"\xbf" + message[1:9]])
            else:  # closed, and another one created at once
                await ws.send_many([b"\xbf" + message[1:9], b"\x15" + SESSION % b"c"])

    async def main() -> None:
        async with (
            scripted(backend, script) as url,
            webwire.connect(url, backend=backend) as client,
        ):
            assert (await client.restore_session("a")).key == "a"
            assert client.session is None
            await client.request("login")
            assert client.session is not None
            await client.close_session()
            assert client.session.key == "c"

    run_sockets(main)


def test_without_a_request_timeout_a_silent_server_is_still_given_up(
    open_server: OpenServer, run_sockets: Run
) -> None:
    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> None:
            await trio.sleep_forever()

    async def main() -> None:
        options = webwire.ClientOptions(request_timeout=None, restore_timeout=30)
        async with open_server(prepare) as world, world.connect(options) as client:
            await client.request("login", "alice")
            await lose_all(world)
            began = trio.current_time()
            assert (await client.request("who")).text == "nobody"
            assert trio.current_time() - began < 40

    run_sockets(main)


def test_failures_that_lie_far_apart_dont_add_up(open_server: OpenServer, run_sockets: Run) -> None:
    fails = True

    def prepare(server: webwire.Server) -> None:
        login()(server)

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session:
            nonlocal fails
            fails = not fails
            if not fails:
                raise OSError("out of reach")
            now = datetime.now(UTC)
            return webwire.Session(key, now, now, {"user": "alice"})

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            await client.request("login", "alice")
            for _ in range(3):
                await lose_all(world)
                assert (await client.request("who")).text == "alice"
                await client.close()
                await trio.sleep(200)

    run_sockets(main)
