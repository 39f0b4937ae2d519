"""Running a server as a process: it says where it is, obeys signals, and ends in good order."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence

import click
import trio

from wirecore.errors import LocalError
from wirecore_trio import drain_on_signal
from wirecore_trio._errors import alone
from wirecore_trio.wsrpc import Listening, Server, ServerCredentials
from wirecore_trio.wsrpc._address import show_address

from .failures import Failure
from .key_files import ClientList

logger = logging.getLogger("wirecore.cli")


async def serve_until_stopped(
    server: Server,
    host: str,
    port: int,
    credentials: ServerCredentials,
    clients: ClientList,
    methods: Sequence[str],
    grace: float,
    health: tuple[str, int] | None,
) -> int:
    """Serve until a signal stops it; the exit status. Raises OSError where it can't listen."""
    status = 0

    async def obey(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal status
        number = await drain_on_signal(
            server, signal.SIGINT, signal.SIGTERM, grace=grace, task_status=task_status
        )
        if number is not None:
            status = 128 + number  # as a shell says which signal it was
        nursery.cancel_scope.cancel()

    with alone():
        async with trio.open_nursery() as nursery:
            # Signals before it tells: who has read where it listens may send one.
            if clients.file is not None and hasattr(signal, "SIGHUP"):
                await nursery.start(_follow_clients, credentials, clients)
            listening: Listening = await nursery.start(server.serve, host, port)
            probed = None
            if health is not None:
                probed = await nursery.start(server.serve_health, *health)
            await nursery.start(obey)
            _tell(show_address(host, listening.port), credentials, methods)
            if health is not None and probed is not None:
                click.echo(f"health on {show_address(health[0], probed.port)}")
    return status


def _tell(address: str, credentials: ServerCredentials, methods: Sequence[str]) -> None:
    """Say what a client needs to know, on standard output: a line each, in this order."""
    count = len(credentials.client_public_keys)
    click.echo(f"listening on {address}")
    click.echo(f"public key {credentials.public_key.hex()}")
    click.echo(f"serving {', '.join(methods)}")
    click.echo(f"letting in {count} {'client' if count == 1 else 'clients'}")


async def _follow_clients(
    credentials: ServerCredentials,
    clients: ClientList,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Let in whom the file of clients lists, anew with each SIGHUP."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            try:
                credentials.replace(clients.read())
            except (Failure, LocalError) as error:
                logger.error("SIGHUP: the clients that are let in stay as they were: %s", error)
            else:
                count = len(credentials.client_public_keys)
                logger.info(
                    "SIGHUP: letting in %d %s", count, "client" if count == 1 else "clients"
                )
