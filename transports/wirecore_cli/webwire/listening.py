"""Listening to a server for as long as somebody wants to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from wirecore_trio._errors import alone
from wirecore_trio.webwire import Client, Connecting, ServerSignal

from ..logs import log_warnings
from ..stopping import stop_on_signal
from ..terminal import tell_note
from .connecting import Server

#: Signals that wait to be printed. As many again wait in the client; then the server isn't read.
_WAITING = 1000


async def print_signals(
    server: Server,
    names: Sequence[str],
    show: Callable[[ServerSignal[object]], None],
    count: int | None,
) -> None:
    """Have *show* print signals called one of *names* (none: all), *count* of them (None: all).

    Returns after *count*, at SIGINT, and at SIGTERM. Raises Failure.
    """
    connecting = server.connect(reconnect=True)
    heard = _hear(connecting, names)
    lost = _Lost(connecting)
    with server.failures("the session"):
        async with connecting as client:
            await server.restore_session(client)
            with alone():
                async with trio.open_nursery() as nursery:
                    # Before it tells: who has read that it is connected may stop it.
                    await nursery.start(stop_on_signal, nursery.cancel_scope)
                    tell_note(f"connected to {server.name}")
                    log_warnings()
                    nursery.start_soon(lost.tell, client)
                    await _print(heard, show, count)
                    nursery.cancel_scope.cancel()


def _hear(
    connecting: Connecting, names: Sequence[str]
) -> trio.MemoryReceiveChannel[ServerSignal[object]]:
    """What *connecting* gets, from before its first message on."""
    send, heard = trio.open_memory_channel[ServerSignal[object]](_WAITING)

    async def put(message: ServerSignal[object]) -> None:
        try:
            await send.send(message)
        except trio.BrokenResourceError:
            pass  # there were as many as were asked for

    for name in dict.fromkeys(names) or (None,):
        connecting.on_signal(name)(put)
    return heard


async def _print(
    heard: trio.MemoryReceiveChannel[ServerSignal[object]],
    show: Callable[[ServerSignal[object]], None],
    count: int | None,
) -> None:
    shown = 0
    with heard:
        async for message in heard:
            # In a thread: a pager that isn't read on must not keep heartbeats from the server.
            await trio.to_thread.run_sync(show, message)
            shown += 1
            if shown == count:
                return


class _Lost:
    """Tells of lost connections and sessions, on standard error."""

    def __init__(self, connecting: Connecting) -> None:
        self._happened = trio.Event()
        connecting.on_disconnected(self._disconnected)
        connecting.on_session_closed(self._session_closed)

    async def _disconnected(self) -> None:
        self._happened.set()

    async def _session_closed(self) -> None:
        tell_note("the server ended the session")

    async def tell(self, client: Client) -> None:
        """Wait for each loss, and for the next connection. Raises what ends the attempts."""
        while True:
            await self._happened.wait()
            self._happened = trio.Event()
            had_session = client.session is not None
            tell_note("the connection was lost; connecting again every 2 s")
            await client.connect()
            tell_note("connected again")
            if had_session and client.session is None:
                tell_note("the session is lost")
