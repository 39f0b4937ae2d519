"""What a server was given in a file, read again while it runs: SIGHUP asks for that."""

from __future__ import annotations

import logging
from collections.abc import Callable

from wirecore.errors import LocalError

from .failures import Failure


def reload(update: Callable[[], str], logger: logging.Logger) -> None:
    """Have *update* read the file, act on it, and say what came of that, which the log is told.

    It raises Failure or LocalError where the file is none, before it has changed anything; the log
    says so, and all stays as it was.
    """
    try:
        outcome = update()
    except (Failure, LocalError) as error:
        logger.error("SIGHUP: nothing has changed: %s", error)
    else:
        logger.info("SIGHUP: %s", outcome)
