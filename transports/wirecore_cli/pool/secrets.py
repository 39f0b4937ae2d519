"""The tokens that a pool takes, in a file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from wirecore_trio.pool import PoolServer, Tokens

from ..failures import Failure, Status
from ..reloading import reload
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

        def update() -> str:
            found = read_tokens(self.path)
            for name in self.tokens.replace(found):
                server.disconnect(name)
            count = len(set(found.values()))
            return f"{self.path}: {count} provider{'s'[: count != 1]} may connect"

        reload(update, logger)
