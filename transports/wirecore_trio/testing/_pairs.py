"""Both ends of a connection in memory, for each protocol: a real server and a real client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import trio

from wirecore import errors

from .._arguments import require_type
from .._errors import alone
from ._faults import FaultInjector
from ._network import Network
from ._server import ScriptedServer

if TYPE_CHECKING:
    from wirecore_trio import engine, pool, rest, websocket, webwire, wsrpc
    from wirecore_trio.engine import Callbacks, Engine, Handler
    from wirecore_trio.tls import ClientCredentials, ServerCredentials

    from ._server import Script

T = TypeVar("T")

#: What the servers of pairs are called, where there is nobody else.
HOST: Final = "server.test"

#: Passes of trio's loop that a server is given to have seen who came.
_MOST_STEPS: Final = 1000


async def memory_pair(
    client: websocket.Options | None = None,
    server: websocket.Options | None = None,
    *,
    faults: FaultInjector | None = None,
) -> tuple[websocket.WebSocket, websocket.WebSocket]:
    """The client's and the server's end of an open WebSocket, with these options.

    *faults*: what goes wrong between them.
    """
    from ..websocket import wrap_client, wrap_server

    require_type("faults", faults, FaultInjector, optional=True)
    one, other = (faults or FaultInjector()).stream_pair()
    ends: dict[str, Any] = {}

    async def serve() -> None:
        ends["server"] = await wrap_server(other, options=server)

    with alone():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            ends["client"] = await wrap_client(one, options=client)
    return ends["client"], ends["server"]


class Pair(Generic[T]):
    """A server and what has connected to it, in memory: ``async with pair as client``.

    ``T``: what entering gives. Leaving closes that, then ends the server.
    """

    def __init__(
        self,
        network: Network | None,
        start: Callable[[Network], Awaitable[object]],
        connect: Callable[[], AbstractAsyncContextManager[T]],
        joined: Callable[[], bool] = lambda: True,
    ) -> None:
        require_type("network", network, Network, optional=True)
        #: What they are connected through: its faults are between them.
        self.network = network or Network()
        self._is_own = network is None
        self._start = start
        self._connect = connect
        self._joined = joined
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> T:
        async with AsyncExitStack() as stack:
            if self._is_own:
                await stack.enter_async_context(self.network)
            await self._start(self.network)
            entered = await stack.enter_async_context(self._connect())
            for _ in range(_MOST_STEPS):  # the server is a few steps behind
                if self._joined():
                    break
                await trio.lowlevel.checkpoint()
            self._stack = stack.pop_all()
        return entered

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)


def _serving(server: Any, port: int, **keywords: Any) -> Callable[[Network], Awaitable[object]]:
    async def start(network: Network) -> object:
        return await network.start(partial(server.serve, HOST, port, **keywords))

    return start


def wsrpc_credentials() -> tuple[ServerCredentials, ClientCredentials]:
    """New keys for a server and for a client that know each other."""
    from ..tls import ClientCredentials, ServerCredentials, generate_private_key, public_key_of

    servers, clients = generate_private_key(), generate_private_key()
    return (
        ServerCredentials(servers, [public_key_of(clients)]),
        ClientCredentials(clients, public_key_of(servers)),
    )


def wsrpc_pair(
    server: wsrpc.Server,
    credentials: ClientCredentials,
    *,
    network: Network | None = None,
    **keywords: Any,
) -> Pair[wsrpc.Client]:
    """``async with wsrpc_pair(server, credentials) as client``, over TLS with both ends' keys.

    *keywords*: what :func:`wirecore_trio.wsrpc.connect` takes besides. The same for the others.
    """
    from .. import wsrpc

    require_type("server", server, wsrpc.Server)
    connect = partial(wsrpc.connect, f"{HOST}:443", credentials, **keywords)
    return Pair(network, _serving(server, 443), connect, lambda: bool(server.connected_keys))


def webwire_pair(
    server: webwire.Server,
    options: webwire.ClientOptions | None = None,
    *,
    network: Network | None = None,
    **keywords: Any,
) -> Pair[webwire.Client]:
    """``async with webwire_pair(server) as client``."""
    from .. import webwire

    require_type("server", server, webwire.Server)
    connect = partial(webwire.connect, f"ws://{HOST}/", options, **keywords)
    return Pair(network, _serving(server, 80), connect, lambda: bool(server.connections))


def rest_pair(
    server: rest.Server,
    app: Any = None,
    options: rest.ClientOptions | None = None,
    *,
    network: Network | None = None,
    **keywords: Any,
) -> Pair[rest.Client]:
    """``async with rest_pair(server, app) as client``; *app*: what the client serves."""
    from .. import rest

    require_type("server", server, rest.Server)
    connect = partial(rest.connect, f"ws://{HOST}/", app, options, **keywords)
    return Pair(network, _serving(server, 80), connect, lambda: bool(server.connections))


def pool_pair(
    server: pool.PoolServer,
    provider: pool.Provider,
    path: str = "/",
    *,
    network: Network | None = None,
    **keywords: Any,
) -> Pair[pool.Serving]:
    """``async with pool_pair(server, provider, "/pool") as serving``: it is connected there.

    *path*: one that the server has bound. *keywords*: what ``provider.serve`` takes besides.
    """
    from .. import pool

    require_type("server", server, pool.PoolServer)
    require_type("provider", provider, pool.Provider)
    require_type("path", path, str)
    if not keywords.setdefault("wait", True):
        raise errors.InvalidOption("a pair is connected when it is entered: leave out wait=")
    connect = partial(provider.serve, f"ws://{HOST}{path}", **keywords)
    wanted = keywords.get("connections", 1)
    return Pair(network, _serving(server, 80), connect, lambda: len(server.providers) >= wanted)


def engine_pair(
    handler: Handler | Callbacks,
    *scripts: Script,
    options: engine.Options | None = None,
    network: Network | None = None,
    **keywords: Any,
) -> Pair[Engine]:
    """``async with engine_pair(handler, script) as engine``: the server does what scripts say.

    *scripts*: see :class:`ScriptedServer`. *keywords*: what the engine takes besides.
    """
    from ..engine import Engine

    ScriptedServer(*scripts)  # what is none of these is told here already

    async def start(network: Network) -> None:
        network.scripted(f"ws://{HOST}/", *scripts)

    return Pair(network, start, partial(Engine, f"ws://{HOST}/", handler, options, **keywords))
