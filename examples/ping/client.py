"""A client of the example: calls Ping, answers Gnip, and comes back when the server does."""

from __future__ import annotations

import sys

import keys
import trio
from report import PORT, Report, arguments, in_words, port, run, timed

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


async def watch(client: wsrpc.Client, report: Report) -> None:
    """Tell of every change of the connection's state."""
    state = client.state
    while True:
        words = f"the connection is {state.value}"
        report.tell("state", words, state=state.value, connections=client.connections)
        state = await client.wait_for_state_change(state)


async def call_server(client: wsrpc.Client, report: Report) -> None:
    """Call the server again and again, whenever there is a connection."""
    stub = PingStub(client)
    while True:
        await client.wait_ready()
        try:
            times = await timed(CALLS, lambda: stub.Ping(PingRequest(body="hello")))
        except* (ConnectionLost, RpcError, trio.TooSlowError) as error:
            why = str(error.exceptions[0])
            report.tell("failed", f"a call failed: {why}", why=why)
        else:
            report.tell("called", in_words("Ping", "the server", times), times=times)
        await trio.sleep(PAUSE)


async def main(name: str, port: int, report: Report) -> int:
    """Call until killed, or refused."""
    credentials = wsrpc.ClientCredentials(keys.CLIENTS[name], keys.public(keys.SERVER))
    try:
        async with (
            wsrpc.connect(f"127.0.0.1:{port}", credentials, services=[Gnip()]) as client,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(watch, client, report)
            await call_server(client, report)
    except PeerRefused as error:
        report.tell("refused", f"{name} was refused, and gives up", why=str(error))
    return 1


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("name", choices=keys.CLIENTS, help="who it is; Charlie isn't let in")
    parser.add_argument(
        "port", nargs="?", type=port, default=PORT, help="the server's, on 127.0.0.1 (%(default)s)"
    )
    given = parser.parse_args()
    if given.port == 0:
        parser.error("a server's port is 1 to 65535")
    sys.exit(run(main, given.name, given.port, Report(as_json=given.json)))
