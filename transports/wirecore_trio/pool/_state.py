"""A pool as it is at one moment: paths, providers, queues and calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import trio

from wirecore.protocols.pool.statistics import CallsSnapshot, PathSnapshot

from ._binding import Binding
from .backends._contract import ProviderInfo

if TYPE_CHECKING:
    from ._provider_connection import ProviderConnection
    from ._server import PoolServer


@dataclass(frozen=True, slots=True)
class ProviderState:
    """A provider's connection: the fields of :class:`ProviderConnection` of the same names."""

    identity: str | None
    remote_address: str
    labels: frozenset[str]
    capacity: int | None
    outstanding: int
    leaving: bool
    connected_at: float


@dataclass(frozen=True, slots=True)
class PathState:
    """A path at which providers connect.

    *names*: of the services that it is bound for; none: of all others. *queued*: calls that wait
    for a provider of this server's. *elsewhere*: calls of this server's that any server of the pool
    may make, which wait for that or are under way. *outstanding*: calls that providers haven't
    answered. *calls*: what became of all until now, in all and by provider. *providers*: the open
    connections, oldest first.
    """

    path: str
    names: tuple[str, ...]
    queued: int
    elsewhere: int
    outstanding: int
    calls: PathSnapshot
    providers: tuple[ProviderState, ...]


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool. *paths*: those that can be called; *callbacks*: open connections by the others.

    *others*: the providers of other nodes, by node, then by path; none without a backend.
    """

    paths: Mapping[str, PathState]
    callbacks: Mapping[str, int]
    others: Mapping[str, Mapping[str, Sequence[ProviderInfo]]]


def state_of(server: PoolServer, now: float) -> PoolState:
    """*server* as it is *now*, in trio's time."""
    paths: dict[str, PathState] = {}
    callbacks: dict[str, int] = {}
    for bound in server._paths:
        if isinstance(bound, Binding):
            paths[bound.path] = _path_state(bound, now)
        else:
            callbacks[bound.path] = len(bound.connections)
    node = server._node
    others = {} if node is None else dict(node.others)
    return PoolState(MappingProxyType(paths), MappingProxyType(callbacks), MappingProxyType(others))


def _path_state(binding: Binding, now: float) -> PathState:
    dispatcher = binding.dispatcher
    connections = sorted(binding.connections, key=_age)
    return PathState(
        binding.path,
        binding.names,
        dispatcher.queued,
        binding.elsewhere,
        dispatcher.outstanding,
        binding.statistics.snapshot(now, dispatcher.queued),
        tuple(_provider_state(each) for each in connections),
    )


def _age(connection: ProviderConnection) -> float:
    return connection.connected_at


def _provider_state(connection: ProviderConnection) -> ProviderState:
    return ProviderState(
        connection.identity,
        connection.remote_address,
        connection.labels,
        connection.capacity,
        connection.outstanding,
        connection.leaving,
        connection.connected_at,
    )


class Changes:
    """States of a pool, for ``async for``: as it is, and then whenever it has changed.

    It is looked at every *interval* seconds, so that what many calls change is one change. It ends
    when the pool was told to stop.
    """

    def __init__(self, server: PoolServer, interval: float) -> None:
        self._server = server
        self._interval = interval
        self._last: PoolState | None = None

    def __aiter__(self) -> AsyncIterator[PoolState]:
        """Itself."""
        return self

    async def __anext__(self) -> PoolState:
        """The next state that differs from the last one."""
        if self._last is None:
            await trio.lowlevel.checkpoint()
        while not self._server.draining:
            if self._last is not None:
                with trio.move_on_after(self._interval):
                    await self._server._told_to_stop.wait()
                    break
            found = state_of(self._server, trio.current_time())
            if found != self._last:
                self._last = found
                return found
        raise StopAsyncIteration


__all__ = ["CallsSnapshot", "Changes", "PathSnapshot", "PathState", "PoolState", "ProviderState"]
