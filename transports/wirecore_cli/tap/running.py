"""The tap as a process: it listens, relays, tells, and says at the end what there was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import trio

from wirecore.errors import WirecoreError, printable
from wirecore_trio._errors import alone
from wirecore_trio._listeners import open_listeners
from wirecore_trio._network import Accepted
from wirecore_trio._serve import Acceptor
from wirecore_trio.wsrpc._address import peer_address, show_address

from ..failures import Failure, text_of
from ..stopping import stop_on_signal
from .connection import Watched
from .guessing import Chooser
from .places import Dialling, Listening
from .records import Record, Told, problem
from .relaying import Relay
from .rewriting import HostRewriter
from .showing import Showing
from .sinks import Sink
from .totals import Totals
from .wsrpc import Values

_MAX_CONNECTIONS: Final = 100_000


@dataclass(frozen=True)
class How:
    """What is decoded, and how it is shown.

    *protocol*: one of PROTOCOLS. *count*: connections after which it ends; None: it doesn't.
    """

    showing: Showing
    protocol: str
    values: Values | None
    max_message: int
    rewrite_host: bool
    count: int | None


class Tap:
    """Relays connections between two places; *sinks* get what is told of them."""

    def __init__(
        self, listening: Listening, dialling: Dialling, how: How, sinks: Sequence[Sink]
    ) -> None:
        self._listening = listening
        self._dialling = dialling
        self._how = how
        self._sinks = sinks
        self._totals = Totals()
        self._acceptor: Acceptor | None = None
        self._scope = trio.CancelScope()
        self._started = 0.0

    async def run(self) -> None:
        """Run until it is stopped by a signal, or has had its count of connections.

        Raises OSError where it can't listen, or nothing can be written any more.
        """
        place = self._listening.place
        self._started = trio.current_time()
        listeners = await open_listeners(place.host, place.port)
        acceptor = Acceptor(
            listeners,
            self._accepted,
            max_connections=_MAX_CONNECTIONS,
            plain=place.context is None and place.credentials is None,
        )
        self._acceptor = acceptor
        for sink in self._sinks:
            sink.start(self._scope.cancel)
        try:
            with self._scope, alone():
                async with trio.open_nursery() as nursery:
                    # Before it tells: who has read where it listens may stop it.
                    await nursery.start(stop_on_signal, self._scope)
                    self._say_where(acceptor)
                    await acceptor.run()
                    nursery.cancel_scope.cancel()
        finally:
            acceptor.stop_accepting()
            self._end()
        for sink in self._sinks:
            if sink.error is not None:
                raise Failure(f"what is to be shown can't be written: {text_of(sink.error)}")

    def _now(self) -> float:
        return trio.current_time() - self._started

    def _tell(self, records: Sequence[Record]) -> None:
        for record in records:
            self._totals.count(record)
            for sink in self._sinks:
                sink.put(record)

    def _say_where(self, acceptor: Acceptor) -> None:
        address = acceptor.addresses[0]
        port = address[1] if isinstance(address, tuple) else self._listening.place.port
        scheme = self._listening.place.name.partition("://")[0]
        where = f"{scheme}://{show_address(self._listening.place.host, port)}"
        target = self._dialling.place.name
        told = Told("listening", f"on {where} for {target}", None, {"url": where, "target": target})
        self._tell([Record(self._now(), 0, None, "tap", told)])

    def _end(self) -> None:
        seconds = self._now()
        summary = Record(seconds, 0, None, "tap", self._totals.told(seconds))
        for sink in self._sinks:
            sink.close(summary)

    async def _accepted(self, accepted: Accepted) -> None:
        how = self._how
        totals = self._totals
        totals.connections += 1
        chooser = Chooser(how.showing, how.protocol, values=how.values, max_message=how.max_message)
        watched = Watched(totals.connections, how.showing, chooser, max_message=how.max_message)
        try:
            await self._relay(accepted, watched)
        finally:
            totals.end(watched.bytes, watched.frames)
            # Those that are still under way may end.
            if totals.ended == how.count and self._acceptor is not None:
                self._acceptor.stop_accepting()

    async def _relay(self, accepted: Accepted, watched: Watched) -> None:
        dialling = self._dialling
        self._say(watched, Told("open", f"from {peer_address(accepted)}"))
        try:
            client = await self._listening.take(accepted)
        except (WirecoreError, OSError, trio.BrokenResourceError) as error:
            self._say(watched, problem(printable(f"the client wasn't taken: {text_of(error)}")))
            return
        if self._acceptor is not None:
            self._acceptor.opened(accepted)
        rewriter = None
        if self._how.rewrite_host:
            rewriter = HostRewriter(dialling.authority, dialling.origin)
        relay = Relay(watched, self._tell, self._sinks, self._now, rewriter)
        try:
            try:
                server = await dialling.dial()
            except (WirecoreError, OSError, trio.BrokenResourceError) as error:
                why = printable(f"the target can't be reached: {text_of(error)}")
                self._say(watched, problem(why))
                await relay.answer(client, why)
                return
            try:
                await relay.connect(client, server)
            finally:
                server.close()
        finally:
            client.close()
            self._say(watched, Told("closed"))

    def _say(self, watched: Watched, told: Told) -> None:
        self._tell([watched.say(told, self._now())])
