"""The tokens that a pool takes, in a file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from wirecore.errors import InvalidOption
from wirecore_trio.pool import PoolServer, Tokens

from ..failures import Failure, Status
from ..secrets import read_named

logger = logging.getLogger("wirecore.pool")


def read_tokens(path: Path) -> dict[str, str]:
    """The secrets in *path*, each with the name of its provider; see :func:`read_named`."""
    found: dict[str, str] = {}
    for where, name, secret in read_named(path, option="--tokens", whom="a provider"):
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
