"""Requests and signals over one connection, which is closed when they are through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from wirecore_trio.webwire import Client, Payload

from ..failures import Failure, text_of, told
from ..files import replace_secret
from .connecting import Server


@dataclass(frozen=True)
class Requests:
    """*count* requests of one kind, *concurrency* of them under way at once."""

    name: str
    payload: Payload
    count: int
    concurrency: int

    @property
    def called(self) -> str:
        """What they are called in errors."""
        return _called(self.name, "request")


async def make_requests(
    server: Server,
    requests: Requests,
    answered: Callable[[Payload, float], None],
    *,
    save_session: Path | None,
) -> None:
    """Send *requests* to *server*; *answered* gets each reply, and the seconds it took.

    The key of the session that there is then goes to the file *save_session*. Raises Failure, and
    LocalError for what can't be sent. The first failure ends the others.
    """
    with server.failures(requests.called):
        async with server.connect() as client:
            await server.restore_session(client)
            await _ask(client, requests, answered)
            if save_session is not None:
                _save(client, save_session)


async def _ask(
    client: Client, requests: Requests, answered: Callable[[Payload, float], None]
) -> None:
    left = iter(range(requests.count))
    failed: Exception | None = None

    async def ask() -> None:
        nonlocal failed
        try:
            for _ in left:
                begun = trio.current_time()
                reply = await client.request(requests.name, requests.payload)
                with told():
                    answered(reply, trio.current_time() - begun)
        except Exception as error:  # noqa: BLE001 - raised below, alone, where others fail too
            failed = failed or error
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(min(requests.count, requests.concurrency)):
            nursery.start_soon(ask)
    if failed is not None:
        raise failed


def _save(client: Client, path: Path) -> None:
    if client.session is None:
        raise Failure(f"there is no session: {path} wasn't written")
    try:
        replace_secret(path, client.session.key.encode() + b"\n")
    except OSError as error:
        raise Failure(f"{path} can't be written: {text_of(error)}") from error


async def send_signals(server: Server, name: str, payload: Payload, count: int) -> None:
    """Send a signal *count* times. Raises as :func:`make_requests`."""
    with server.failures(_called(name, "signal")):
        async with server.connect() as client:
            await server.restore_session(client)
            for _ in range(count):
                await client.signal(name, payload)


def _called(name: str, kind: str) -> str:
    return f"the {kind} {name!r}" if name else f"the {kind} without a name"
