"""Sessions in a database of SQLite, which several processes of one machine may share."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, TypeVar

import trio

from wirecore.errors import InvalidOption
from wirecore.protocols.webwire import Session
from wirecore.session.limits import check_above

from ..._arguments import require_seconds, require_type
from ..._errors import AlreadyClosed
from ._errors import StoreDamaged, StoreUnavailable
from ._lifetime import Lifetime
from ._record import (
    info_from_json,
    info_to_json,
    key_taken,
    key_to_bytes,
    time_from_number,
    time_to_number,
)

Result = TypeVar("Result")

#: The schema's version, in the database's user_version.
_VERSION: Final = 1

_SCHEMA: Final = (
    """CREATE TABLE sessions (
        key BLOB PRIMARY KEY,
        created INTEGER NOT NULL,
        last_lookup INTEGER NOT NULL,
        info BLOB NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX sessions_last_lookup ON sessions (last_lookup)",
    f"PRAGMA user_version = {_VERSION}",
)


class SQLiteStore:
    """Keeps sessions in the database *path*, a file that is made where it isn't.

    It is in WAL mode: when the process is killed, what a call has done stays done; what was done
    within the last moments before a loss of power may be undone, and the database is whole.
    Several processes of one machine may use one file; a file on a network's file system may not
    be used so. Takes any key.

    *lifetime*: seconds from its last lookup (or its creation) after which a session is forgotten;
    None: never. *busy_timeout*: seconds that a call waits for other processes.

    It opens at the first call. :meth:`aclose` closes it, or ``async with`` around its use.

    Raises TypeError for other types, InvalidOption for a *lifetime* or *busy_timeout* of 0 or
    less, or a *path* that can't be a file: a folder, or one in a folder that isn't there. Later,
    what SQLite can't do is StoreUnavailable; StoreDamaged tells that the file is no database, or
    is one of a newer version of this package.
    """

    # One connection, used by one thread at a time, in the order of the calls: SQLite writes one
    # transaction at a time anyway, and to open a connection costs more than what a call does.

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        lifetime: float | None = None,
        busy_timeout: float = 5.0,
    ) -> None:
        require_type("path", path, (str, os.PathLike))
        require_seconds("busy_timeout", busy_timeout, optional=False)
        check_above("busy_timeout", busy_timeout, 0)
        self._path = os.fspath(path)
        folder = os.path.dirname(self._path) or "."
        if not self._path or os.path.isdir(self._path) or not os.path.isdir(folder):
            raise InvalidOption(
                f"no database can be at {self._path!r}: name a file in a folder that is there"
            )
        self._lifetime = Lifetime(lifetime)
        self._busy_timeout = busy_timeout
        self._thread = trio.CapacityLimiter(1)
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def __aenter__(self) -> SQLiteStore:
        """The store itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.aclose()

    async def create(self, session: Session) -> None:
        """Keep *session*. Raises KeyError where its key is taken, and keeps the one it has.

        Raises TypeError or ValueError where the info holds what JSON can't.
        """
        row = (
            key_to_bytes(session.key),
            time_to_number(session.created),
            time_to_number(session.last_lookup),
            info_to_json(session),
        )
        oldest = self._lifetime.oldest(session.last_lookup)

        def insert(connection: sqlite3.Connection) -> int:
            with _transaction(connection):
                if oldest is not None:
                    connection.execute(
                        "DELETE FROM sessions WHERE last_lookup < ?", (time_to_number(oldest),)
                    )
                return connection.execute(
                    "INSERT INTO sessions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", row
                ).rowcount

        if not await self._work(insert):
            raise key_taken()

    async def look_up(self, key: str, now: datetime) -> Session | None:
        """The session of *key* as it was kept, and *now* is its last lookup; None without one."""
        name = key_to_bytes(key)

        def find(connection: sqlite3.Connection) -> tuple[int, int, bytes] | None:
            with _transaction(connection):
                row: tuple[int, int, bytes] | None = connection.execute(
                    "SELECT created, last_lookup, info FROM sessions WHERE key = ?", (name,)
                ).fetchone()
                if row is None:
                    return None
                if self._lifetime.has_ended(time_from_number(row[1]), now):
                    connection.execute("DELETE FROM sessions WHERE key = ?", (name,))
                    return None
                update = "UPDATE sessions SET last_lookup = ? WHERE key = ?"
                connection.execute(update, (time_to_number(now), name))
            return row

        row = await self._work(find)
        if row is None:
            return None
        created, last_lookup, info = row
        return Session(
            key, time_from_number(created), time_from_number(last_lookup), info_from_json(info)
        )

    async def close(self, key: str) -> None:
        """Forget the session of *key*. Nothing happens where there is none."""
        name = key_to_bytes(key)
        await self._work(lambda it: it.execute("DELETE FROM sessions WHERE key = ?", (name,)))

    async def aclose(self) -> None:
        """Close the database when the calls under way are done. Idempotent."""
        self._closed = True
        with trio.CancelScope(shield=True):  # at most the busy timeout of each of them
            await trio.to_thread.run_sync(self._close, limiter=self._thread)
        await trio.lowlevel.checkpoint_if_cancelled()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _work(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """*work* in the thread, after the calls before. Once begun it can't be cancelled."""
        return await trio.to_thread.run_sync(self._run, work, limiter=self._thread)

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        if self._closed:
            raise AlreadyClosed("the store is closed")
        try:
            if self._connection is None:
                self._connection = _open(self._path, self._busy_timeout)
            return work(self._connection)
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the database {self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StoreDamaged(f"the database {self._path}: {error}") from error


def _open(path: str, busy_timeout: float) -> sqlite3.Connection:
    # Any thread of trio's may come, but one at a time. Transactions are begun by hand.
    connection = sqlite3.connect(
        path, timeout=busy_timeout, isolation_level=None, check_same_thread=False
    )
    try:
        _use_wal(connection, time.monotonic() + busy_timeout)
        connection.execute("PRAGMA synchronous = NORMAL")
        with _transaction(connection):
            [version] = connection.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise StoreDamaged(
                    f"the database {path} has version {version} of the schema, and this wirecore "
                    f"reads {_VERSION}: use the one that has written it, or a newer one"
                )
            if version < _VERSION:
                for statement in _SCHEMA:
                    connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection, deadline: float) -> None:
    """Turn WAL on. Where two do that at once, SQLite tells one of them at once to try again."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One that writes from its beginning: whoever else writes is waited for here alone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
