"""The server of the example: answers Ping, and calls every connected client's Gnip."""

from __future__ import annotations

import logging
import sys
from functools import partial

import keys
import trio
from report import PORT, Report, arguments, in_words, port, run, timed

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

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on what the server says of a refused client."""
        if "wasn't let in" in record.msg:
            why = record.getMessage()
            self.report.tell("refused", why, why=why)


async def call_clients(server: wsrpc.Server, report: Report) -> None:
    """Call every connected client, again and again."""
    while True:
        await trio.sleep(PAUSE)
        for key in server.connected_keys:
            name = keys.NAMES[key]
            stub = GnipStub(server.peer(key))
            try:
                times = await timed(CALLS, partial(stub.Gnip, GnipRequest(body="gnip")))
            except* (ConnectionLost, RpcError, trio.TooSlowError) as error:
                why = str(error.exceptions[0])
                report.tell("failed", f"a call of {name} failed: {why}", client=name, why=why)
            else:
                report.tell("called", in_words("Gnip", name, times), client=name, times=times)


async def main(port: int, report: Report) -> int:
    """Serve until killed, or unable to listen."""
    logger = logging.getLogger("wirecore.wsrpc")
    logger.setLevel(logging.INFO)
    if report.as_json:
        logger.addHandler(Refusals(report))
    allowed = [keys.public(keys.CLIENTS[name]) for name in keys.ALLOWED]
    server = wsrpc.Server(wsrpc.ServerCredentials(keys.SERVER, allowed))
    server.register(Ping())
    async with trio.open_nursery() as nursery:
        try:
            listening = await nursery.start(server.serve, "127.0.0.1", port)
        except OSError as error:
            report.tell("failed", str(error), why=str(error))
            return 1
        where = f"127.0.0.1:{listening.port}"
        report.tell(
            "listening",
            f"listening on {where}; {' and '.join(keys.ALLOWED)} may come in",
            port=listening.port,
        )
        nursery.start_soon(call_clients, server, report)
    return 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument(
        "port", nargs="?", type=port, default=PORT, help="on 127.0.0.1; 0: any (%(default)s)"
    )
    given = parser.parse_args()
    sys.exit(run(main, given.port, Report(as_json=given.json)))
