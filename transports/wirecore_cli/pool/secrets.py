"""Files of secrets: the tokens that a pool takes, and the one that a provider shows."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wirecore.errors import InvalidOption
from wirecore_trio.pool import PoolServer, Tokens

from ..failures import Failure, Status

logger = logging.getLogger("wirecore.pool")

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


def read_tokens(path: Path) -> dict[str, str]:
    """The secrets in *path*, each with the name of its provider: a line ``NAME SECRET`` each.

    Raises Failure, which names the line and shows nothing of it.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(read_secret(path, option="--tokens").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"--tokens: {path}, line {number}"
        if len(words) != 2 or not line.isascii():
            raise Failure(f"{where}: a provider is NAME SECRET, two words in ASCII", Status.USAGE)
        name, secret = words
        if secret in found:
            raise Failure(f"{where}: this secret stands there twice", Status.USAGE)
        found[secret] = name
    return found


@dataclass
class TokenFile:
    """The tokens of ``--tokens``, which are read again while the pool runs."""

    path: Path
    tokens: Tokens

    def read_again(self, server: PoolServer) -> None:
        """Let in who stands there now; whoever has lost a token is disconnected.

        Where the file can't be read nothing changes, and the log says so.
        """
        try:
            found = read_tokens(self.path)
            gone = self.tokens.replace(found)
        except (Failure, InvalidOption) as failure:
            logger.error("SIGHUP: nothing has changed: %s", failure)
            return
        for name in gone:
            server.disconnect(name)
        names = set(found.values())
        logger.info(
            "SIGHUP: %s: %d provider%s may connect", self.path, len(names), "s"[: len(names) != 1]
        )
