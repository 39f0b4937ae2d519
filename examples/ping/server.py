"""The server of the example: answers Ping, and calls every connected client's Gnip.

python server.py [PORT]
"""

from __future__ import annotations

import logging
import sys
from functools import partial

import keys
import trio
from report import tell, timed

from wirecore.errors import ConnectionLost, RpcError
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import GnipRequest, GnipStub, PingRequest, PingResponse, PingService

#: Seconds between two rounds of calls, and calls in a round.
PAUSE = 1.0
CALLS = 20


class Ping(PingService):
    """Answers with what came, and says to whom."""

    async def Ping(self, request: PingRequest, peer: wsrpc.Peer) -> PingResponse:  # noqa: N802
        """Answer a ping."""
        return PingResponse(body=f"{request.body}, {keys.NAMES[peer.public_key]}!")


class Refusals(logging.Handler):
    """Tells of clients that weren't let in: the server logs them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on what the server says of a refused client."""
        if "wasn't let in" in record.msg:
            tell("refused", why=record.getMessage())


async def call_clients(server: wsrpc.Server) -> None:
    """Call every connected client, again and again."""
    while True:
        await trio.sleep(PAUSE)
        for key in server.connected_keys:
            stub = GnipStub(server.peer(key))
            try:
                times = await timed(CALLS, partial(stub.Gnip, GnipRequest(body="gnip")))
            except* (ConnectionLost, RpcError, trio.TooSlowError) as error:
                tell("failed", client=keys.NAMES[key], why=str(error))
            else:
                tell("called", client=keys.NAMES[key], times=times)


async def main(port: int) -> None:
    """Serve until killed."""
    logger = logging.getLogger("wirecore.wsrpc")
    logger.setLevel(logging.INFO)
    logger.addHandler(Refusals())
    allowed = [keys.public(keys.CLIENTS[name]) for name in keys.ALLOWED]
    server = wsrpc.Server(wsrpc.ServerCredentials(keys.SERVER, allowed))
    server.register(Ping())
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", port)
        tell("listening", port=listening.port)
        nursery.start_soon(call_clients, server)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 1338)
