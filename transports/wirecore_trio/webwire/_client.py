"""The client: connects, reconnects with its session, requests and signals."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, TypeVar

import trio

from wirecore import errors
from wirecore.protocols.webwire import (
    PROTOCOL,
    ClientSession,
    DeadlineExceeded,
    DialTimeout,
    InternalError,
    Payload,
    ServerShutdown,
    Session,
)
from wirecore.session.fields import CallFields

from .._arguments import require_type
from .._dial import fail_after
from .._errors import NotConnected
from .._supervise import RetryPolicy, dial_until_open, supervise
from ..websocket._client import Dialer
from ._asking import Asking
from ._channel import Channel
from ._errors import Disconnected
from ._events import Events
from ._messages import ServerSignal
from ._options import ClientOptions, subprotocol_bytes
from ._status import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wirecore._backend import Backend

T = TypeVar("T")

logger = logging.getLogger("wirecore.webwire")


class Client(Asking):
    """A client of a webwire server; :func:`connect` makes it.

    Its methods may be called by any number of tasks at once.
    """

    def __init__(
        self, dialer: Dialer, options: ClientOptions, *, autoconnect: bool, backend: Backend | None
    ) -> None:
        super().__init__()
        self._dialer = dialer
        self._options = options
        self._autoconnect = autoconnect
        self._backend = backend
        self._events = Events(options.max_queue)
        self._last: Channel | None = None  # the last that was
        self._paused: Channel | None = None  # isn't read, as too much waits
        self._session: Session | None = None
        self._status = Status.DISCONNECTED
        self._changed = trio.Event()
        self._failure: Exception | None = None  # of what ended the attempts for good
        # The session that is being restored, and since when.
        self._tried: tuple[Session | None, float] = (None, 0.0)
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
        restore = partial(channel.restore_session, _key_bytes(key), self._restored)
        return await self._go_through(channel, restore)

    async def _go_through(self, channel: Channel, ask: Callable[[], Awaitable[T]]) -> T:
        """What the server answers, which is heard, too, where who asked is cancelled meanwhile.

        The server does what it was asked for in any case: so one mind is kept.
        """
        outcome: T | Exception | None = None
        answered = trio.Event()

        async def run() -> None:
            nonlocal outcome
            try:
                outcome = await ask()
            except DeadlineExceeded as error:
                outcome = error
                channel.abort()  # what the server has done, or will, nobody knows
            except Exception as error:  # noqa: BLE001 - raised to who asked
                outcome = error
            finally:
                answered.set()

        self._nursery.start_soon(run)
        await answered.wait()
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is None:
            raise Disconnected("the client was left meanwhile", execution="maybe_executed")
        return outcome

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
            channel = self._channel
            await self._go_through(channel, partial(channel.close_session, self._session_ended))

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
        self._tried = None, 0.0
        await self._end()
        await trio.lowlevel.checkpoint()

    async def _end(self) -> None:
        """End the connection in good order, and whatever tries to make one."""
        attempts, self._attempts = self._attempts, None
        channel = self._channel
        if channel is not None:
            channel.close()
            self._lost(channel)
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
        try:
            return await self._dial()
        except BaseException:
            self._tried = None, 0.0  # the server isn't there, so it fails at nothing
            raise

    async def _dial(self) -> Channel:
        options = self._options
        name = self._dialer.name
        try:
            with fail_after(options.dial_timeout, f"no connection to {name}"):
                upgraded = await self._offering().open()
                session = ClientSession(
                    buffer_size=options.buffer_size,
                    subprotocol=subprotocol_bytes(options.subprotocol),
                    limits=upgraded.opened.options.limits,
                    max_pending_requests=options.max_pending_requests,
                    request_timeout=options.request_timeout,
                    close_timeout=options.close_timeout,
                    make_id=self._make_id,
                    takes_fields=upgraded.opened.subprotocol == PROTOCOL,
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

    def _offering(self) -> Dialer:
        """What dials. Only where somebody wants to know what goes with requests is that offered."""
        if not CallFields.wanted:
            return self._dialer
        return replace(self._dialer, subprotocols=(PROTOCOL,))

    async def _attend(self, scope: trio.CancelScope, channel: Channel) -> bool:
        """Use *channel* until it is lost; whether another one is wanted then."""
        try:
            await self._restore(channel)
            if not channel.ended:
                self._channel = self._last = channel
                self._connections += 1
                self._set(Status.CONNECTED)
                self._events.put("on_connected", self._events.connected)
            await channel.wait_ended()
        finally:
            channel.abort()
        await self._events.wait_room()  # or each connection would add what there is no room for
        return self._autoconnect and self._attempts is scope

    async def _restore(self, channel: Channel) -> None:
        """Restore the session before anything else goes over *channel*."""
        session = self._session
        if session is None:
            return
        now = trio.current_time()
        if self._tried[0] is not session:
            self._tried = session, now
        patience = self._options.restore_timeout
        deadline = math.inf if patience is None else self._tried[1] + patience

        def take(reply: Payload) -> Session:
            # Where it was closed here meanwhile, it stays so.
            return self._restored(reply) if self._session is session else session

        try:
            with trio.CancelScope(deadline=max(deadline, now)) as scope:
                await channel.restore_session(_key_bytes(session.key), take)
                if self._session is None:
                    await channel.close_session(self._session_ended)
                self._tried = None, 0.0
            if scope.cancelled_caught:
                self._forget(session, DeadlineExceeded(f"not restored within {patience:g} s"))
                channel.abort()  # the server may restore it yet
        except (NotConnected, Disconnected, ServerShutdown) as error:
            self._tried = None, 0.0
            self._restore_later(channel, error)
        except (InternalError, DeadlineExceeded) as error:
            # Nothing was said of the session itself, but it mustn't keep us away for ever.
            if isinstance(error, DeadlineExceeded) or trio.current_time() < deadline:
                self._restore_later(channel, error)
            else:
                self._forget(session, error)
        except errors.WirecoreError as error:
            self._forget(session, error)

    def _restore_later(self, channel: Channel, error: Exception) -> None:
        logger.warning("the session couldn't be restored yet: %s", error)
        channel.abort()

    def _forget(self, session: Session, error: Exception) -> None:
        logger.warning("the session is lost: %s", error)
        self._tried = None, 0.0
        if self._session is session:
            self._session = None
            self._events.put("on_session_refused", self._events.session_refused, error)

    # --- what the server sends by itself, see Listener --------------------------------------------

    def _signalled(self, channel: Channel, name: str, payload: Payload) -> None:
        """See Listener."""
        if channel.ended:
            return  # of the same read as what has ended it
        self._events.put_signal(
            name, payload, lambda name, payload, value: ServerSignal(self, name, payload, value)
        )
        self._slow_down(channel)

    def _session_created(self, channel: Channel, json: bytes) -> None:
        """See Listener."""
        if channel.ended:
            return
        try:
            session = Session.from_json(json)
        except errors.InvalidMessage as error:
            logger.warning("a session of the server's was ignored: %s", error)
            return
        self._session = session
        self._events.put("on_session_created", self._events.session_created, session)
        self._slow_down(channel)

    def _session_closed(self, channel: Channel) -> None:
        """See Listener."""
        if channel.ended:
            return
        self._session = None
        self._events.put("on_session_closed", self._events.session_closed)
        self._slow_down(channel)

    def _slow_down(self, channel: Channel) -> None:
        # A handler may wait for a reply, so where one is due the reader goes on; but not for
        # ever, as what waits is memory.
        if self._events.full:
            if self._events.overfull:
                logger.warning("%r is disconnected: signals come faster than they are taken", self)
                channel.abort()
            elif not channel.asking:
                channel.pause()
                self._paused = channel

    def _lost(self, channel: Channel) -> None:
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
        if self._paused is not None:
            self._paused.read_on()
            self._paused = None

    async def _leave(self) -> None:
        self._set(Status.CLOSED)
        await self._end()


def _key_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
