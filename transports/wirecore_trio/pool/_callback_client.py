"""The other direction: a provider that calls what its pool serves, Go's Use."""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

import trio

from wirecore import errors

from .._arguments import require_known, require_type
from .._errors import NotConnected
from .._pending import Pending, start
from .._submitting import DEFAULT
from ._calling_channel import CallingChannel
from ._kept import Kept
from ._line import Line
from ._pending import Done, PendingCall
from ._request import check_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..websocket._client import Dialer
    from ..websocket._opened import Upgraded
    from ._options import ProviderOptions

T = TypeVar("T")

_KEYWORDS = ("argument_type", "timeout")


class CallbackClient(Kept[CallingChannel]):
    """Calls to a pool, over a connection that is kept up; ``connect_callbacks`` gives it."""

    #: Whether all that is submitted has a task, as what goes around it wants.
    _in_tasks = False

    def __init__(
        self,
        dialer: Dialer,
        options: ProviderOptions,
        make: Callable[[Upgraded, CallbackClient], CallingChannel],
        codec: str,
    ) -> None:
        super().__init__(options)
        self._name = dialer.name
        #: What it dials with, and the name of the codec that it speaks there.
        self._dialer = dialer
        self._codec = codec
        self._line = Line(0, dialer, options, lambda upgraded: make(upgraded, self), self._events)
        self._lines = [self._line]
        self._submitted: deque[Pending[Any]] = deque()

    @overload
    async def call(self, method: str, argument: Any, result: type[T], **keywords: Any) -> T: ...

    @overload
    async def call(
        self, method: str, argument: Any = None, result: Any = Any, **keywords: Any
    ) -> Any: ...

    async def call(
        self, method: str, argument: Any = None, result: Any = Any, **keywords: Any
    ) -> Any:
        """Call *method*, ``Service.Method``, of the pool's, and return its result.

        *argument*, *result*, *argument_type* and *timeout* are as in :meth:`PoolServer.call`. It
        waits for a connection, within its time. It isn't tried again.

        Raises RpcError for an error that the pool answered; InvalidValue where the result is no
        *result*; CallLost where the connection was lost; CallTimeout where nothing was answered in
        time; and for what can't be sent UnsendableMessage, InvalidGobType, InvalidJsonType and
        LocalLimitExceeded.
        """
        require_type("method", method, str)
        require_known("call", keywords, _KEYWORDS)
        channel = self._line.channel
        argument_type = keywords.get("argument_type", Any)
        if channel is not None and "timeout" not in keywords and not channel.crowded:
            return await channel.call(method, argument, argument_type, result)
        seconds = keywords.get("timeout", self._options.call_timeout)
        check_timeout(seconds)
        with trio.move_on_after(math.inf if seconds is None else seconds):
            channel = await self._connection()
            return await channel.call(method, argument, argument_type, result, own_time=True)
        what = "no connection to" if channel is None else "no answer of"
        raise errors.CallTimeout(f"{what} {self._name} within {seconds:g} s")

    async def _connection(self) -> CallingChannel:
        while True:
            channel = self._line.channel
            if channel is None:
                if self.closed:
                    raise NotConnected(f"the client of {self._name} was closed")
                await self._events.wait()
            elif channel.crowded:
                await channel.drained()
            else:
                return channel

    @overload
    def submit(
        self,
        method: str,
        argument: Any,
        result: type[T],
        *,
        done: Done[T] | None = None,
        **keywords: Any,
    ) -> PendingCall[T]: ...

    @overload
    def submit(
        self,
        method: str,
        argument: Any = None,
        result: Any = Any,
        *,
        done: Done[Any] | None = None,
        **keywords: Any,
    ) -> PendingCall[Any]: ...

    def submit(
        self,
        method: str,
        argument: Any = None,
        result: Any = Any,
        *,
        done: Done[Any] | None = None,
        **keywords: Any,
    ) -> PendingCall[Any]:
        """Begin a call that goes on by itself; its :class:`PendingCall`. As :meth:`call`.

        *done*: is given the call when it has ended.
        """
        require_type("done", done, Done, optional=True, hint="one that pool.Done() has made")
        require_type("method", method, str)
        require_known("submit", keywords, _KEYWORDS)
        if self.closed:
            raise errors.InvalidState(f"the client of {self._name} was closed")
        pending: PendingCall[Any] = PendingCall(method, argument, done)
        channel = self._line.channel
        own = keywords.get("timeout", DEFAULT)
        if own is not DEFAULT:
            check_timeout(own)
        wants_task = self._in_tasks or self._submitted or "argument_type" in keywords
        if channel is not None and not (wants_task or channel.crowded):
            try:
                channel.submit(pending, result, own)
            except Exception as error:  # noqa: BLE001 - raised to whoever waits
                pending._fail(error)
            return pending
        call = partial(self._call_later, method, argument, result, **keywords)
        start(pending, call, self._nursery, self._submitted)
        return pending

    async def _call_later(self, *arguments: Any, **keywords: Any) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        return await self.call(*arguments, **keywords)

    # --- see CallOwner --------------------------------------------------------------------------

    def _answered(
        self,
        channel: CallingChannel,
        durations: Sequence[float],
        failed: int,
        count: int,
        now: float,
    ) -> None:
        """See CallOwner: nobody counts them here."""

    def _crowded(self, channel: CallingChannel) -> None:
        """See CallOwner: each call looks for itself."""

    def _leaving(self, channel: CallingChannel) -> None:
        """See CallOwner: pools don't."""

    def _failed(
        self,
        channel: CallingChannel,
        pending: PendingCall[Any],
        error: BaseException | None,
    ) -> None:
        """See CallOwner: none is tried again."""
        pending._fail(error)

    def _gone(self, channel: CallingChannel) -> None:
        """See CallOwner: no more calls go over it."""
        if self._line.channel is channel:
            self._line.channel = None
