"""A pool server calls providers that dial in from behind NAT, over Go's net/rpc wires.

On the public side::

    server = pool.PoolServer()
    server.bind("/pool")
    listening = await nursery.start(server.serve, "0.0.0.0", 8080)
    name = await server.call("Backend.Get", "object_id-1", str)

and behind NAT::

    class Backend:
        @pool.exported
        async def get(self, key: str) -> str: ...

    async with pool.Provider(Backend()).serve("ws://pool.my:8080/pool") as serving:
        await serving.wait_closed()

Both speak with programs of github.com/pavrorov/wsrpcpool, byte for byte.
"""

from __future__ import annotations

from wirecore.errors import RpcError
from wirecore.protocols.pool.errors import NoDefaultPath, NoProvider

from ._callback_client import CallbackClient
from ._callbacks import CallbackConnection
from ._codecs import Gob, Json
from ._context import CurrentCall, current_call
from ._events import Event, Happening, Listener
from ._identity import Tokens, server_context
from ._options import PoolOptions, ProviderOptions
from ._pending import Done, PendingCall
from ._provider import Provider
from ._provider_connection import ProviderConnection
from ._server import PoolServer
from ._service import exported
from ._serving import Serving
from ._state import Changes, PathState, PoolState, ProviderState
from ._trust import provider_context

__all__ = [
    "CallbackClient",
    "CallbackConnection",
    "Changes",
    "CurrentCall",
    "Done",
    "Event",
    "Gob",
    "Happening",
    "Json",
    "Listener",
    "NoDefaultPath",
    "NoProvider",
    "PathState",
    "PendingCall",
    "PoolOptions",
    "PoolServer",
    "PoolState",
    "Provider",
    "ProviderConnection",
    "ProviderOptions",
    "ProviderState",
    "RpcError",
    "Serving",
    "Tokens",
    "current_call",
    "exported",
    "provider_context",
    "server_context",
]
