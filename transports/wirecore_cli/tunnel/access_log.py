"""The access log of a gateway: a line for each request."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys

from ..failures import Failure, Status, text_of

_logger = logging.getLogger("wirecore.rest.access")


def log_access(target: str | None) -> None:
    """Write it to the file *target*, which may be renamed meanwhile; "-": standard output.

    None: there is none. Raises Failure where the file can't be written.
    """
    _logger.propagate = False
    if target is None:
        _logger.disabled = True
        return
    handler: logging.Handler
    if target == "-":
        handler = logging.StreamHandler(sys.stdout)
    else:
        # Whoever rotates logs renames a file that is open, which Windows doesn't let him.
        kind = logging.FileHandler if os.name == "nt" else logging.handlers.WatchedFileHandler
        try:
            handler = kind(target, encoding="utf-8")
        except OSError as error:
            raise Failure(
                f"--access-log: {target} can't be written: {text_of(error)}", Status.USAGE
            ) from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
