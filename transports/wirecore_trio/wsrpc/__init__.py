"""wsrpc on trio: calls in both directions over one WebSocket, between holders of pinned keys.

The client::

    async with wsrpc.connect("127.0.0.1:1337", credentials, services=[Gnip()]) as client:
        reply = await PingStub(client).Ping(PingRequest(body="hello"))

The server::

    server = wsrpc.Server(credentials)
    server.register(Ping())
    await nursery.start(server.serve, "127.0.0.1", 1337)
    reply = await GnipStub(server.peer(alice)).Gnip(GnipRequest(body="hello"))
"""

from __future__ import annotations

from wirecore.errors import (
    CallTimeout,
    CredentialsUnavailable,
    InvalidMessage,
    Overloaded,
    PeerRefused,
    RpcError,
    UnknownMethod,
    UpgradeRejected,
)
from wirecore.session import Backoff

from .._connections import Change, Changes
from .._errors import CallLost, NotConnected
from .._listening import Listening
from .._supervise import RetryPolicy
from ..tls import ClientCredentials, ServerCredentials
from ._client import Client, Connecting, CredentialsSource, connect
from ._options import Options
from ._peer import Caller, Peer
from ._server import Server
from ._service import MethodTypes, ProtoMessage, Service
from ._single import ConnectingSingle, SingleClient, connect_single
from ._states import State

__all__ = [
    "Backoff",
    "CallLost",
    "CallTimeout",
    "Caller",
    "Change",
    "Changes",
    "Client",
    "ClientCredentials",
    "Connecting",
    "ConnectingSingle",
    "CredentialsSource",
    "CredentialsUnavailable",
    "InvalidMessage",
    "Listening",
    "MethodTypes",
    "NotConnected",
    "Options",
    "Overloaded",
    "Peer",
    "PeerRefused",
    "ProtoMessage",
    "RetryPolicy",
    "RpcError",
    "Server",
    "ServerCredentials",
    "Service",
    "SingleClient",
    "State",
    "UnknownMethod",
    "UpgradeRejected",
    "connect",
    "connect_single",
]
