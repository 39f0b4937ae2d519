"""A process that changes one store without a pause, to be killed, or to be one of several.

    python victim.py files|sqlite PATH NAME [ROUNDS]

Each round creates NAME-N, looks it up twice and closes it, looks up and replaces the session
"shared", and prints the number of each step that is done. Without ROUNDS it never ends.
"""

from __future__ import annotations

import itertools
import sys
from datetime import UTC, datetime

import trio

from wirecore.protocols.webwire import Session
from wirecore_trio.webwire.stores import FileStore, SessionStore, SQLiteStore

#: Large, so that a write takes time.
INFO = {"text": "x" * 20_000}


async def go_round(store: SessionStore, key: str) -> None:
    """One session's life, and a part in that of the one which all use."""
    now = datetime.now(UTC)
    await store.create(Session(key, now, now, INFO))
    _tell("created", key)
    for _ in range(2):
        found = await store.look_up(key, datetime.now(UTC))
        if found is None or found.info != INFO:
            raise AssertionError("a session is lost")
    _tell("looked up", key)
    await store.look_up("shared", datetime.now(UTC))
    try:
        await store.create(Session("shared", now, now, INFO))
    except KeyError:
        await store.close("shared")
    await store.close(key)
    _tell("closed", key)


def _tell(step: str, key: str) -> None:
    sys.stdout.write(f"{step} {key}\n")
    sys.stdout.flush()


async def main() -> None:
    """Go round and round, as the command line says."""
    kind, path, name, *rest = sys.argv[1:]
    rounds = itertools.count() if not rest else range(int(rest[0]))
    store = FileStore(path) if kind == "files" else SQLiteStore(path)
    for number in rounds:
        await go_round(store, f"{name}-{number}")
    if isinstance(store, SQLiteStore):
        await store.aclose()


if __name__ == "__main__":
    trio.run(main)
