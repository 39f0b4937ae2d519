"""A bound path at which providers connect: who is there, and the calls that go to them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore import errors
from wirecore.protocols.pool import PROTOCOL, CallingSession
from wirecore.protocols.pool.dispatch import Dispatcher, Slot, Wish
from wirecore.protocols.pool.errors import NoProvider
from wirecore.protocols.pool.statistics import PathStatistics

from .._errors import CallLost
from .._waiter import Waiter, outcome_of
from ._calling_channel import CallingChannel
from ._dispatching import Calls, Queued
from ._pending import PendingCall
from ._provider_connection import ProviderConnection
from ._request import Request, request_of

if TYPE_CHECKING:
    from ..websocket._opened import Upgraded
    from ._accepting import Bound
    from ._codecs import Gob, Json
    from ._identity import Introduction
    from ._node import LocalNode
    from ._options import PoolOptions
    from ._server import PoolServer


#: Providers that a call may lose before it is taken for what ends them.
_MOST_ATTEMPTS: Final = 10


class Binding:
    """Providers of one path. *names*: of the services that they serve; none: of all others.

    *node*: what stands between this server and others, if there are any. *packing*: how values go
    to these.
    """

    def __init__(
        self,
        path: str,
        names: tuple[str, ...],
        codec: Gob | Json,
        options: PoolOptions,
        node: LocalNode | None,
    ) -> None:
        self.path = path
        self.names = names
        self.codec = codec
        self.options = options
        self.node = node
        self.packing = codec.packing(options.max_message_size)
        self.dispatcher: Calls = Dispatcher(options.balancing, options.max_queue)
        #: The dispatcher's: without a look-up for each call that is submitted.
        self.turn = self.dispatcher.turn
        #: The connections that can be called over.
        self.connections: set[ProviderConnection] = set()
        self.statistics = PathStatistics()
        #: Calls of this server's that any node may make: they wait for one, or it is at them.
        self.elsewhere = 0
        self._waits: set[trio.CancelScope] = set()
        self._is_closed = False
        self._none_waits = trio.Event()

    def connect(
        self,
        server: PoolServer,
        bound: Bound,
        upgraded: Upgraded,
        introduction: Introduction,
        identity: str | None,
        peer: str,
    ) -> ProviderConnection:
        """The connection of a provider that was let in."""
        opened = upgraded.opened
        options = self.options
        assert opened.request is not None
        bounds = [each for each in (options.max_provider_calls, introduction.concurrency) if each]
        connection = ProviderConnection(
            self,
            identity=identity,
            labels=introduction.labels,
            capacity=min(bounds, default=None),
            http_request=opened.request,
            remote_address=peer,
            server=server,
            nursery=bound.nursery,
        )
        session = CallingSession(
            self.codec.calling(options.max_message_size, server._codec_backend),
            client=False,
            limits=options.limits,
            max_pending_calls=options.max_pending_calls,
            call_timeout=options.call_timeout,
            heartbeat=options.heartbeat(),
            close_timeout=options.close_timeout,
            extended=opened.subprotocol == PROTOCOL,
            backend=server._codec_backend,
        )
        who = f"{connection.identity} ({peer})" if connection.identity else peer
        connection._open(CallingChannel(upgraded.link, session, connection, options, peer=who))
        return connection

    # --- calls ----------------------------------------------------------------------------------

    def take(self, wish: Wish) -> ProviderConnection | None:
        """A provider for a call at once, which counts as outstanding there; None: it must wait."""
        if self.node is not None and wish.key is not None:
            return None
        slot = self.dispatcher.take(wish)
        return None if slot is None else slot.target

    def ask(
        self,
        provider: ProviderConnection,
        method: str,
        argument: Any,
        argument_type: Any,
        result: Any,
        *,
        own_time: bool = False,
    ) -> Waiter:
        """Send a call to *provider*, which was taken for it; see :meth:`CallingChannel.ask`.

        It is counted; where this raises only if it is NotConnected, which the caller sees to.
        """
        provider._counts.begin()
        try:
            return provider._channel.ask(method, argument, argument_type, result, own_time)
        except errors.NotConnected:
            raise
        except BaseException:
            provider._counts.take_back()
            raise

    def submitted_failed(
        self,
        provider: ProviderConnection,
        pending: PendingCall[Any],
        result: Any,
        begun: float,
        error: BaseException | None,
    ) -> None:
        """*pending* has no result of *provider*; no *error*: it was given up.

        It goes to another, where it may run again, within the time that it had.
        """
        if error is None:
            provider._counts.fail("cancelled")
            pending._fail(None)
            return
        request = request_of(pending.method, pending.argument, result, {})
        lost = self.count_failure(provider, error, request)
        if lost is None:
            pending._fail(error)
            return
        seconds = getattr(pending, "_seconds", self.options.call_timeout)
        pending._run_as(partial(self.call_within, request, begun, seconds, lost=lost))
        if not provider._server._run_soon(pending):
            self.statistics.give_up("cancelled")
            pending._fail(None)

    async def call_within(
        self,
        request: Request,
        begun: float,
        seconds: float | None,
        *,
        lost: CallLost | None = None,
    ) -> Any:
        """Call within *seconds* (None: any time) of *begun*, in trio's time.

        *lost*: it was with a provider, who is gone.
        """
        deadline = math.inf if seconds is None else begun + seconds
        provider = None
        node = None
        attempts = 0 if lost is None else 1
        with trio.CancelScope(deadline=deadline) as scope:
            await self._begin(deadline, lost)
            while True:
                node = self.node if self.node is not None and self.node.is_joined else None
                wish = request.wish
                if node is not None and wish.key is not None:
                    # For now: it keeps its key, as that provider may leave while it waits.
                    wish = node.settle(self, wish)
                slot = self.dispatcher.take(wish)
                if slot is None and node is not None:
                    break
                if slot is None:
                    slot = await self._wait(request.wish, deadline, lost)
                if slot is None:
                    continue
                provider = slot.target
                try:
                    last = attempts + 1 >= _MOST_ATTEMPTS
                    return await self._call_over(provider, request, deadline, last=last)
                except CallLost as error:
                    attempts += 1
                    if last or not self._may_run_again(request, error):
                        raise
                    lost = _more_doubtful(lost, error)
                provider = None
        if node is not None and not scope.cancelled_caught:
            return await self._call_elsewhere(node, request, deadline, lost)
        if provider is None:
            raise self._in_vain(f"{self._why_nobody(request.wish)} within {seconds:g} s", lost)
        peer = provider._channel.peer
        raise errors.CallTimeout(f"no answer of {peer} to {request.method} within {seconds:g} s")

    async def _begin(self, deadline: float, lost: CallLost | None) -> None:
        """Nothing is sent of what is cancelled by now; what was with a provider is counted."""
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            if lost is not None:
                self._give_up(deadline)
            raise

    async def _call_elsewhere(
        self, node: LocalNode, request: Request, deadline: float, lost: CallLost | None
    ) -> Any:
        """Have any node call. What a provider of another's has, or had, is counted there."""
        self.elsewhere += 1
        try:
            with self._one_more_waits(lost):
                return await node.submit(self, request, deadline)
            raise self._was_closed(lost)
        except NoProvider as error:
            self.statistics.give_up("timeout")
            raise self._in_vain(str(error), lost) from error
        except CallLost as error:
            if error.execution == "maybe_executed":
                raise
            self.statistics.give_up("lost")
            if lost is None or lost.execution == "not_sent":
                raise
            raise CallLost(str(error), execution=lost.execution) from error
        except trio.Cancelled:
            self.statistics.give_up("cancelled")
            raise
        finally:
            self.elsewhere -= 1

    @staticmethod
    def _in_vain(text: str, lost: CallLost | None) -> errors.CallTimeout:
        """No provider took a call in time; *lost* was with one."""
        if lost is None or lost.execution == "not_sent":
            return NoProvider(text)
        return errors.CallTimeout(f"{text}, after the one was lost that had it: {lost}")

    async def _call_over(
        self, provider: ProviderConnection, request: Request, deadline: float, *, last: bool
    ) -> Any:
        """One attempt, whose caller sees to its time. *last*: it isn't queued again after that."""
        again = None if last else request
        method, argument, argument_type, result, _, _ = request
        try:
            waiter = self.ask(provider, method, argument, argument_type, result, own_time=True)
        except errors.NotConnected as error:
            self.count_failure(provider, error, again, deadline)
            # Who tries again and again must let others run meanwhile.
            await trio.lowlevel.checkpoint()
            raise
        try:
            return await outcome_of(waiter)
        except BaseException as error:
            self.count_failure(provider, error, again, deadline)
            raise

    async def _wait(
        self, wish: Wish, deadline: float, lost: CallLost | None
    ) -> Slot[ProviderConnection] | None:
        """The slot of a provider that takes a call, which counts as outstanding there then.

        None: it may go to other nodes now. *lost*: it was with a provider, so it comes first.
        """
        queued = Queued(wish, self.dispatcher)
        try:
            with self._one_more_waits(lost):
                if self.node is None:
                    return await queued.wait(front=lost is not None)
                with self.node.until_joined():
                    return await queued.wait(front=lost is not None)
                return None
            raise self._was_closed(lost)
        except CallLost:
            self.statistics.give_up("lost")
            raise
        except trio.Cancelled:
            self._give_up(deadline)
            raise

    def _give_up(self, deadline: float) -> None:
        """Count a call that was cancelled, or whose time was up, when no provider had it."""
        late = trio.current_time() >= deadline
        self.statistics.give_up("timeout" if late else "cancelled")

    @contextmanager
    def _one_more_waits(self, lost: CallLost | None) -> Iterator[None]:
        """A call waits here for a provider, until the pool is closed: that cancels the scope."""
        if self._is_closed:
            raise self._was_closed(lost)
        scope = trio.CancelScope()
        self._waits.add(scope)
        try:
            with scope:
                yield
        finally:
            self._waits.discard(scope)
            if not self._waits:
                self._none_waits.set()

    def stop(self) -> None:
        """The pool is about to stop: it takes no new calls itself."""

    def close(self) -> None:
        """No provider will come any more: calls that wait for one fail."""
        self._is_closed = True
        for scope in list(self._waits):
            scope.cancel()

    def _was_closed(self, lost: CallLost | None) -> CallLost:
        return CallLost(
            f"the pool was shut down: {self.path} has no more providers",
            execution="not_sent" if lost is None else lost.execution,
        )

    def _may_run_again(self, request: Request, error: CallLost) -> bool:
        """Whether a call whose provider is gone is queued again."""
        lost = self.options.lost
        if lost == "safe":
            return request.idempotent or error.execution == "not_sent"
        return lost == "always"

    def count_failure(
        self,
        provider: ProviderConnection,
        error: BaseException,
        request: Request | None,
        deadline: float = math.inf,
    ) -> CallLost | None:
        """Count a call that *provider* had, and that ended with *error*.

        *request*: what it was, where it may be queued again: the error where it is to be.
        """
        counts = provider._counts
        if isinstance(error, CallLost):
            if request is not None and self._may_run_again(request, error):
                counts.queue_again()
                return error
            counts.fail("lost")
        elif isinstance(error, errors.CallTimeout):
            counts.fail("timeout")
        elif not isinstance(error, Exception):
            counts.fail("timeout" if trio.current_time() >= deadline else "cancelled")
        # All else was an answer, which was counted when it came, or couldn't be sent.
        return None

    async def wait_none_waits(self) -> None:
        """Wait until no call waits for a provider."""
        while self._waits:
            if self._none_waits.is_set():
                self._none_waits = trio.Event()
            await self._none_waits.wait()

    async def wait_idle(self) -> None:
        """Wait until no call waits for a provider, or an answer."""
        while self._waits or any(each._channel.session.table for each in self.connections):
            await self.wait_none_waits()
            for connection in list(self.connections):
                await connection._channel.wait_answered()

    def _why_nobody(self, wish: Wish) -> str:
        if not self.dispatcher.slots:
            return f"no provider is connected at {self.path}, and none came"
        wanted = [] if wish.provider is None else [f"is {wish.provider!r}"]
        if wish.labels:
            wanted.append(f"has the labels {', '.join(sorted(wish.labels))}")
        who = f"that {' and '.join(wanted)} " if wanted else ""
        if not any(
            wish.provider in (None, slot.identity) and wish.labels <= slot.labels
            for slot in self.dispatcher.slots
        ):
            return f"no provider {who}is connected at {self.path}, and none came"
        return f"no provider {who}at {self.path} was free to take the call"


def _more_doubtful(lost: CallLost | None, error: CallLost) -> CallLost:
    """Which of the two says what is known of a call that was lost twice."""
    return error if lost is None or error.execution == "maybe_executed" else lost
