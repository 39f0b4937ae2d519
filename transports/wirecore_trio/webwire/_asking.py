"""What a program asks of a server: requests and signals, over the connection that there is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, overload

import trio

from wirecore._backend import default
from wirecore.errors import InvalidMessage, LocalError
from wirecore.protocols.webwire import (
    ConnectionTimeout,
    DeadlineExceeded,
    Payload,
    Sendable,
)
from wirecore.protocols.webwire.payload import split
from wirecore.session.limits import check_seconds

from .._arguments import require_known, require_seconds, require_type
from .._pending import start
from .._submitting import DEFAULT as _DEFAULT
from ._codecs import Codec, require_codec
from ._errors import Disconnected, NotOpen
from ._events import ClientHooks
from ._pending import Done, PendingRequest
from ._status import Status

if TYPE_CHECKING:
    from wirecore_py.webwire_submitting import Submits

    from ._channel import Channel
    from ._options import ClientOptions
else:
    Submits = default.webwire_submitting.Submits


#: What ``submit`` takes besides a name, a payload and a Done.
_KEYWORDS: Final = frozenset({"timeout", "codec", "reply"})


class Asking(Submits, ClientHooks, ABC):
    """The half of a client that asks; :class:`Client` has the one that connects."""

    _autoconnect: bool
    _changed: trio.Event
    _channel: Channel | None
    _failure: Exception | None
    _nursery: trio.Nursery
    _options: ClientOptions
    _status: Status

    #: Whether all that is submitted has a task, as what goes around it wants.
    _in_tasks = False

    def __init__(self) -> None:
        super().__init__(PendingRequest, Done, split)

    @abstractmethod
    def _begin(self) -> None:
        """Have a task connect, if none does."""

    @overload
    def request(
        self,
        name: str = ...,
        payload: Sendable | Any = ...,
        *,
        timeout: float | None = ...,
        codec: None = ...,
        reply: None = ...,
    ) -> Coroutine[Any, Any, Payload]: ...

    @overload
    def request(
        self,
        name: str = ...,
        payload: Any = ...,
        *,
        timeout: float | None = ...,
        codec: Codec[Any] | None = ...,
        reply: Codec[Any] | None = ...,
    ) -> Coroutine[Any, Any, Any]: ...

    def request(
        self,
        name: str = "",
        payload: Sendable | Any = None,
        *,
        timeout: float | None = _DEFAULT,
        codec: Codec[Any] | None = None,
        reply: Codec[Any] | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Send a request and wait for its reply: ``reply = await client.request("echo", "hi")``.

        *payload*: ``str`` goes as UTF-8, bytes as binary, a Payload as it says; with a *codec*
        whatever that encodes. The reply is a :class:`Payload`, or what *reply* (None: *codec*)
        makes of it. Name or payload must be there. *timeout*: seconds, in place of the option
        ``request_timeout``; None: none. Cancel scopes are yours to use besides: a cancelled
        request is forgotten.

        Without connection it waits for one, or fails at once where ``autoconnect`` is off. Raises
        RequestError, InternalError and ServerShutdown, as the server answers;
        :class:`Disconnected`, which says what is known of the request, of which
        :class:`TransmissionFailed` is one kind; DeadlineExceeded without a reply in time,
        ConnectionTimeout without a connection; BufferOverflow, UnsendableMessage; InvalidMessage
        for a reply that *reply* can't read; what ended the attempts to connect for good.
        """
        channel = self._channel
        if channel is not None and timeout is _DEFAULT and codec is None and reply is None:
            # The channel's own coroutine: one frame less to resume for every request.
            data, encoding = split(payload)
            return channel.request(name, data, encoding)
        require_codec("codec", codec)
        require_codec("reply", reply)
        data, encoding = split(payload if codec is None else codec.encode(payload))
        seconds = self._options.request_timeout if timeout is _DEFAULT else timeout
        return self._request(name, data, encoding, seconds, reply or codec)

    async def _request(
        self,
        name: str,
        data: bytes,
        encoding: int,
        seconds: float | None,
        codec: Codec[Any] | None,
    ) -> Any:
        _check_timeout(seconds)
        deadline = math.inf if seconds is None else trio.current_time() + seconds
        payload: Payload | None = None
        while payload is None:
            channel = self._channel or await self._wait_connected(deadline, seconds)
            with trio.CancelScope(deadline=deadline) as scope:
                try:
                    payload = await channel.request(name, data, encoding, own_time=True)
                except NotOpen:
                    if not self._autoconnect:
                        raise
                    await channel.wait_ended()  # then there is room for the next
            if scope.cancelled_caught:
                raise DeadlineExceeded(f"no reply within {seconds:g} s")
        return payload if codec is None else _decode(name, codec, payload)

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # its keywords are told
        def submit(
            self,
            name: str = ...,
            payload: Sendable | Any = ...,
            *,
            done: Done[Payload] | None = ...,
            timeout: float | None = ...,
            codec: None = ...,
            reply: None = ...,
        ) -> PendingRequest[Payload]: ...

        @overload
        def submit(
            self,
            name: str = ...,
            payload: Any = ...,
            *,
            done: Done[Any] | None = ...,
            timeout: float | None = ...,
            codec: Codec[Any] | None = ...,
            reply: Codec[Any] | None = ...,
        ) -> PendingRequest[Any]: ...

        def submit(self, *_: Any, **__: Any) -> Any:
            """See Submits."""

    def _check(self, name: object, done: object) -> None:
        require_type("name", name, str)
        require_type("done", done, Done, hint="one that webwire.Done() has made", optional=True)

    def _submit_otherwise(
        self, pending: PendingRequest[Any], name: str, payload: Any, keywords: dict[str, Any]
    ) -> None:
        require_known("submit", keywords, _KEYWORDS)
        self._submit_with(pending, name, payload, **keywords)

    def _submit_with(
        self,
        pending: PendingRequest[Any],
        name: str,
        payload: Any,
        *,
        timeout: float | None = _DEFAULT,
        codec: Codec[Any] | None = None,
        reply: Codec[Any] | None = None,
    ) -> None:
        take = None
        reader = codec if reply is None else reply
        if reader is not None:
            require_codec("codec", codec)
            require_codec("reply", reply)
            take = partial(_decode, name, reader)
        channel = self._channel
        if timeout is not _DEFAULT:
            _check_timeout(timeout)
        try:
            data, encoding = split(payload if codec is None else codec.encode(payload))
            if (
                channel is not None
                and not self._submitted
                and not self._in_tasks
                and channel.submit(pending, name, data, encoding, take, timeout)
            ):
                return
        except LocalError as error:
            pending._fail(error)
            return
        if timeout is _DEFAULT:
            timeout = self._options.request_timeout
        if self._status is Status.CLOSED:
            pending._fail(Disconnected(self._why_not(), execution="not_sent"))
            return
        call = partial(self._request_later, name, data, encoding, timeout, reader)
        start(pending, call, self._nursery, self._submitted)

    async def _request_later(self, *arguments: Any) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        return await self._request(*arguments)

    async def _ask_again(self, name: str, data: bytes, encoding: int) -> Payload:
        """See Listener."""
        seconds = self._options.request_timeout
        reply: Payload = await self._request(name, data, encoding, seconds, None)
        return reply

    async def _wait_connected(self, deadline: float, seconds: float | None) -> Channel:
        """The open connection, which is waited for, and begun if autoconnect may."""
        if not self._autoconnect or self._status is Status.CLOSED:
            await trio.lowlevel.checkpoint()
            raise Disconnected(self._why_not(), execution="not_sent")
        self._begin()
        with trio.CancelScope(deadline=deadline) as scope:
            return await self._opened()
        assert scope.cancelled_caught
        raise ConnectionTimeout(f"no connection within {seconds:g} s; nothing was sent")

    async def _opened(self) -> Channel:
        while self._channel is None:
            if self._status is Status.CLOSED:
                raise Disconnected(self._why_not(), execution="not_sent")
            if self._failure is not None:
                raise self._failure.with_traceback(None)  # in each task that waits
            if self._status is Status.DISCONNECTED:
                raise Disconnected(
                    "the client was told to close, or lost its connection at once",
                    execution="not_sent",
                )
            await self._changed.wait()
        return self._channel

    def _why_not(self) -> str:
        if self._status is Status.CLOSED:
            return "this client was left: use it within its async with"
        if self._autoconnect:
            return "not connected"
        failed = "" if self._failure is None else f" (it has failed: {self._failure})"
        return f"not connected, and autoconnect is off: await client.connect(){failed}"

    def signal(
        self,
        name: str = "",
        payload: Sendable | Any = None,
        *,
        codec: Codec[Any] | None = None,
        wait: bool = False,
    ) -> Coroutine[Any, Any, None]:
        """Send a signal; nothing comes back. *payload*, *codec*: as :meth:`request` has them.

        Without connection it fails at once, with :class:`Disconnected`; with *wait* it waits for
        one, up to ``request_timeout``. It waits while too much waits to be sent. Raises as
        :meth:`request` otherwise.
        """
        data, encoding = split(payload if codec is None else codec.encode(payload))
        channel = self._channel
        if channel is not None and not wait:
            return channel.signal(name, data, encoding)  # one frame less, as with requests
        return self._signal_later(name, data, encoding, wait=wait)

    async def _signal_later(self, name: str, data: bytes, encoding: int, *, wait: bool) -> None:
        if not wait:
            await trio.lowlevel.checkpoint()
            raise Disconnected(self._why_not(), execution="not_sent")
        seconds = self._options.request_timeout
        deadline = math.inf if seconds is None else trio.current_time() + seconds
        while True:
            channel = self._channel or await self._wait_connected(deadline, seconds)
            try:
                return await channel.signal(name, data, encoding)
            except NotOpen:
                if not self._autoconnect:
                    raise
            await channel.wait_ended()


def _check_timeout(seconds: float | None) -> None:
    require_seconds("timeout", seconds)
    check_seconds("timeout", seconds)


def _decode(name: str, codec: Codec[Any], payload: Payload) -> Any:
    """The value of *payload*, the reply to request *name*."""
    try:
        return codec.decode(payload)
    except InvalidMessage as error:
        raise InvalidMessage(f"the reply to {name!r}: {error}") from error
