"""The server that a user names, its certificate, and what is told of it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

import click

from wirecore_trio.webwire import Server
from wirecore_trio.webwire._routes import Routes

from ..failures import Failure, Status
from ..references import Kind


def _is_server(found: Any) -> bool:
    return isinstance(found, Server)


_SERVER: Final = Kind(
    name="server",
    example="chat:server",
    command="webwire serve",
    fits=_is_server,
    lacking="what is served is a wirecore_trio.webwire.Server",
)


def load_server(reference: str, folder: Path) -> Server:
    """The server that *reference* names or makes; see :class:`Kind`. Raises Failure."""
    server: Server = _SERVER.find(reference, folder)
    return server


def load_certificate(certificate: Path | None, private: Path | None) -> ssl.SSLContext | None:
    """The TLS of a server with this certificate; None without one. Raises UsageError, Failure."""
    if certificate is None:
        if private is not None:
            raise click.UsageError("--certificate-key is the key of a --certificate")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for path in filter(None, (certificate, private)):
        if not path.is_file():
            raise Failure(f"there is no file {path}", Status.USAGE)
    try:
        # Without a password: asking for one would wait for a terminal that a service hasn't.
        context.load_cert_chain(certificate, private, password=b"")
    except (OSError, ValueError) as error:
        what = f"{certificate} and {private}" if private else str(certificate)
        raise Failure(
            f"--certificate: {what}: no certificate and its unencrypted key, in PEM ({error})",
            Status.USAGE,
        ) from None
    return context


def tell_routes(server: Server, scheme: str, address: str) -> None:
    """Say what a client needs to know, on standard output: a line each, in this order."""
    click.echo(f"listening on {scheme}://{address}/")
    click.echo(f"requests {_names(server._requests)}")
    click.echo(f"signals {_names(server._signals)}")


def _names(routes: Routes) -> str:
    names = [name or "''" for name in routes.by_name]
    if routes.rest is not None:
        names.append("any other" if names else "any")
    return ", ".join(names) or "none"
