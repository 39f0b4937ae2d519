"""A client of the example: calls Ping, answers Gnip, and comes back when the server does.

python client.py Alice|Bob|Charlie [PORT]
"""

from __future__ import annotations

import logging
import sys

import keys
import trio
from report import tell, timed

from wirecore.errors import ConnectionLost, PeerRefused, RpcError
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import GnipRequest, GnipResponse, GnipService, PingRequest, PingStub

#: Seconds between two rounds of calls, and calls in a round.
PAUSE = 1.0
CALLS = 20


class Gnip(GnipService):
    """Answers the server's calls."""

    async def Gnip(self, request: GnipRequest, peer: wsrpc.Peer) -> GnipResponse:  # noqa: N802
        """Answer a gnip."""
        return GnipResponse(body=request.body[::-1])


async def watch(client: wsrpc.Client) -> None:
    """Tell of every change of the connection's state."""
    state = client.state
    while True:
        tell("state", state=state.value, connections=client.connections)
        state = await client.wait_for_state_change(state)


async def main(name: str, port: int) -> None:
    """Call until killed, or refused."""
    # What the library logs of failed attempts is told below in our own words.
    logging.getLogger("wirecore").addHandler(logging.NullHandler())
    credentials = wsrpc.ClientCredentials(keys.CLIENTS[name], keys.public(keys.SERVER))
    try:
        async with (
            wsrpc.connect(f"127.0.0.1:{port}", credentials, services=[Gnip()]) as client,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(watch, client)
            stub = PingStub(client)
            while True:
                await client.wait_ready()
                try:
                    times = await timed(CALLS, lambda: stub.Ping(PingRequest(body="hello")))
                except* (ConnectionLost, RpcError, trio.TooSlowError) as error:
                    tell("failed", why=str(error.exceptions[0]))
                else:
                    tell("called", times=times)
                await trio.sleep(PAUSE)
    except PeerRefused as error:
        tell("refused", why=str(error))


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1338)
