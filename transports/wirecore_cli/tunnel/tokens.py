"""The tokens of publishers, in a file, and what becomes of publishers when it is read again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from wirecore_trio.rest.gateway import Gateway, Tokens
from wirecore_trio.rest.gateway._routes import check_name

from ..reloading import reload
from ..secrets import read_named

logger = logging.getLogger("wirecore.rest.gateway")


def read_tokens(path: Path) -> dict[str, set[str]]:
    """The secrets in *path*, each with the names that it may publish; see :func:`read_named`.

    A secret that stands there several times is for several names, "*" for all. Raises InvalidOption
    for a name that no path leads to.
    """
    found: dict[str, set[str]] = {}
    for where, name, secret in read_named(path, option="--tokens", whom="a publisher"):
        check_name(where, name)
        found.setdefault(secret, set()).add(name)
    return found


@dataclass
class TokenFile:
    """The tokens of ``--tokens``, which are read again while the gateway runs."""

    path: Path
    tokens: Tokens

    def read_again(self, gateway: Gateway) -> None:
        """Let publish who stands there now; whoever no longer does is disconnected.

        Where the file can't be read nothing changes, and the log says so.
        """

        def update() -> str:
            found = read_tokens(self.path)
            self.tokens.replace(found)
            gone = gateway.publishers.dismiss()
            return (
                f"{self.path}: {len(found)} token{'s'[: len(found) != 1]}, "
                f"{gone} publisher{'s'[: gone != 1]} disconnected"
            )

        reload(update, logger)
