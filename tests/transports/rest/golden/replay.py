"""Replays a scenario with ours at one of its ends, in memory, and tells what was to be seen."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import trio

from tests.transports.rest.golden.answering import answer_in_turn
from tests.transports.rest.golden.calling import PATIENCE, Calling, is_without_id
from tests.transports.rest.golden.handlers import Handlers
from tests.transports.rest.golden.peers import Played, seen_by, upgrade
from tests.transports.rest.golden.seen import (
    CLOSING,
    End,
    Seen,
    asked,
    connections_of,
    request_lines,
    upgrades_of,
)
from tests.wirecore.protocols.rest.recorded import group_of, payload, scenarios
from wirecore._backend import Backend
from wirecore.errors import NotConnected
from wirecore_trio import rest
from wirecore_trio.rest._requesting import Requesting
from wirecore_trio.testing import Network, ScriptedPeer

URL: Final = "ws://server.test/"

#: Seconds that ours waits when it closes.
CLOSE_TIMEOUT: Final = 0.25

#: Milliseconds that a replay goes on behind the last that was recorded: ours has closed then.
_MORE: Final = 900

#: Milliseconds that observations came late.
_LATE: Final = 15

#: A recorded close that waited for its handler, which looks every 200 ms, in milliseconds.
_WAITED: Final = 100

#: Milliseconds: ours closes behind what the peer has sent in the same millisecond.
_BEHIND: Final = 0.75

#: How the server is asked for a connection of the same metadata, and of others.
_LOOKED_UP: Final[dict[str, Any]] = {'("no such")': "no such", "(int 5)": 5}


class Replay:
    """Of scenario *name*, with ours at *end*: :attr:`seen`, once it has run."""

    def __init__(self, name: str, end: End, backend: Backend) -> None:
        self.name = name
        self._end = end
        self._backend = backend
        self._scenario = scenarios()[name]
        self._group = group_of(name)
        self._mine = [entry for entry in self._scenario["trace"] if entry["dir"] == end.value]
        self._peers: list[ScriptedPeer] = []
        self._plays = [Played(name, number, end) for number in connections_of(name)]
        self._zero = 0.0
        reach = self._newest if end is End.SERVER else self._connected
        self._calling = Calling(name, end, reach)
        self._server: rest.Server
        self._client: rest.Client
        self.seen = Seen()
        self.app = Handlers(self.seen.notes.append)
        #: When dials were refused, in seconds.
        self.refused: list[float] = []

    # --- what was configured --------------------------------------------------------------------

    @property
    def _serves(self) -> bool:
        """Whether our end serves."""
        if self.name.endswith("/idle"):
            return False
        ours = "server" if self._end is End.SERVER else "client"
        return self._group == "handshake/rawclient" or self._scenario.get("serving") == ours

    @property
    def _over(self) -> float:
        """Milliseconds: when the replay is over."""
        times = [entry["ms"] for entry in self._scenario["trace"] + self._scenario["observed"]]
        last: float = max(times, default=0)
        if is_without_id(self.name):
            last += PATIENCE * 1000
        return last + _MORE

    @property
    def _accepts(self) -> float:
        """Milliseconds: from when on a client is let in again."""
        again = [
            each["ms"] for each in self._scenario["observed"] if each["text"] == "accepts again"
        ]
        return again[0] - _LATE if again else 0

    @property
    def _retry(self) -> rest.RetryPolicy:
        """As by default, where that is what is looked at, and else not by chance."""
        if self._group == "backoff":
            return rest.ClientOptions().retry
        return rest.RetryPolicy(backoff=lambda: rest.Backoff(0.5, 1.5, 0.0, 60.0))

    def _options(self) -> dict[str, Any]:
        pings = [entry for entry in self._mine if entry["kind"] == "ping"]
        interval = 5  # the recorded one was drawn for each connection; none may have come
        if pings:
            same = [entry["ms"] for entry in self._mine if entry["conn"] == pings[0]["conn"]]
            interval = round((pings[0]["ms"] - same[0]) / 1000)
        keeps_alive = pings or self.name.endswith("/keepalive") or self._group == "reconnect"
        return {
            "ping_interval": float(interval) if keeps_alive else None,
            "ping_data": payload(pings[0]) if pings else b"",
            "oversize": "send",
            "close_timeout": CLOSE_TIMEOUT,
        }

    # --- the run --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do it, under a clock that jumps."""
        async with Network() as network:
            self._zero = trio.current_time()
            if self._end is End.SERVER:
                await self._as_server(network)
            else:
                await self._as_client(network)

    async def _until(self, milliseconds: float) -> None:
        await trio.sleep_until(self._zero + milliseconds / 1000)

    async def _call(self) -> None:
        if not self._serves:
            await self._calling.run(self._zero)

    async def _end_when(self, close: Callable[[], Awaitable[object]]) -> None:
        """Close when the recorded one did, if it did."""
        for entry in self._mine:
            if entry["kind"] == "close" and self._group != "handshake/rawclient":
                waited = _WAITED if "while_called" in self.name else 0
                await self._until(entry["ms"] - waited + _BEHIND)
                await close()
                return

    async def _play(self, played: Played, peer: ScriptedPeer, zero: float) -> None:
        if self._group != "concurrent" or self._serves:
            await played.run(peer, zero)
        elif await answer_in_turn(peer, client=self._end is End.SERVER):
            self.seen.notes.append("one request at a time")
        await trio.sleep_forever()

    def _look(self) -> None:
        """Note what is to be seen now."""
        seen = self.seen
        for each in seen_by(self._peers, closing=self._group in CLOSING):
            seen.sent += each.sent
            seen.pings += each.pings
            seen.pongs += each.pongs
        seen.results = self._calling.results
        seen.dials_again = bool(self.refused)

    # --- as a server ----------------------------------------------------------------------------

    async def _as_server(self, network: Network) -> None:
        def on_ping(_: rest.Connection, data: bytes) -> None:
            self.seen.notes.append(f"ping {data.decode()}")

        self._server = rest.Server(
            self.app if self._serves else None,
            rest.Options(**self._options()),
            on_ping=on_ping if "own_handler" in self.name else None,
            backend=self._backend,
        )
        await network.start(self._server.serve, "server.test", 80)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            for played, (request, _) in zip(self._plays, upgrades_of(self.name), strict=True):
                nursery.start_soon(self._dial, network, played, request)
            nursery.start_soon(self._count)
            nursery.start_soon(self._call)
            nursery.start_soon(self._end_when, self._close_first)
            await self._until(self._over)
            self._look()
            nursery.cancel_scope.cancel()

    async def _dial(self, network: Network, played: Played, request: str) -> None:
        await trio.sleep_until(self._zero + played.begins)
        async with await network.scripted_client(URL) as peer:
            self._peers.append(peer)
            self.seen.upgrades.append(await upgrade(peer, request))
            await self._play(played, peer, self._zero)

    async def _listen(self) -> None:
        for each in self._scenario["observed"]:
            if "EventStream taken" in each["text"]:
                await self._until(each["ms"] - _LATE)
        async for event in self._server.events():
            self.seen.events.append(event.kind.value)

    async def _count(self) -> None:
        """Ask the server for its connections, as the recorded one was asked."""
        for milliseconds, _ in asked(self.name):
            await self._until(milliseconds)
            self.seen.active.append(len(self._server.connections))
        looked_up = [each["text"] for each in self._scenario["observed"] if each["who"] == "server"]
        for text in looked_up:
            if "an active connection with metadata" in text or text.startswith("MetaData gives"):
                await self._until(_MORE)
                self.seen.notes += [
                    f"metadata {connection.metadata!r}" for connection in self._server.connections
                ]
            elif text.startswith("ConnectionFromMetaData"):
                what = text.removeprefix("ConnectionFromMetaData").partition(":")[0]
                [connection] = self._server.connections
                found = self._server.find(_LOOKED_UP.get(what, connection.metadata))
                self.seen.notes.append(f"looked up{what}: {found == [connection]}")

    async def _newest(self) -> Requesting:
        return self._server.connections[-1]

    async def _close_first(self) -> None:
        await self._server.connections[0].aclose()

    # --- as a client ----------------------------------------------------------------------------

    async def _as_client(self, network: Network) -> None:
        network.scripted(URL, self._serve)
        left, looked = trio.Event(), trio.Event()

        async def leave() -> None:
            left.set()

        async def look() -> None:
            await self._until(self._over)
            self._look()
            looked.set()
            left.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            async with rest.connect(
                URL,
                self.app if self._serves else None,
                rest.ClientOptions(retry=self._retry, **self._options()),
                metadata=self._metadata(),
                host="localhost",
                wait=False,
                backend=self._backend,
            ) as self._client:
                nursery.start_soon(self._identify)
                nursery.start_soon(self._call)
                nursery.start_soon(self._end_when, leave)
                await left.wait()
            await looked.wait()
            nursery.cancel_scope.cancel()

    async def _serve(self, peer: ScriptedPeer) -> None:
        """The next recorded connection, if it may come now."""
        now = trio.current_time()
        if not self._plays or (self._peers and now < self._zero + self._accepts / 1000):
            self.refused.append(now - self._zero)
            await peer.refuse()
            return
        played = self._plays.pop(0)
        self._peers.append(peer)
        request = await peer.accept()
        fields = [(name.decode(), value.decode()) for name, value in request.headers]
        self.seen.upgrades.append(request_lines(request.target, fields))
        # The first begins with the scenario, and others where ours dials.
        await self._play(played, peer, now - played.begins if len(self._peers) > 1 else self._zero)

    async def _connected(self) -> Requesting:
        await self._client.wait_connected()
        return self._client

    async def _identify(self) -> None:
        with suppress(NotConnected):
            connection = await self._client.wait_connected()
            if self._group == "handshake/rawserver":
                self.seen.notes.append(f"id {connection.id}")

    def _metadata(self) -> Any:
        first = next((entry for entry in self._mine if entry["kind"] == "text"), None)
        return None if first is None else json.loads(payload(first))["Meta"]
