"""The client that Autobahn|Testsuite's fuzzing server tests: runs every case, echoing.

    python echo_client.py ws://127.0.0.1:PORT AGENT

Prints a line for each case that it is through with, and has the suite write its report at the end.
"""

from __future__ import annotations

import json
import sys

import trio

from wirecore_trio import websocket

#: The suite compresses messages of any size, so nothing is too small for us either.
OPTIONS = websocket.Options(compression=websocket.DeflateOffer(threshold=0))


async def ask(url: str) -> str:
    """The one text message that the suite answers with at *url*."""
    async with websocket.connect(url) as ws:
        answer = await ws.receive()
    assert isinstance(answer, str)
    return answer


async def run_case(url: str) -> None:
    """Echoes until the suite ends the connection, in whatever way it wants to."""
    async with websocket.connect(url, options=OPTIONS) as ws:
        try:
            while True:
                await ws.send(await ws.receive())
        except websocket.ConnectionClosed:
            return


async def main(url: str, agent: str) -> None:
    """All cases, then the report."""
    count = json.loads(await ask(f"{url}/getCaseCount"))
    for number in range(1, count + 1):
        await run_case(f"{url}/runCase?case={number}&agent={agent}")
        sys.stdout.write(f"case {number} of {count}\n")
        sys.stdout.flush()
    # Its path asks the suite for the report; once that is written, it closes the connection.
    await run_case(f"{url}/updateReports?agent={agent}")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
