"""Our server of webwire as a process of its own, so that a test can kill it.

    python webwire_process.py PORT FILE

It does what :func:`webwire_meeting.make_server`'s does, keeps its sessions in FILE, a database of
SQLite's, reports "listening" as the Go peer does, and ends when its standard input is closed.
"""

from __future__ import annotations

import json
import sys

import trio

from tests.interop.webwire_meeting import make_server, our_server
from wirecore_trio import webwire


async def main() -> None:
    """Serve until standard input ends."""
    port, file = sys.argv[1:]
    server = make_server(webwire.SQLiteStore(file))
    async with our_server(server, int(port)) as (_, bound):
        event = {"event": "listening", "address": f"127.0.0.1:{bound}"}
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    trio.run(main)
