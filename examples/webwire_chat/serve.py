"""A chat: rooms with history, names with passwords, sessions that outlive a restart.

Serves a page for browsers and the chat's WebSocket on one port; client.py is a client for
terminals. Needs webwire's extra for typed payloads: pip install 'wirecore[msgspec]'.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import trio
from chat import Chat
from pages import Pages
from records import Records

from wirecore_trio import drain_on_signal, webwire

#: Seconds that a session lives without being used.
LIFETIME = 30 * 86400


async def main(host: str, port: int, data: Path, rooms: list[str]) -> None:
    """Serve until SIGTERM, which lets running requests finish, or Ctrl-C."""
    records = Records(data / "chat.sqlite")
    try:
        async with (
            webwire.SQLiteStore(data / "sessions.sqlite", lifetime=LIFETIME) as store,
            trio.open_nursery() as nursery,
        ):
            server = Chat(records, store, rooms).server
            server.before_upgrade(Pages())
            listening = await nursery.start(server.serve, host, port)
            await nursery.start(drain_on_signal, server)
            print(f"listening on http://{host}:{listening.port}/", flush=True)
    finally:
        records.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("port", nargs="?", type=int, default=8080, help="0: any (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the address (%(default)s)")
    parser.add_argument(
        "--data", type=Path, default=Path("chat-data"), help="folder to keep all in (%(default)s)"
    )
    parser.add_argument(
        "--room", action="append", help="a room; may be given often (lobby, garden, library)"
    )
    given = parser.parse_args()
    logging.basicConfig()
    given.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        trio.run(
            main, given.host, given.port, given.data, given.room or ["lobby", "garden", "library"]
        )
    except* KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
