"""What the example's programs tell: in words to who runs one by hand, in JSON to demo.py."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Awaitable, Callable

import trio

#: Where the server listens, if not told.
PORT = 1338


class Report:
    """Prints events, each at once as one line: words, or JSON if *as_json*."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        if as_json:
            # What the library logs is in the events, for which its reader has words of its own.
            logging.getLogger("wirecore").addHandler(logging.NullHandler())
        else:
            logging.basicConfig(format="%(message)s")

    def tell(self, event: str, words: str, **details: object) -> None:
        """Tell of *event*: its *details* are for JSON, and the *words* say the same."""
        print(json.dumps({"event": event, **details}) if self.as_json else words, flush=True)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What the server's and the client's command lines have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="tell events in JSON, as for demo.py")
    return parser


def port(text: str) -> int:
    """The port that an argument names."""
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"a port is 0 to 65535, not {text!r}")
    return int(text)


def run(main: Callable[..., Awaitable[int]], *args: object) -> int:
    """Run *main* until it returns an exit status, or the keyboard stops it."""
    status = 130  # what a shell says of a program that was stopped so
    try:
        status = trio.run(main, *args)
    except* KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return status


async def timed(calls: int, call: Callable[[], Awaitable[object]]) -> list[float]:
    """Make *calls* calls at once, with 2 s for all of them; how long each took, in ms."""
    times: list[float] = []

    async def one() -> None:
        begun = trio.current_time()
        await call()
        times.append((trio.current_time() - begun) * 1000)

    with trio.fail_after(2):
        async with trio.open_nursery() as nursery:
            for _ in range(calls):
                nursery.start_soon(one)
    return times


def in_words(method: str, callee: str, times: list[float]) -> str:
    """A round of calls that took *times*."""
    return (
        f"called {method} at {callee} {len(times)} times at once: "
        f"all answered, the slowest in {max(times):.1f} ms"
    )
