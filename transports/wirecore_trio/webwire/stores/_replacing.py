"""Files that are there whole or not at all, and one process at a time at each of them."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

#: What files of sessions end with.
SUFFIX: Final = ".wwrsess"

#: What files begin with that no session has yet; no key begins so.
_NEW: Final = ".new-"

#: Seconds after which such a file belongs to a process that has died.
_LEFT_OVER: Final = 3600.0

_BINARY: Final = getattr(os, "O_BINARY", 0)


@contextmanager
def write_beside(path: Path, data: bytes) -> Iterator[Path]:
    """A new file in the directory of *path*, with *data* on the disk; it is gone at the end."""
    new = path.parent / (_NEW + secrets.token_hex(16))
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o640)
    try:
        with os.fdopen(file, "wb") as writer:
            writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
        yield new
    finally:
        with suppress(FileNotFoundError):  # it was moved
            new.unlink()


@contextmanager
def held(path: Path) -> Iterator[bytes | None]:
    """What the file at *path* has, held against other processes; None where there is none.

    Who waited for it may find that it was replaced or removed meanwhile: then it looks again.
    """
    while True:
        try:
            file = os.open(path, os.O_RDONLY | _BINARY)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):
                raise
            yield None
            return
        with os.fdopen(file, "rb") as reader:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_at(file, path):
                    yield reader.read()
                    return
                continue
            data = reader.read()
        # Here an open file can be neither replaced nor removed, and nobody is kept away.
        yield data
        return


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def remove_left_over(directory: Path) -> None:
    """Remove what processes left that died while they wrote."""
    latest = time.time() - _LEFT_OVER
    for new in directory.glob(_NEW + "*"):
        with suppress(OSError):  # somebody else removes it
            if new.stat().st_mtime < latest:
                new.unlink()
