"""Keys as files and as hex digits, read for the commands. No error holds any part of a key."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wirecore_trio.tls import load_private_key, load_public_key
from wirecore_trio.tls.key_forms import PEM_START, form_of

from .failures import Failure, Status

#: A file of 32 or 64 bytes, or of PEM, is far shorter: what is longer is no key.
_MOST: Final = 64 * 1024

#: A seed or a public key; seed and public key as Go keeps them.
_HEX: Final = re.compile(rb"\s*(?:0x)?([0-9A-Fa-f]{64}|[0-9A-Fa-f]{128})\s*")

#: Hex digits that may be a key, whole or cut, and so aren't shown.
_SECRET: Final = re.compile(r"[0-9A-Fa-fx:\s]{32,}")


def default_private_key() -> Path:
    """Where a private key lies that has no name: with the user's settings."""
    return Path(click.get_app_dir("wirecore"), "key")


def read_private_key(path: Path | None) -> Ed25519PrivateKey:
    """The private key in the file *path*, or in the default one.

    Its forms are those of ``load_private_key``, and hex digits. Raises Failure, InvalidKey.
    """
    file = path or default_private_key()
    if file.suffix == ".pub":
        raise Failure(
            f"{file} is a public key, by its name: give the private one, {file.with_suffix('')}",
            Status.USAGE,
        )
    if path is None and not file.exists():
        raise Failure(
            f"there is no key at {file}: make one with 'wirecore keygen', or name one with --key",
            Status.USAGE,
        )
    return load_private_key(_from_hex(_read(file)), name=str(file))


def read_public_key(given: str, *, option: str) -> bytes:
    """The public key that *given* is, in 64 hex digits, or that the file of this name holds.

    *option* is where it was given. Raises Failure, InvalidKey.
    """
    digits = _HEX.fullmatch(given.encode(errors="replace"))
    if digits is not None:
        return load_public_key(bytes.fromhex(digits[1].decode()), name=option)
    path = Path(given)
    if not os.path.isfile(given):  # Path.is_file raises for a name that is too long, and shows it
        secret = _SECRET.fullmatch(given) or form_of(given) or PEM_START.decode() in given
        shown = "this" if secret else repr(given)
        raise Failure(
            f"{option}: {shown} is neither a file nor 64 hex digits, as 'wirecore keygen' prints",
            Status.USAGE,
        )
    return load_public_key(_from_hex(_read(path)), name=given)


@dataclass(frozen=True)
class ClientList:
    """Whom a server lets in: the clients named on the command line, and those of a file."""

    named: Sequence[bytes]
    file: Path | None

    def read(self) -> list[bytes]:
        """All their public keys, as the file is now. Raises Failure, InvalidKey."""
        return [*self.named, *(() if self.file is None else read_clients(self.file))]


def read_clients(path: Path) -> list[bytes]:
    """The public keys in the file *path*: a hex one on each line; comments begin with a #.

    Raises Failure, InvalidKey, which name the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} can't be read: {_why(error)}", Status.USAGE) from None
    keys = []
    for number, line in enumerate(lines, 1):
        digits = line.partition("#")[0].strip()
        if not digits:
            continue
        where = f"{path}, line {number}"
        if not re.fullmatch("[0-9A-Fa-f]{64}", digits):
            raise Failure(
                f"{where}: a client is its public key, 64 hex digits, and then a comment",
                Status.USAGE,
            )
        keys.append(load_public_key(bytes.fromhex(digits), name=where))
    return keys


def _from_hex(data: bytes) -> bytes:
    """The key that *data* has in hex digits; *data* itself where these are none."""
    digits = _HEX.fullmatch(data)
    return data if digits is None else bytes.fromhex(digits[1].decode())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise Failure(f"{path} can't be read: {_why(error)}", Status.USAGE) from None
    if len(data) > _MOST:
        raise Failure(f"{path} holds no key: it is longer than {_MOST} bytes", Status.USAGE)
    return data


def _why(error: OSError | UnicodeDecodeError) -> str:
    # What a decoder says holds a byte of the text.
    return "it isn't UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
