"""What the tests serve: copied into the folder that a server runs in."""

from __future__ import annotations

import socket

from wirecore.errors import RpcError
from wirecore_trio.wsrpc import Peer


def hold(data: bytes, peer: Peer) -> bytes:
    """Tell the test, at the port that *data* names, that the call is here; answer as it says."""
    with socket.create_connection(("127.0.0.1", int(data))) as gate:
        return gate.recv(1000)


def fail(data: bytes, peer: Peer) -> bytes:
    """Fail with what came."""
    raise RpcError(data.decode())


def same(data: bytes, peer: Peer) -> bytes:
    """Give back what came."""
    return data


def who(data: bytes, peer: Peer) -> bytes:
    """Tell who called."""
    return peer.public_key


handlers = {"Hold": hold, "Fail": fail, "Same": same, "Who": who}
