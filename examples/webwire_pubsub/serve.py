"""A webwire server that tells the time to everybody who listens."""

from __future__ import annotations

import argparse
import logging
import signal
from datetime import UTC, datetime

import trio

from wirecore_trio import webwire

server = webwire.Server()


@server.on_client_connected
async def connected(connection: webwire.Connection) -> None:
    """Somebody came."""
    print(f"{connection.remote_address} listens", flush=True)


@server.on_client_disconnected
async def disconnected(connection: webwire.Connection, reason: Exception | None) -> None:
    """And went. Without a *reason* it was this end that closed the connection."""
    why = "was told that it's over" if reason is None else "is gone"
    print(f"{connection.remote_address} {why}", flush=True)


async def publish(every: float) -> None:
    """Send a signal to all that are connected, *every* so many seconds."""
    number = 0
    while True:
        await trio.sleep(every)
        number += 1
        tick = {"number": number, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        # Encoded once for all of them; who is too slow to take it misses this one.
        left_out = await server.broadcast("tick", tick, codec=webwire.Json())
        if left_out:
            print(f"{len(left_out)} missed tick {number}", flush=True)


async def main(host: str, port: int, every: float) -> None:
    """Serve until Ctrl-C."""
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, host, port)
        nursery.start_soon(publish, every)
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            print(f"listening on ws://{host}:{listening.port}/", flush=True)
            await anext(signals)
            await server.shutdown(grace=5)
        nursery.cancel_scope.cancel()
    print("stopped")


def seconds(text: str) -> float:
    """The time that an argument says."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"seconds are above 0 and up to 3600, not {text!r}")
    return value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", nargs="?", type=int, default=8080, help="0: any (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the address (%(default)s)")
    parser.add_argument(
        "--every", type=seconds, default=1.0, help="seconds between signals (%(default)s)"
    )
    given = parser.parse_args()
    logging.basicConfig()
    trio.run(main, given.host, given.port, given.every)
