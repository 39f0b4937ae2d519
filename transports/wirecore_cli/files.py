"""Writing files that hold secrets: nobody else can read them at any moment."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

SECRET: Final = 0o600


def new_name(path: Path) -> Path:
    """A name beside *path*, for the file that will get its name."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def create_file(path: Path, new: Path, data: bytes, mode: int) -> None:
    """Write *data* to the new file *new*, which *path* is to be. Raises OSError that names this."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        # The mode belongs to the creation: a chmod would come a moment too late.
        descriptor = os.open(new, flags, mode)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def replace_secret(path: Path, data: bytes) -> None:
    """Have *path* hold *data*, whole or not at all. Raises OSError."""
    new = new_name(path)
    create_file(path, new, data, SECRET)
    try:
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
