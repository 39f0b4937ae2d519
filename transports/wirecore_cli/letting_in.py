"""Whom a server of wsrpc lets in: told when it listens, and read again when it is asked to."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import click

from wirecore_trio.wsrpc import ServerCredentials

from .key_files import ClientList
from .reloading import reload

logger = logging.getLogger("wirecore.cli")


def tell_clients(address: str, credentials: ServerCredentials, methods: Sequence[str]) -> None:
    """Say what a client needs to know, on standard output: a line each, in this order."""
    click.echo(f"listening on {address}")
    click.echo(f"public key {credentials.public_key.hex()}")
    click.echo(f"serving {', '.join(methods)}")
    click.echo(f"letting in {_counted(credentials)}")


def read_again(credentials: ServerCredentials, clients: ClientList) -> None:
    """Let in whom *clients* lists now; where that can't be read all stays as it was."""

    def update() -> str:
        credentials.replace(clients.read())
        return f"letting in {_counted(credentials)}"

    reload(update, logger)


def _counted(credentials: ServerCredentials) -> str:
    count = len(credentials.client_public_keys)
    return f"{count} {'client' if count == 1 else 'clients'}"
