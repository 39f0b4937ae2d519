"""The client: connects, reconnects with its session, requests and signals."""

from __future__ import annotations

import logging
import math
from collections.abc import Coroutine
from enum import Enum
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, overload

import trio

from wirecore import errors
from wirecore.protocols.webwire import (
    ClientSession,
    ConnectionTimeout,
    DeadlineExceeded,
    DialTimeout,
    Encoding,
    InternalError,
    Payload,
    Sendable,
    ServerShutdown,
    Session,
)
from wirecore.protocols.webwire.payload import split
from wirecore.session.limits import check_seconds

from .._arguments import require_seconds, require_type
from .._dial import fail_after
from .._errors import NotConnected
from .._supervise import RetryPolicy, dial_until_open, supervise
from ..websocket._client import Dialer
from ._channel import Channel
from ._codecs import Codec, require_codec
from ._errors import Disconnected
from ._events import ClientHooks, Events
from ._messages import ServerSignal
from ._options import ClientOptions, subprotocol_bytes

if TYPE_CHECKING:
    from wirecore._backend import Backend

logger = logging.getLogger("wirecore.webwire")

_BINARY: Final = Encoding.BINARY

#: Stands for the options' request_timeout.
_DEFAULT: Any = object()


class Status(Enum):
    """Where a client stands.

    *DISCONNECTED*: no connection, and no attempt under way. *CONNECTING*: an attempt is under
    way, or the next one waits. *CONNECTED*: requests go through. *CLOSED*: its ``async with`` was
    left.
    """

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


class Client(ClientHooks):
    """A client of a webwire server; :func:`connect` makes it.

    Its methods may be called by any number of tasks at once.
    """

    def __init__(
        self, dialer: Dialer, options: ClientOptions, *, autoconnect: bool, backend: Backend | None
    ) -> None:
        self._dialer = dialer
        self._options = options
        self._autoconnect = autoconnect
        self._backend = backend
        self._events = Events(options.max_queue)
        self._channel: Channel | None = None  # open, and the session restored
        self._last: Channel | None = None  # the last that was
        self._session: Session | None = None
        self._status = Status.DISCONNECTED
        self._changed = trio.Event()
        self._failure: Exception | None = None  # of what ended the attempts for good
        self._connections = 0
        # Over all connections, as the original counts: an id tells one request in logs.
        self._make_id = count(1).__next__
        self._nursery: trio.Nursery
        self._attempts: trio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<webwire.Client of {self._dialer.name}, {self._status.value}>"

    # --- state ----------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """Where it stands."""
        return self._status

    @property
    def session(self) -> Session | None:
        """The session, if there is one; kept, to be restored, while there is no connection."""
        return self._session

    @property
    def connections(self) -> int:
        """Connections made so far: 1 after the first, one more with each reconnect."""
        return self._connections

    @property
    def last_error(self) -> Exception | None:
        """Why the attempts to connect ended for good; None where they didn't."""
        return self._failure

    def _set(self, status: Status) -> None:
        if self._status is not Status.CLOSED:
            self._status = status
            changed, self._changed = self._changed, trio.Event()
            changed.set()

    # --- requests and signals -------------------------------------------------------------------

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
            if type(payload) is bytes:
                return channel.request(name, payload, _BINARY)
            return channel.request(name, *split(payload))
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
        require_seconds("timeout", seconds)
        check_seconds("timeout", seconds)
        deadline = math.inf if seconds is None else trio.current_time() + seconds
        channel = self._channel or await self._wait_connected(deadline, seconds)
        with trio.CancelScope(deadline=deadline) as scope:
            payload = await channel.request(name, data, encoding, own_time=True)
        if scope.cancelled_caught:
            raise DeadlineExceeded(f"no reply within {seconds:g} s")
        return payload if codec is None else codec.decode(payload)

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
                raise self._failure
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
        return "not connected"

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
        if channel is not None:
            return channel.signal(name, data, encoding)  # one frame less, as with requests
        return self._signal_later(name, data, encoding, wait=wait)

    async def _signal_later(self, name: str, data: bytes, encoding: int, *, wait: bool) -> None:
        if not wait:
            await trio.lowlevel.checkpoint()
            raise Disconnected(self._why_not(), execution="not_sent")
        seconds = self._options.request_timeout
        deadline = math.inf if seconds is None else trio.current_time() + seconds
        channel = await self._wait_connected(deadline, seconds)
        await channel.signal(name, data, encoding)

    # --- sessions -------------------------------------------------------------------------------

    async def restore_session(self, key: str) -> Session:
        """Take up the session of *key*, on a client that has none.

        Raises InvalidState where there is one, SessionNotFound, MaxSessionConnectionsReached,
        SessionsDisabled, and as :meth:`request`.
        """
        require_type("key", key, str)
        if self._session is not None:
            raise errors.InvalidState("there is a session: close it first")
        seconds = self._options.request_timeout
        deadline = math.inf if seconds is None else trio.current_time() + seconds
        channel = self._channel or await self._wait_connected(deadline, seconds)
        return await channel.restore_session(_key_bytes(key), self._restored)

    def _restored(self, reply: Payload) -> Session:
        session = Session.from_json(reply.data)
        self._session = session
        self._events.put("on_session_created", self._events.session_created, session)
        return session

    async def close_session(self) -> None:
        """End the session; nothing where there is none.

        The server forgets it if this was its last connection. Without a connection it is only
        forgotten here. Raises as :meth:`request`; the session stays then.
        """
        if self._session is None or self._channel is None:
            self._session = None
            await trio.lowlevel.checkpoint()
        else:
            await self._channel.close_session(self._session_ended)

    def _session_ended(self, reply: Payload) -> Payload:
        self._session = None
        return reply

    # --- connecting -----------------------------------------------------------------------------

    async def connect(self) -> None:
        """Wait until there is a connection; begin with it where nothing does.

        With ``autoconnect`` off it makes one attempt. Raises what that raised, or what ended
        the attempts for good; Disconnected where the client was left.
        """
        if self._status is Status.CLOSED:
            raise Disconnected(self._why_not(), execution="not_sent")
        if self._channel is None:
            self._begin()
            await self._opened()
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Disconnect, when no request waits for its reply any more.

        It stays so until the next :meth:`connect`, request or waiting signal. The session is
        kept, and restored then.
        """
        if self._channel is not None:
            await self._channel.wait_answered()
        await self._end()
        await trio.lowlevel.checkpoint()

    async def _end(self) -> None:
        """End the connection in good order, and whatever tries to make one."""
        attempts, self._attempts = self._attempts, None
        channel = self._channel
        if channel is not None:
            channel.close()
            self.lost(channel)
            await channel.wait_ended()
        elif attempts is not None:
            attempts.cancel()
            self._set(Status.DISCONNECTED)

    def _begin(self) -> None:
        """Have a task connect, if none does."""
        if self._attempts is None:
            self._failure = None
            self._attempts = trio.CancelScope()
            self._set(Status.CONNECTING)
            self._nursery.start_soon(self._keep_connected, self._attempts)

    async def _keep_connected(self, scope: trio.CancelScope) -> None:
        failure = None
        try:
            with scope:
                if self._last is not None:
                    await self._last.wait_ended()  # the server is to be through with it
                policy = self._options.retry
                if not self._autoconnect:
                    policy = RetryPolicy(backoff=policy.backoff, attempts=1)
                channel = await dial_until_open(self._attempt, policy, what=self._dialer.name)
                again = RetryPolicy(backoff=policy.backoff, persist=True)
                attend = partial(self._attend, scope)
                await supervise(channel, attend, self._attempt, again, what=self._dialer.name)
        except Exception as error:  # noqa: BLE001 - raised to whoever waits for the connection
            failure = error
        finally:
            if self._attempts is scope:
                self._attempts = None
                self._failure = failure
                self._set(Status.DISCONNECTED)

    async def _attempt(self) -> Channel:
        """One attempt, as far as the server's first message."""
        options = self._options
        name = self._dialer.name
        try:
            with fail_after(options.dial_timeout, f"no connection to {name}"):
                upgraded = await self._dialer.open()
                session = ClientSession(
                    buffer_size=options.buffer_size,
                    subprotocol=subprotocol_bytes(options.subprotocol),
                    limits=upgraded.opened.options.limits,
                    max_pending_requests=options.max_pending_requests,
                    request_timeout=options.request_timeout,
                    close_timeout=options.close_timeout,
                    make_id=self._make_id,
                    backend=self._backend,
                )
                channel = Channel(upgraded.link, session, self, options)
                self._nursery.start_soon(channel.run, upgraded.leftover)
                try:
                    await channel.wait_configured()
                except BaseException:
                    channel.abort()
                    raise
                return channel
        except TimeoutError as error:
            raise DialTimeout(str(error)) from error

    async def _attend(self, scope: trio.CancelScope, channel: Channel) -> bool:
        """Use *channel* until it is lost; whether another one is wanted then."""
        try:
            await self._restore(channel)
            if not channel.ended:
                self._channel = self._last = channel
                self._connections += 1
                self._set(Status.CONNECTED)
            await channel.wait_ended()
        finally:
            channel.abort()
        return self._autoconnect and self._attempts is scope

    async def _restore(self, channel: Channel) -> None:
        """Restore the session before anything else goes over *channel*."""
        session = self._session
        if session is None:
            return

        def take(reply: Payload) -> Session:
            # Where it was closed here meanwhile, it stays so.
            return self._restored(reply) if self._session is session else session

        try:
            await channel.restore_session(_key_bytes(session.key), take)
            if self._session is None:
                await channel.close_session(self._session_ended)
        except (
            NotConnected,
            Disconnected,
            ServerShutdown,
            InternalError,
            DeadlineExceeded,
        ) as error:
            # Nothing was said of the session itself: with the next connection, once more.
            logger.warning("the session couldn't be restored yet: %s", error)
            channel.abort()
        except errors.WirecoreError as error:
            logger.warning("the session is lost: %s", error)
            if self._session is session:
                self._session = None

    # --- what the server sends by itself, see Listener --------------------------------------------

    def signalled(self, name: str, payload: Payload) -> None:
        """See Listener."""
        self._events.put_signal(
            name, payload, lambda name, payload, value: ServerSignal(self, name, payload, value)
        )
        channel = self._channel
        if self._events.full and channel is not None:
            # A handler may wait for a reply, so where one is due the reader goes on; but not for
            # ever, as what waits is memory.
            if self._events.overfull:
                logger.warning("%r is disconnected: signals come faster than they are taken", self)
                channel.abort()
            elif not channel.asking:
                channel.pause()

    def session_created(self, json: bytes) -> None:
        """See Listener."""
        try:
            session = Session.from_json(json)
        except errors.InvalidMessage as error:
            logger.warning("a session of the server's was ignored: %s", error)
            return
        self._session = session
        self._events.put("on_session_created", self._events.session_created, session)

    def session_closed(self) -> None:
        """See Listener."""
        self._session = None
        self._events.put("on_session_closed", self._events.session_closed)

    def lost(self, channel: Channel) -> None:
        """See Listener."""
        if channel is self._channel:
            self._channel = None
            if not self._autoconnect:
                self._attempts = None  # what is asked for from now on begins anew
            self._set(Status.DISCONNECTED if self._attempts is None else Status.CONNECTING)
            if self._status is not Status.CLOSED:
                self._events.put("on_disconnected", self._events.disconnected)

    # --- async with, see Connecting ---------------------------------------------------------------

    async def _run_events(self) -> None:
        await self._events.run(self._read_on)

    def _read_on(self) -> None:
        if self._channel is not None:
            self._channel.read_on()

    async def _leave(self) -> None:
        self._set(Status.CLOSED)
        await self._end()


def _key_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
