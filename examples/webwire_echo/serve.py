"""A webwire server that answers every request with what came."""

from __future__ import annotations

import argparse
import logging
import signal

import trio

from wirecore_trio import webwire

server = webwire.Server()


@server.request()  # without a name: all that have no handler of their own
async def echo(request: webwire.Request[webwire.Payload]) -> webwire.Payload:
    """The payload, in the encoding that it came in."""
    return request.payload


@server.request("upper")
async def upper(request: webwire.Request[webwire.Payload]) -> str:
    """The text in capitals; a request without text is refused."""
    if not request.payload:
        raise webwire.RequestError("EMPTY", "there is nothing to put into capitals")
    return request.text.upper()


async def main(host: str, port: int) -> None:
    """Serve until Ctrl-C; requests that are being handled then get five seconds to finish."""
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, host, port)
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            print(f"listening on ws://{host}:{listening.port}/", flush=True)
            await anext(signals)
            await server.shutdown(grace=5)
    print("stopped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", nargs="?", type=int, default=8080, help="0: any (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the address (%(default)s)")
    given = parser.parse_args()
    logging.basicConfig()
    trio.run(main, given.host, given.port)
