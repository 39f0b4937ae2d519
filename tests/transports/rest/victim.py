"""A client that serves, as a process of its own, to be killed.

    python -m tests.transports.rest.victim URL

It prints a line once it is connected.
"""

from __future__ import annotations

import sys
from typing import Any

import trio

from tests.transports.rest.world import answer
from tests.transports.webwire.victim import tell
from wirecore_trio import rest


class Application:
    """``/together``: answers when as many have come as the header X-Count says. ``/endless``: a
    response that never ends. ``/silent``: never answers.
    """

    def __init__(self) -> None:
        self._come = 0
        self._all_here = trio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/together":
            self._come += 1
            if self._come == int(dict(scope["headers"])[b"x-count"]):
                self._all_here.set()
            await self._all_here.wait()
            await answer(send, scope["query_string"])
        elif scope["path"] == "/endless":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"more", "more_body": True})
                await trio.sleep(0.01)
        else:
            await trio.sleep_forever()


async def main(url: str) -> None:
    """Serve until the process ends."""
    async with rest.connect(url, Application(), metadata="victim"):
        tell("ready")
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
