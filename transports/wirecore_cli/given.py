"""What stands for bytes on a command line: text, a file, standard input, or hex digits."""

from __future__ import annotations

import sys
from pathlib import Path

from .failures import Failure, Status


def read_given(given: str | None, *, what: str) -> bytes | None:
    """The bytes that *given* stands for: ``TEXT``, ``@FILE``, or ``-`` for standard input.

    *what* names it in errors. Raises Failure for a file that can't be read.
    """
    if given is None:
        return None
    if given == "-":
        return sys.stdin.buffer.read()
    if not given.startswith("@"):
        return given.encode("utf-8", "surrogateescape")  # as the shell gave them
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise Failure(
            f"{what}: {given[1:]} can't be read: {error.strerror}", Status.USAGE
        ) from None


def read_hex(digits: str, *, what: str) -> bytes:
    """The bytes of *digits*. *what* names it in errors. Raises Failure."""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise Failure(
            f"{what} takes hex digits, two for each byte, as 0a026869", Status.USAGE
        ) from None
