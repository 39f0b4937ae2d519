"""The private side: it dials the server, and answers what that requests. It listens nowhere."""

from __future__ import annotations

import argparse
import logging
import signal

import trio
from app import app

from wirecore_trio import rest


async def main(url: str, name: str) -> None:
    """Serve until Ctrl-C, or SIGTERM; a connection that is lost is dialled again."""
    async with rest.connect(url, app, metadata={"name": name}):
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            print(f"serving at {url} as {name}", flush=True)
            await anext(signals)
    print("stopped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "url", nargs="?", default="ws://127.0.0.1:8080/", help="the server's (%(default)s)"
    )
    parser.add_argument("--name", default="kitchen", help="of this list (%(default)s)")
    given = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    trio.run(main, given.url, given.name)
