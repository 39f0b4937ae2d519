"""One connection through the tap: bytes go on as they came, and a copy is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio

from wirecore.errors import RemoteError, printable
from wirecore.websocket import Response

from .connection import Watched
from .ends import GONE, End
from .records import OTHER, Record, Sender, Told
from .rewriting import HostRewriter
from .sinks import Sink

#: Seconds that a client has to say what it wants of a target that isn't there.
_REQUEST_PATIENCE: Final = 10.0

_TEXT: Final = ((b"Content-Type", b"text/plain; charset=utf-8"),)


class Relay:
    """Connects two ends. *tell* takes records; *now* is the time in seconds after the start.

    *sinks*: where records go, which connections wait for; *rewriter*: None changes nothing.
    """

    def __init__(
        self,
        watched: Watched,
        tell: Callable[[Sequence[Record]], object],
        sinks: Sequence[Sink],
        now: Callable[[], float],
        rewriter: HostRewriter | None = None,
    ) -> None:
        self._watched = watched
        self._tell = tell
        self._sinks = sinks
        self._now = now
        self._rewriter = rewriter
        self._refused: Exception | None = None
        self._ended: set[Sender] = set()

    async def connect(self, client: End, server: End) -> None:
        """Pass on all that comes from either, until both have ended."""
        ends: dict[Sender, End] = {"client": client, "server": server}
        async with trio.open_nursery() as nursery:
            for sender in OTHER:
                nursery.start_soon(self._pass_on, sender, ends, nursery.cancel_scope)
        if self._refused is not None:
            await self.answer(client, f"the target refused the tap: {self._refused}")

    async def _pass_on(
        self, sender: Sender, ends: dict[Sender, End], scope: trio.CancelScope
    ) -> None:
        source, other = ends[sender], ends[OTHER[sender]]
        while True:
            try:
                data = await source.receive()
            except GONE as error:
                self._broke_off(sender, error, other, scope)
                return
            try:
                if not data:
                    await self._end(sender, other)
                    return
                await self._send(sender, data, other)
            except GONE as error:
                self._broke_off(OTHER[sender], error, source, scope)
                return
            for sink in self._sinks:
                await sink.wait_for_room()
            await trio.lowlevel.checkpoint()

    async def _send(self, sender: Sender, data: bytes, other: End) -> None:
        sent = data
        if self._rewriter is not None and sender == "client":
            sent = self._rewriter.receive(data)
        # What can leave leaves; then it is looked at, before its answer can be there.
        try:
            rest = other.send_now(sent)
        finally:
            self._tell(self._watched.receive(sender, data, self._now()))
        await other.send(rest)

    async def _end(self, sender: Sender, other: End) -> None:
        self._ended.add(sender)
        self._tell(self._watched.ended(sender, "eof", self._now()))
        if self._rewriter is not None and sender == "client":
            await other.send(self._rewriter.finish())
        await other.end_sending()

    def _broke_off(
        self, sender: Sender, error: Exception, other: End, scope: trio.CancelScope
    ) -> None:
        """The end of *sender* is gone: the *other* is to see the same."""
        scope.cancel()
        if len(self._ended) == len(OTHER):
            return  # both had said goodbye already
        if sender not in self._ended:
            why = printable(str(error))
            self._tell(self._watched.ended(sender, "reset", self._now(), why))
        if (
            sender == "server"
            and isinstance(error, RemoteError)
            and not self._watched.bytes["server"]
        ):
            self._refused = error  # TLS, after its handshake: the client can still be told
        else:
            other.abort()

    async def answer(self, client: End, why: str) -> None:
        """Answer the client's request with 502: there is no target to answer it."""
        watched = self._watched
        with trio.move_on_after(_REQUEST_PATIENCE):
            try:
                while not watched.requested:
                    data = await client.receive()
                    self._tell(watched.receive("client", data, self._now()))
                    if not data:
                        return
                response = Response(502, _TEXT, f"wirecore tap: {why}\n".encode())
                told = Told("refused", "502, by the tap", None, {"status": 502})
                self._tell([watched.say(told, self._now())])
                await client.send(response.encode())
                await client.linger()
            except GONE:
                pass  # it didn't wait for an answer
