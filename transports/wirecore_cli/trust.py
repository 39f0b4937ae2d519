"""TLS as options have it: whom an end trusts, and what it shows."""

from __future__ import annotations

import ssl
from pathlib import Path

import click

from .options import TrustOptions


def client_context(trust: TrustOptions, *, secure: bool) -> ssl.SSLContext | None:
    """TLS for wss:// URLs; None: what they have without options. *secure*: whether there is one.

    Raises UsageError, InvalidOption.
    """
    cafiles, certificate, private = trust["cafiles"], trust["certificate"], trust["private"]
    if not cafiles and certificate is None and private is None:
        return None
    if not secure:
        raise click.UsageError("--cafile, --cert and --key are for wss:// URLs")
    from wirecore_trio import pool

    return pool.provider_context(
        *map(str, cafiles),
        certificate=None if certificate is None else str(certificate),
        key=None if private is None else str(private),
    )


def server_context(
    certificate: Path | None,
    private: Path | None,
    client_cas: tuple[Path, ...] = (),
    *,
    prefix: str = "",
) -> ssl.SSLContext | None:
    """The TLS of a server with this certificate; None without one. *prefix*: of its options.

    One that was asked for client certificates never listens without them. Raises UsageError,
    InvalidOption.
    """
    if certificate is None:
        if client_cas:
            raise click.UsageError("--key and --client-ca are for a pool with a --cert")
        if private is not None:
            raise click.UsageError(f"--{prefix}key is the key of a --{prefix}cert")
        return None
    from wirecore_trio import pool

    return pool.server_context(
        str(certificate),
        None if private is None else str(private),
        client_cas=tuple(map(str, client_cas)),
    )
