"""Sessions in files, as the default session manager of webwire-go keeps them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import trio

from wirecore.errors import InvalidKey, InvalidMessage
from wirecore.protocols.webwire import Session
from wirecore.protocols.webwire.stored import dump, format_time, load, read_members

from ..._arguments import require_type
from ._errors import StoreDamaged, StoreUnavailable
from ._in_order import InOrder
from ._lifetime import Lifetime
from ._record import key_taken
from ._replacing import SUFFIX, held, remove_left_over, write_beside

Result = TypeVar("Result")

#: What names files by itself and means nothing else to any file system. Windows has devices in
#: every directory, and NUL.wwrsess is one of them.
_KEY: Final = re.compile(r"(?!(?:CON|PRN|AUX|NUL|COM\d|LPT\d)\Z)[A-Za-z0-9_=-]{1,247}", re.I)

#: Threads of one store: they wait for disks, not for the processor.
_THREADS: Final = 8


class FileStore:
    """Keeps each session in a file ``KEY.wwrsess`` in *directory*, which is made where it isn't.

    A server on webwire-go can have used the directory before, and can use it afterwards. Files
    have the mode 0640 and the directory 0750, less what the umask takes. A file is written beside
    the old one, forced to the disk, and then put in its place: whenever the process or the
    machine dies, there is the old file or the new one, whole. What was created or closed within
    the last seconds before a loss of power may be undone.

    Keys are A-Z a-z 0-9 ``_`` ``-`` ``=``, 247 of them at most: others have no session here, and
    ``create`` refuses them. Several processes may use one directory (not on Windows, where the
    file of a session that one closes while another looks it up may stay). Its file system must
    have hard links.

    *lifetime*: seconds from its last lookup (or its creation) after which a session isn't found
    any more; None: never. Its file goes when it is asked for, or by :meth:`sweep`.

    Raises TypeError for other types, InvalidOption for a *lifetime* of 0 or less, OSError where
    the directory can't be made. What files can't do later is StoreUnavailable.
    """

    def __init__(self, directory: str | os.PathLike[str], *, lifetime: float | None = None) -> None:
        require_type("directory", directory, (str, os.PathLike))
        self._lifetime = Lifetime(lifetime)
        self._directory = Path(directory)
        self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        remove_left_over(self._directory)
        self._in_order = InOrder()
        self._threads = trio.CapacityLimiter(_THREADS)

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self._directory

    async def create(self, session: Session) -> None:
        """Keep *session*. Raises KeyError where its key is taken, and keeps the one it has.

        Raises InvalidKey for a key that files can't have, TypeError or ValueError where the info
        holds what JSON can't.
        """
        path = self._path(session.key)
        if path is None:
            raise InvalidKey(
                "a session's key in files is A-Z a-z 0-9 _ - =, 247 at most: give "
                "generate_session_key another function, or the server another store"
            )
        data = dump(
            {
                "c": format_time(session.created),
                "l": format_time(session.last_lookup),
                "i": dict(session.info) or None,
            }
        )
        if not await self._work(session.key, lambda: _create(path, data)):
            raise key_taken()

    async def look_up(self, key: str, now: datetime) -> Session | None:
        """The session of *key* as it was kept, and *now* is its last lookup; None without one.

        Raises StoreDamaged where the file isn't one of a session.
        """
        path = self._path(key)
        if path is None:
            return None
        return await self._work(key, lambda: _look_up(path, key, now, self._lifetime))

    async def close(self, key: str) -> None:
        """Forget the session of *key*. Nothing happens where there is none."""
        path = self._path(key)
        if path is not None:
            await self._work(key, lambda: _remove(path))

    async def sweep(self) -> int:
        """Remove the files of sessions that have expired; how many. Files of others stay."""
        now = datetime.now(UTC)
        oldest = self._lifetime.oldest(now)
        if oldest is None:
            return 0
        # A file that was written since has been looked up since, so it needn't be read.
        latest = oldest.timestamp()
        names = await self._work("", lambda: _written_before(self._directory, latest))
        removed = 0
        for key in names:
            path = self._path(key)
            if path is not None:
                work = partial(_remove_expired, path, self._lifetime, now)
                removed += await self._work(key, work)
        return removed

    def _path(self, key: str) -> Path | None:
        return self._directory / (key + SUFFIX) if _KEY.fullmatch(key) else None

    async def _work(self, key: str, work: Callable[[], Result]) -> Result:
        """*work* in a thread, when what came before with *key* is done. It can't be cancelled."""
        async with self._in_order.of(key):
            try:
                return await trio.to_thread.run_sync(work, limiter=self._threads)
            except OSError as error:
                # Without the error itself: it names the file, and that is the key.
                why = f"files of sessions in {self._directory}: {error.strerror or 'failed'}"
                raise StoreUnavailable(why) from None


def _create(path: Path, data: bytes) -> bool:
    """Whether there is a file at *path* now that wasn't before."""
    with write_beside(path, data) as written:
        try:
            # Neither overwrites what is there, and either shows the whole file or none.
            if os.name == "nt":
                written.rename(path)
            else:
                path.hardlink_to(written)
        except FileExistsError:
            return False
    return True


def _look_up(path: Path, key: str, now: datetime, lifetime: Lifetime) -> Session | None:
    with held(path) as data:
        if data is None:
            return None
        members, session = _parse(data, key)
        if lifetime.has_ended(session.last_lookup, now):
            path.unlink()
            return None
        # All else stays as it was written: digits beyond a microsecond, and members of others.
        with write_beside(path, dump({**members, "l": format_time(now)})) as written:
            written.replace(path)
    return session


def _parse(data: bytes, key: str) -> tuple[dict[str, Any], Session]:
    try:
        members = load(data)
        return members, Session(key, *read_members(members))
    except InvalidMessage as error:
        raise StoreDamaged(f"a session's file isn't one: {error}") from None


def _remove(path: Path) -> None:
    with held(path) as data:
        if data is not None:
            path.unlink()


def _remove_expired(path: Path, lifetime: Lifetime, now: datetime) -> bool:
    """Whether the file at *path* is one of a session that has expired; then it is removed."""
    with held(path) as data:
        if data is None:
            return False
        try:
            _, session = _parse(data, path.stem)
        except StoreDamaged:
            return False
        if not lifetime.has_ended(session.last_lookup, now):
            return False
        path.unlink()
    return True


def _written_before(directory: Path, latest: float) -> list[str]:
    """The keys of the files last written before the time *latest*."""
    with os.scandir(directory) as entries:
        return [
            entry.name.removesuffix(SUFFIX)
            for entry in entries
            if entry.name.endswith(SUFFIX) and entry.stat().st_mtime < latest
        ]
