"""Which of wirecore's extras are installed."""

from __future__ import annotations

import re
from importlib import metadata
from typing import Final

from .failures import Failure, Status

#: Extras for those who work on wirecore itself.
_OF_DEVELOPERS: Final = frozenset({"bench", "docs", "release", "test"})


def missing_of_extras() -> dict[str, list[str]]:
    """For each of wirecore's extras the distributions that it needs and that aren't installed."""
    try:
        about = metadata.distribution("wirecore")
    except metadata.PackageNotFoundError:  # a bare source tree
        return {}
    extras: dict[str, list[str]] = {}
    for requirement in about.requires or ():
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"""extra\s*==\s*["']([\w.-]+)["']""", requirement)
        if name is None or extra is None or extra[1] in _OF_DEVELOPERS:
            continue
        missing = extras.setdefault(extra[1], [])
        if not is_installed(name[0]):
            missing.append(name[0])
    return extras


def require_extra(extra: str, distribution: str, *, what: str) -> None:
    """Raise Failure unless *distribution*, which *what* needs and *extra* brings, is installed."""
    if not is_installed(distribution):
        raise Failure(f"{what} needs {distribution}: pip install 'wirecore[{extra}]'", Status.USAGE)


def is_installed(distribution: str) -> bool:
    """Whether *distribution* is there."""
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
