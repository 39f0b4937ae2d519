"""The same application: twice on uvicorn, on hypercorn, and behind a gateway on either.

Each runs in a thread of its own, on real sockets.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
import uvicorn
from hypercorn.config import Config

from tests.transports.rest.torture.recorder import PATIENCE, Recorder
from wirecore_cli.tunnel.bounded_http import BoundedHttp
from wirecore_cli.tunnel.under_uvicorn import UnderUvicorn
from wirecore_trio import rest
from wirecore_trio._listeners import open_listeners
from wirecore_trio.rest.gateway import Gateway, Route
from wirecore_trio.rest.hypercorn import serve

if TYPE_CHECKING:
    from wirecore._backend import Backend

#: Bytes of a head that the servers take here, where they have a bound: more than a connection of
#: ours, whose own is to show.
LARGE_HEAD = 4 * 1024 * 1024


@dataclass
class Place:
    """A server that runs: where it listens, and what its application sees.

    *passed*: method and path of each request that a gateway itself has seen, None elsewhere.
    """

    name: str
    port: int
    recorder: Recorder
    passed: list[tuple[str, bytes]] | None = None


@dataclass
class GatewayPlace(Place):
    """A gateway with one publisher, whose end is here, too. *call* runs a function in its loop.

    *running*: the requests that the gateway is busy with; *busy*: sets of tasks of its server's.
    """

    running: list[Any] = field(kw_only=True)
    busy: list[Any] = field(kw_only=True)
    server: rest.Server = field(kw_only=True)
    client: Any = field(kw_only=True)
    call: Callable[..., Any] = field(kw_only=True)

    def left_over(self) -> int:
        """Requests that the gateway has, or the application, and exchanges of either end.

        A request that is given up at once is with the application all the same, and later.
        """
        # In the order in which a request goes: none is missed on its way.
        asked = sum(map(len, self.busy)) + len(self.running)
        [connection] = self.server.connections
        ends = (connection, self.client.connection)
        wires: list[Any] = [each._channel.session.wire for each in ends]
        exchanges = sum(len(wire._ours) + len(wire._theirs) for wire in wires)
        return asked + exchanges + len(self.client.connection._serving)


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@contextmanager
def on_uvicorn(http: str) -> Iterator[Place]:
    """On uvicorn; *http*: which of its implementations."""
    recorder = Recorder()
    config = uvicorn.Config(
        recorder,
        port=0,
        http=http,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=LARGE_HEAD,
        timeout_graceful_shutdown=1,
    )
    server = _Uvicorn(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert server.is_up.wait(PATIENCE)
        yield Place(http, server.servers[0].sockets[0].getsockname()[1], recorder)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@contextmanager
def _on_trio(main: Callable[..., Awaitable[None]]) -> Iterator[tuple[Any, Any]]:
    """Run *main* in a thread: what it gives to its task_status, and what calls into its loop."""
    started: list[Any] = []
    is_up = threading.Event()
    scope = trio.CancelScope()

    async def run() -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                started.append(await nursery.start(main))
                started.append(trio.lowlevel.current_trio_token())
                is_up.set()

    def thread_main() -> None:
        try:
            trio.run(run)
        finally:
            is_up.set()

    thread = threading.Thread(target=thread_main, daemon=True)
    thread.start()
    assert is_up.wait(PATIENCE)
    value, token = started
    try:
        yield value, partial(trio.from_thread.run, trio_token=token)
    finally:
        trio.from_thread.run_sync(scope.cancel, trio_token=token)
        thread.join(PATIENCE)


async def _under_hypercorn(nursery: trio.Nursery, app: Any) -> int:
    """The port that *app* is served at from now on."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.h11_max_incomplete_size = LARGE_HEAD
    config.errorlog = logging.getLogger("hypercorn.error")
    config.graceful_timeout = 0
    [url] = await nursery.start(partial(serve, app, config))
    return int(url.rpartition(":")[2])


@contextmanager
def on_hypercorn() -> Iterator[Place]:
    """On hypercorn's worker for trio, as the gateway is."""
    recorder = Recorder()

    async def main(task_status: Any) -> None:
        async with trio.open_nursery() as nursery:
            task_status.started(await _under_hypercorn(nursery, recorder))
            await trio.sleep_forever()

    with _on_trio(main) as (port, _):
        yield Place("hypercorn", port, recorder)


async def _under_uvicorn(nursery: trio.Nursery, app: Any, busy: list[Any]) -> int:
    """As :func:`_under_hypercorn`, with what ``wirecore tunnel gateway`` has.

    *busy* gets uvicorn's tasks: what it gives to *app* is on its way between two threads first.
    """

    class LargeHeads(BoundedHttp):
        max_head = LARGE_HEAD

        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            if not busy:
                busy.append(self.tasks)

    sockets = await open_listeners("127.0.0.1", 0)
    port: int = sockets[0].getsockname()[1]
    front = UnderUvicorn(app, certificate=None, max_message_size=2**24, http=LargeHeads)
    await nursery.start(front.serve, sockets)
    return port


@contextmanager
def on_gateway(backend: Backend, under: str) -> Iterator[GatewayPlace]:
    """Published through a gateway, which has one route; *under*: the server that it is on."""
    recorder = Recorder()
    passed: list[tuple[str, bytes]] = []
    running: list[Any] = []
    busy: list[Any] = []

    async def main(task_status: Any) -> None:
        server = rest.Server(backend=backend)
        gateway = Gateway(server, [Route(name="torture")])

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await gateway(scope, receive, send)
                return
            if scope["type"] == "http":
                passed.append((scope["method"], scope["raw_path"]))
            running.append(scope)
            try:
                await gateway(scope, receive, send)
            finally:
                running.remove(scope)

        async with trio.open_nursery() as nursery:
            bound = await nursery.start(server.serve, "127.0.0.1", 0)
            if under == "uvicorn":
                port = await _under_uvicorn(nursery, watched, busy)
            else:
                port = await _under_hypercorn(nursery, watched)
            url = f"ws://127.0.0.1:{bound.port}/"
            async with rest.connect(url, recorder, metadata="torture", backend=backend) as client:
                with trio.fail_after(PATIENCE):
                    events = server.events()
                    while not server.connections:
                        await anext(events)
                task_status.started((port, server, client))
                await trio.sleep_forever()

    with _on_trio(main) as ((port, server, client), call):
        yield GatewayPlace(
            f"gateway on {under}",
            port,
            recorder,
            passed,
            running=running,
            busy=busy,
            server=server,
            client=client,
            call=call,
        )
