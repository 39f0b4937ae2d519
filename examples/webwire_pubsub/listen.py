"""A client of serve.py: prints what is published, also after the server was away."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Any

import trio

from wirecore_trio import webwire


async def main(url: str, most: int | None) -> None:
    """Print *most* signals, None: until Ctrl-C."""
    enough = trio.Event()
    heard = 0
    # Hooks that are given before it is entered miss nothing.
    connecting = webwire.connect(url)

    @connecting.on_signal("tick", codec=webwire.Json())
    async def tick(signal: webwire.ServerSignal[dict[str, Any]]) -> None:
        nonlocal heard
        if heard == most:
            return
        heard += 1
        print(f"tick {signal.value['number']} at {signal.value['time']}", flush=True)
        if heard == most:
            enough.set()

    @connecting.on_disconnected
    async def disconnected() -> None:
        if not enough.is_set():
            print("the server is away", flush=True)

    async with connecting:
        await enough.wait()


def count(text: str) -> int:
    """The number that an argument says."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"a number from 1 on, not {text!r}")
    return int(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "url", nargs="?", default="ws://127.0.0.1:8080/", help="the server's (%(default)s)"
    )
    parser.add_argument("--count", type=count, help="signals to print (default: no end)")
    given = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    try:
        trio.run(main, given.url, given.count)
    except* KeyboardInterrupt:
        sys.exit(130)
