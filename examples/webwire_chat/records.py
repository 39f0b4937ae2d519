"""What the chat keeps for good, in a database of SQLite: who there is, and what was said."""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import trio
from words import PAGE, History, Said

Result = TypeVar("Result")

#: scrypt's cost: 16 MiB and some 50 ms for each password.
_COST: Final = {"n": 2**14, "r": 8, "p": 1}
_SALT_BYTES: Final = 16

#: Passwords that are hashed at once, of all clients: it bounds memory and time.
_HASHES_AT_ONCE: Final = 2

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY COLLATE NOCASE, salt BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS said (
    id INTEGER PRIMARY KEY, room TEXT NOT NULL, time REAL NOT NULL, name TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS said_room ON said (room, id);
"""


class Records:
    """The users and the history, in the file *path*. Any task may call it; nothing blocks trio."""

    def __init__(self, path: Path) -> None:
        self._hashes = trio.CapacityLimiter(_HASHES_AT_ONCE)
        self._one = trio.CapacityLimiter(1)  # thread that uses the database
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    async def _do(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        def in_transaction() -> Result:
            with self._database:
                return work(self._database)

        return await trio.to_thread.run_sync(in_transaction, limiter=self._one)

    async def _hash(self, password: str, salt: bytes) -> bytes:
        def scrypt() -> bytes:
            secret = password.encode("utf-8", "surrogatepass")
            return hashlib.scrypt(secret, salt=salt, maxmem=2**26, **_COST)

        return await trio.to_thread.run_sync(scrypt, limiter=self._hashes)

    async def add_user(self, name: str, password: str) -> bool:
        """Keep a new user; False where the name is taken, in whatever case."""
        salt = os.urandom(_SALT_BYTES)
        row = (name, salt, await self._hash(password, salt))
        insert = "INSERT INTO users VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        return await self._do(lambda database: database.execute(insert, row).rowcount == 1)

    async def check_user(self, name: str, password: str) -> str | None:
        """The user's name as it was registered, where the password is right; else None."""
        select = "SELECT name, salt, hash FROM users WHERE name = ?"
        row = await self._do(lambda database: database.execute(select, (name,)).fetchone())
        # Whoever isn't there costs the same time: how long it takes says nothing of who is.
        known, salt, right = row or (None, bytes(_SALT_BYTES), b"")
        return known if hmac.compare_digest(await self._hash(password, salt), right) else None

    async def add(self, room: str, name: str, text: str) -> Said:
        """Keep what *name* said."""
        now = round(time.time(), 3)
        insert = "INSERT INTO said (room, time, name, text) VALUES (?, ?, ?, ?)"
        row = (room, now, name, text)
        number = await self._do(lambda database: database.execute(insert, row).lastrowid)
        assert number is not None
        return Said(room, number, now, name, text)

    async def history(self, room: str, before: int | None = None) -> History:
        """The last messages of *room*, the oldest first; *before* the one of this id."""
        select = "SELECT id, time, name, text FROM said WHERE room = ? AND id < ?"
        values = (room, 2**63 - 1 if before is None else before, PAGE + 1)
        rows = await self._do(
            lambda database: database.execute(
                f"{select} ORDER BY id DESC LIMIT ?", values
            ).fetchall()
        )
        said = [Said(room, *row) for row in rows[:PAGE]]
        return History(said[::-1], more=len(rows) > PAGE)
