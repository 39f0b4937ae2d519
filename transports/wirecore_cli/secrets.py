"""Files of secrets: the tokens that a server takes, and the one that a client shows."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .failures import Failure, Status

#: More than this is no file of secrets.
_MOST: Final = 1024 * 1024


def read_secret(path: Path, *, option: str) -> str:
    """The text in *path*, without the blanks around it.

    No error holds any part of it. Raises Failure: for a file that others may read, too.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MOST + 1)
    except OSError as error:
        raise Failure(f"{option}: {path} can't be read: {error.strerror}", Status.USAGE) from None
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
        raise Failure(
            f"{option}: others can read or write {path}, which holds secrets: chmod 600 {path}",
            Status.USAGE,
        )
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        raise Failure(f"{option}: {path} isn't text in UTF-8", Status.USAGE) from None
    if not text or len(data) > _MOST:
        what = "is empty" if not text else f"is longer than {_MOST} bytes"
        raise Failure(f"{option}: {path} {what}", Status.USAGE)
    return text


def read_token(path: Path | None) -> str | None:
    """The secret of ``--token-file``. Raises Failure."""
    if path is None:
        return None
    token = read_secret(path, option="--token-file")
    if len(token.split()) != 1 or not token.isascii():
        raise Failure(
            f"--token-file: {path} holds more than a secret, which is one word in ASCII",
            Status.USAGE,
        )
    return token


def read_named(path: Path, *, option: str, whom: str) -> Iterator[tuple[str, str, str]]:
    """The secrets in *path*, a line ``NAME SECRET`` for each: where it stands, name, and secret.

    Blank lines and those that begin with # are for people. *whom* a name is of: as "a provider".
    Raises Failure, which names the line and shows nothing of it.
    """
    for number, line in enumerate(read_secret(path, option=option).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{option}: {path}, line {number}"
        if len(words) != 2 or not line.isascii():
            raise Failure(f"{where}: {whom} is NAME SECRET, two words in ASCII", Status.USAGE)
        yield where, words[0], words[1]
