"""Nodes as a backend sees them: providers with places, and what making a call there does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import trio

from wirecore.protocols.pool.slots import Wish
from wirecore_trio.pool.backends import Backend, ProviderInfo, RedisBackend, RemoteCall, Sending

#: Makes a call at the provider of that identity.
Make: TypeAlias = Callable[[RemoteCall, str, Sending], Awaitable[bytes]]

PATH = "/pool"


@dataclass
class Provider:
    """A connection of a provider: how many calls it takes, and has."""

    info: ProviderInfo
    busy: int = 0

    @property
    def is_free(self) -> bool:
        return self.info.capacity is None or self.busy < self.info.capacity


async def echo(call: RemoteCall, identity: str, sending: Sending) -> bytes:
    """Answer with who made which call."""
    await sending()
    return identity.encode() + b" " + call.argument


@dataclass
class FakeNode:
    """A pool server without connections. *make*: what its providers do with calls."""

    backend: RedisBackend
    make: Make = echo
    providers: list[Provider] = field(default_factory=list)
    made: list[RemoteCall] = field(default_factory=list)
    most_busy: int = 0
    changes: int = 0
    _news: trio.Event = field(default_factory=trio.Event)

    def join(self, identity: str, labels: str = "", capacity: int | None = 1) -> Provider:
        """A provider connects."""
        info = ProviderInfo(identity, frozenset(labels.split()), capacity)
        provider = Provider(info)
        self.providers.append(provider)
        self._announce()
        return provider

    def part(self, provider: Provider) -> None:
        """A provider has gone."""
        self.providers.remove(provider)
        self._announce()

    def _announce(self) -> None:
        self.backend.announce(PATH, [each.info for each in self.providers])

    # --- as the backend wants it ---

    def reserve(self, path: str, wish: Wish) -> Provider | None:
        """A place of a provider that fits."""
        assert wish.key is None
        for provider in self.providers if path == PATH else ():
            fits = wish.labels <= provider.info.labels and wish.provider in (
                None,
                provider.info.identity,
            )
            if fits and provider.is_free:
                provider.busy += 1
                self.most_busy = max(self.most_busy, sum(each.busy for each in self.providers))
                return provider
        return None

    def release(self, reservation: Provider) -> None:
        """And it is free again."""
        reservation.busy -= 1
        self.backend.freed(PATH)

    async def execute(self, reservation: Provider, call: RemoteCall, sending: Sending) -> bytes:
        """Make the call, and note it."""
        try:
            self.made.append(call)
            return await self.make(call, reservation.info.identity, sending)
        finally:
            self.release(reservation)

    def nodes_changed(self) -> None:
        """Wake who waits for that."""
        self.changes += 1
        self._news.set()
        self._news = trio.Event()

    async def until_knows(self, *identities: str) -> None:
        """Wait until just these providers of other nodes are known."""
        while self.known() != sorted(identities):
            await self._news.wait()

    def known(self) -> list[str]:
        """The providers of other nodes."""
        return sorted(
            each.identity
            for announced in self.backend.nodes.values()
            for each in announced.get(PATH, ())
        )

    # --- as its users want it ---

    async def call(
        self,
        argument: str = "x",
        wish: Wish = Wish(),  # noqa: B008
        *,
        idempotent: bool = False,
        within: float | None = 30.0,
        once: bool = False,
    ) -> str:
        """Have some node make a call."""
        call = RemoteCall(
            PATH, "A.B", "gob", argument.encode(), wish, idempotent, within, once=once
        )
        return (await self.backend.submit(call)).decode()


@asynccontextmanager
async def node(url: str, prefix: str, make: Make = echo, **options: Any) -> AsyncIterator[FakeNode]:
    """A node that takes part, until the end."""
    found = FakeNode(RedisBackend(url, prefix=prefix, **options), make)
    assert isinstance(found.backend, Backend)
    async with trio.open_nursery() as nursery:
        await nursery.start(found.backend.run, found)
        yield found
        nursery.cancel_scope.cancel()


class Gate:
    """Has calls wait at their provider: each is *arrived* once it was sent."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self._news = trio.Event()
        self._open = trio.Event()

    async def __call__(self, call: RemoteCall, identity: str, sending: Sending) -> bytes:
        await sending()
        self.arrived.append(call.argument.decode())
        self._news.set()
        self._news = trio.Event()
        await self._open.wait()
        return identity.encode() + b" " + call.argument

    def open(self) -> None:
        """They may go on."""
        self._open.set()

    async def until_arrived(self, count: int) -> None:
        """Wait until so many are there."""
        while len(self.arrived) < count:
            await self._news.wait()


async def until(condition: Callable[[], object]) -> None:
    """Wait until that is so: what is awaited happens in another process, which tells nobody."""
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.01)
