"""What stands for bytes on a command line: text, a file, standard input, or hex digits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, Final

from .failures import Failure, Status

#: The longest message or argument that a command reads, in bytes: more than any server's default
#: takes.
MAX_GIVEN: Final = 64 << 20


def read_given(given: str | None, *, what: str) -> bytes | None:
    """The bytes that *given* stands for: ``TEXT``, ``@FILE``, or ``-`` for standard input.

    *what* names it in errors. Raises Failure for a file that can't be read.
    """
    if given is None:
        return None
    if given == "-":
        return _bounded(sys.stdin.buffer, "standard input", what)
    if not given.startswith("@"):
        return given.encode("utf-8", "surrogateescape")  # as the shell gave them
    try:
        with Path(given[1:]).open("rb") as file:
            return _bounded(file, given[1:], what)
    except OSError as error:
        raise Failure(
            f"{what}: {given[1:]} can't be read: {error.strerror}", Status.USAGE
        ) from None


def _bounded(source: BinaryIO, name: str, what: str) -> bytes:
    """All of *source*, which may be one without an end."""
    data = source.read(MAX_GIVEN + 1)
    if len(data) > MAX_GIVEN:
        raise Failure(
            f"{what}: {name} holds more than the {MAX_GIVEN >> 20} MiB that a command takes",
            Status.USAGE,
        )
    return data


def read_hex(digits: str, *, what: str) -> bytes:
    """The bytes of *digits*. *what* names it in errors. Raises Failure."""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise Failure(
            f"{what} takes hex digits, two for each byte, as 0a026869", Status.USAGE
        ) from None
