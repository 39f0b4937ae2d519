"""A provider's connection, as the pool's program sees it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import trio

from wirecore.constants import CloseCode
from wirecore.protocols.pool.dispatch import Slot
from wirecore.protocols.pool.statistics import CallStatistics

from .._errors import NotConnected
from ._dispatching import wake

if TYPE_CHECKING:
    from wirecore.websocket import Request as HttpRequest

    from ._binding import Binding
    from ._calling_channel import CallingChannel
    from ._pending import PendingCall
    from ._server import OnConnection, PoolServer

logger = logging.getLogger("wirecore.pool")


class ProviderConnection:
    """One connection of a provider's, over which the pool calls it.

    *identity*: who it is: the name of its token, or of its client certificate; what it says of
    itself where the pool asks nobody for either; None where it says nothing. *path*: where it
    connected.
    *remote_address*: where from, for logs. *http_request*: the request that opened it.
    *connected_at*: when, in trio's time.
    """

    def __init__(
        self,
        binding: Binding,
        *,
        identity: str | None,
        labels: frozenset[str],
        capacity: int | None,
        http_request: HttpRequest,
        remote_address: str,
        server: PoolServer,
        nursery: trio.Nursery,
    ) -> None:
        self.identity = identity
        self.path = binding.path
        self.remote_address = remote_address
        self.http_request = http_request
        self.connected_at = trio.current_time()
        self._binding = binding
        self._server = server
        self._nursery = nursery
        self._labels = labels
        self._capacity = capacity
        self._is_over = False
        self._channel: CallingChannel
        self._counts: CallStatistics
        self._slot: Slot[ProviderConnection]

    def __repr__(self) -> str:
        return f"<pool.ProviderConnection {self.identity or self.remote_address} at {self.path}>"

    @property
    def labels(self) -> frozenset[str]:
        """What it says that it has, for calls that name a label."""
        return self._labels

    @property
    def capacity(self) -> int | None:
        """Calls without an answer that it gets at once; None: any number."""
        return self._capacity

    @property
    def outstanding(self) -> int:
        """Calls that it hasn't answered, those that nobody waits for any longer too."""
        return self._slot.outstanding

    @property
    def leaving(self) -> bool:
        """Whether it gets no more calls: it, or the pool, has begun to end the connection."""
        return self._slot.leaving

    def close(self, code: int = CloseCode.GOING_AWAY) -> None:
        """End the connection now, in good order; its calls are lost. Never waits. Idempotent."""
        self._channel.close(code, why="the pool closed the connection")

    def drain(self) -> None:
        """Give it no more calls, and close when it has answered those that it has. Never waits."""
        self._leaving(self._channel)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        await self._channel.wait_ended()

    # --- life -----------------------------------------------------------------------------------

    def _open(self, channel: CallingChannel) -> None:
        """*channel* is its connection."""
        self._channel = channel
        node = self._binding.node
        identity = self.identity if node is None else node.name_for(self.identity)
        most = self._server.options.max_pending_calls
        capacity = most if self._capacity is None else min(most, self._capacity)
        self._slot = Slot(self, identity, self._labels, capacity)
        self._slot.submitter = channel._submitter

    async def _run(self, leftover: bytes) -> None:
        """Take calls until the connection has ended."""
        channel, binding = self._channel, self._binding
        self._counts = self._slot.counts = binding.statistics.join(self.identity)
        try:
            if self._server._on_connection is None:
                self._join()
                await channel.run(leftover)
            else:
                # It is read meanwhile, or a pong would be missed, and its end.
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._join_if_welcome, self._server._on_connection)
                    await channel.run(leftover)
                    nursery.cancel_scope.cancel()
        finally:
            channel.abort()
            binding.statistics.leave(self.identity)

    def _join(self) -> None:
        """Take calls from now on, unless it has come to its end already."""
        if self._server._is_revoked(self.identity):
            logger.warning("%r was revoked: the connection is closed", self)
            self.close(CloseCode.POLICY_VIOLATION)
        elif not self._is_over:
            logger.info("%r is there", self)
            self._binding.connections.add(self)
            wake(self._binding.dispatcher.add(self._slot))
            self._announce()

    async def _join_if_welcome(self, on_connection: OnConnection) -> None:
        """The same, if the program wants it, and says so in time. What it raises is logged."""
        seconds = self._server.options.welcome_timeout
        try:
            with trio.move_on_after(math.inf if seconds is None else seconds) as scope:
                await on_connection(self)
        except Exception:
            logger.exception("on_connection didn't want %r: the connection is closed", self)
            self.close(CloseCode.POLICY_VIOLATION)
            return
        if scope.cancelled_caught:
            logger.error(
                "on_connection didn't welcome %r within welcome_timeout, %g s: the connection is "
                "closed",
                self,
                seconds,
            )
            self.close(CloseCode.TRY_AGAIN_LATER)
        else:
            self._join()

    def _announce(self) -> None:
        """The other nodes are to know who is there."""
        if self._binding.node is not None:
            self._binding.node.announce(self._binding)

    def _freed(self) -> None:
        """It may take a call, which may wait for another node."""
        if self._binding.node is not None:
            self._binding.node.freed(self._binding)

    def _not_submitted(self, pending: PendingCall[Any], result: Any, error: BaseException) -> None:
        """*pending*, which it was taken for, couldn't be sent. Raises what is no Exception."""
        try:
            self._channel._not_queued(error, pending.begun)
        except NotConnected as lost:
            error = lost
        else:
            self._counts.take_back()
        if not isinstance(error, Exception):
            raise error
        self._binding.submitted_failed(self, pending, result, self._channel.now(), error)

    # --- see CallOwner --------------------------------------------------------------------------

    def _answered(
        self,
        channel: CallingChannel,
        durations: Sequence[float],
        failed: int,
        count: int,
        now: float,
    ) -> None:
        if durations:
            self._counts.answer(durations, failed, now)
        wake(self._binding.dispatcher.release(self._slot, count))
        self._freed()
        if self._slot.leaving:
            self._close_if_done()

    def _leaving(self, channel: CallingChannel) -> None:
        wake(self._binding.dispatcher.leave(self._slot))
        self._announce()
        self._close_if_done()

    def _close_if_done(self) -> None:
        if not self._slot.outstanding:
            self._channel.close(CloseCode.GOING_AWAY, why="the provider's connection was drained")

    def _crowded(self, channel: CallingChannel | None = None) -> None:
        if not self._slot.blocked:
            self._binding.dispatcher.block(self._slot)
            self._nursery.start_soon(self._wait_for_room)

    async def _wait_for_room(self) -> None:
        await self._channel.drained()
        wake(self._binding.dispatcher.unblock(self._slot))
        self._freed()

    def _failed(
        self,
        channel: CallingChannel,
        pending: PendingCall[Any],
        error: BaseException | None,
    ) -> None:
        self._binding.submitted_failed(self, pending, pending.annotation, pending.begun, error)

    def _gone(self, channel: CallingChannel) -> None:
        self._is_over = True
        if self in self._binding.connections:
            logger.info("%r is gone", self)
            self._binding.connections.remove(self)
        wake(self._binding.dispatcher.remove(self._slot))
        self._announce()
