"""Writing a new pair of keys: forms, and files that nobody else can read at any moment."""

from __future__ import annotations

import os
import secrets
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

_SECRET: Final = 0o600
_PUBLIC: Final = 0o644


def write_pair(out: Path, form: str, *, force: bool) -> bytes:
    """Make a key; write it to *out*, and its public key, which is returned, to *out*.pub.

    *form* is what :func:`encode_private` takes. Raises Failure where a file is there already,
    unless *force* replaces it; OSError.
    """
    public_out = Path(f"{out}.pub")
    if not force:
        for path in (out, public_out):
            if os.path.lexists(path):
                raise _exists(path)
    private = generate_private_key()
    public = public_key_of(private)
    write = _replace if force else _create
    write(out, encode_private(private, form), _SECRET)
    try:
        write(public_out, encode_public(public, form), _PUBLIC)
    except BaseException:
        if not force:
            out.unlink(missing_ok=True)
        raise
    return public


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


def _create(path: Path, data: bytes, mode: int) -> None:
    """Write *data* to the new file *path*. Raises Failure where there is one, or a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        # The mode belongs to the creation: a chmod would come a moment too late.
        descriptor = os.open(path, flags, mode)
    except FileExistsError:
        raise _exists(path) from None
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Put a new file with *data* in the place of *path*, whatever mode that had."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    _create(new, data, mode)
    try:
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _exists(path: Path) -> Failure:
    return Failure(f"{path} exists already: --force replaces it, --out names another", Status.USAGE)
