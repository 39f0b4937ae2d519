"""What of the library's logging a command shows, always on standard error."""

from __future__ import annotations

import logging

from .settings import debugging

LEVELS = ("debug", "info", "warning", "error")


def log_nothing() -> None:
    """For a command whose error says it all in one line. --debug shows all the same."""
    if debugging():
        logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
    else:
        logging.getLogger("wirecore").addHandler(logging.NullHandler())


def log_warnings() -> None:
    """For a command that runs on, and isn't ended by what goes wrong."""
    if not debugging():
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.setFormatter(logging.Formatter("wirecore: %(message)s"))
        logging.getLogger("wirecore").addHandler(handler)


def log_serving(level: str) -> None:
    """For a server: what is of *level*, one of LEVELS, or above. --debug shows everything."""
    level = "debug" if debugging() else level.lower()
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
