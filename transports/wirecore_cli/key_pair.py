"""Writing a new pair of keys: forms, and files that nobody else can read at any moment."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from wirecore_trio.tls import generate_private_key, public_key_of

from .failures import Failure, Status
from .files import SECRET, create_file, new_name

_PUBLIC: Final = 0o644


def write_pair(out: Path, form: str, *, force: bool) -> bytes:
    """Make a key; write it to *out*, and its public key, which is returned, to *out*.pub.

    *form* is what :func:`encode_private` takes. Raises Failure where a file is there already,
    unless *force* replaces it; OSError.
    """
    public_out = Path(f"{out}.pub")
    for path in (out, public_out):
        _check_place(path, force=force)
    private = generate_private_key()
    public = public_key_of(private)
    # Both are there before either gets its name: half a pair is of no use.
    made: list[tuple[Path, Path]] = []
    try:
        for path, data, mode in (
            (out, encode_private(private, form), SECRET),
            (public_out, encode_public(public, form), _PUBLIC),
        ):
            new = new_name(path)
            create_file(path, new, data, mode)
            made.append((new, path))
        if force:
            for new, path in made:
                os.replace(new, path)
        else:
            _name_both(made)
    finally:
        for new, _ in made:
            new.unlink(missing_ok=True)
    return public


def _check_place(path: Path, *, force: bool) -> None:
    """Raise Failure unless *path* is free, or may be replaced by *force*."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
        raise Failure(f"{path} is no file: --out names another place", Status.USAGE)
    if not force:
        raise _exists(path)


def encode_private(key: Ed25519PrivateKey, form: str) -> bytes:
    """What a file holds of *key*: *form* is "pem", "raw" (the seed), "hex" or "go"."""
    seed = key.private_bytes_raw()
    match form:
        case "pem":
            return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        case "hex":
            return f"{seed.hex()}\n".encode()
        case "go":
            return seed + public_key_of(key)
        case _:
            return seed


def encode_public(public: bytes, form: str) -> bytes:
    """What a file holds of the key *public*, 32 bytes, beside a private one in *form*."""
    match form:
        case "pem":
            key = Ed25519PublicKey.from_public_bytes(public)
            return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        case "hex":
            return f"{public.hex()}\n".encode()
        case _:
            return public


def _name_both(made: list[tuple[Path, Path]]) -> None:
    """Give both files their names, or neither. Raises as `_name`."""
    named: list[Path] = []
    try:
        for new, path in made:
            _name(new, path)
            named.append(path)
    except BaseException:
        for path in named:
            path.unlink(missing_ok=True)
        raise


def _name(new: Path, path: Path) -> None:
    """Give *new* the name *path*. Raises Failure where somebody else has taken it meanwhile."""
    try:
        if hasattr(os, "link"):
            os.link(new, path)
        else:
            os.rename(new, path)
    except FileExistsError:
        raise _exists(path) from None
    except PermissionError:
        # A file system without links: then by renaming, which can't tell.
        os.rename(new, path)


def _exists(path: Path) -> Failure:
    return Failure(f"{path} exists already: --force replaces it, --out names another", Status.USAGE)
