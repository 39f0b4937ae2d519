"""A session over a stream, or over a WebSocket that is dialled for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Generic, Protocol, TypeAlias, Unpack

import trio

from wirecore.errors import InvalidState

from .._arguments import require_callable, require_type
from .._connecting import Leavable, OneAfterAnother, OneConnection
from .._errors import require_trio
from .._link import link_for
from .._supervise import RetryPolicy
from .._tasks import HiddenNursery
from ..websocket._client import Dialer, DialOptions, make_dialer
from ..websocket._opened import Opened
from ..websocket._options import Options
from ._running import AnyOwner, AnySession, Attended, Running

#: Makes the session of a WebSocket whose handshake is through.
MakeSession: TypeAlias = Callable[[Opened], AnySession]

#: Makes the owner of a session that is about to run.
MakeOwner: TypeAlias = Callable[[Running[AnySession]], AnyOwner]


def require_makers(make_session: object, make_owner: object) -> None:
    """Raise TypeError unless they may be what they are called."""
    require_callable("make_session", make_session, "opened")
    require_callable("make_owner", make_owner, "running")


class _Begins(Protocol):
    """What makes running sessions, whose tasks are started in *nursery*."""

    @property
    def name(self) -> str:
        """The peer's name for logs."""

    async def begin(self) -> Attended[Any, Any]:
        """One attempt; the session doesn't run yet."""


class _OverStream(Generic[AnySession, AnyOwner]):
    name = "a stream"

    def __init__(
        self,
        stream: trio.abc.Stream,
        session: AnySession,
        make_owner: MakeOwner[AnySession, AnyOwner],
        options: Options,
    ) -> None:
        require_callable("make_owner", make_owner, "running")
        self._stream = stream
        self._session = session
        self._make_owner = make_owner
        self._options = options
        self._begun = False

    async def begin(self) -> Attended[AnySession, AnyOwner]:
        if self._begun:
            raise InvalidState("this session has run: call run_session again, with new ones")
        self._begun = True
        return Attended(
            link_for(self._stream),
            self._session,
            self._make_owner,
            options=self._options,
            name=self.name,
        )


class _OverWebSocket(Generic[AnySession, AnyOwner]):
    def __init__(
        self,
        dialer: Dialer,
        make_session: MakeSession[AnySession],
        make_owner: MakeOwner[AnySession, AnyOwner],
    ) -> None:
        require_makers(make_session, make_owner)
        self._dialer = dialer
        self._make_session = make_session
        self._make_owner = make_owner

    @property
    def name(self) -> str:
        return self._dialer.name

    async def begin(self) -> Attended[AnySession, AnyOwner]:
        upgraded = await self._dialer.open()
        try:
            session = self._make_session(upgraded.opened)
        except BaseException:
            upgraded.link.close()
            raise
        return Attended(
            upgraded.link,
            session,
            self._make_owner,
            options=self._dialer.options,
            leftover=upgraded.leftover,
            name=self.name,
        )


class _Started(Generic[AnyOwner]):
    """Dials, and has what it dialled run in the tasks of the one who entered it."""

    def __init__(self, begins: _Begins) -> None:
        self._begins = begins
        self.tasks = HiddenNursery()

    @property
    def name(self) -> str:
        return self._begins.name

    async def dial(self) -> Leavable[AnyOwner]:
        attended = await self._begins.begin()
        try:
            await self.tasks.nursery.start(attended.run)
        except BaseException:
            attended.running.abort()
            raise
        return attended


class Connecting(OneConnection[AnyOwner]):
    """What :func:`run_session` and :func:`connect_session` return: ``async with`` it."""

    _use = "use async with run_session(...) as owner, or connect_session(...)"

    def __init__(self, begins: _Begins, retry: RetryPolicy | None) -> None:
        started: _Started[AnyOwner] = _Started(begins)
        super().__init__(started, retry)
        self._tasks = started.tasks

    async def __aenter__(self) -> AnyOwner:
        require_trio()
        await self._tasks.enter()
        try:
            return await super().__aenter__()
        except BaseException as error:
            await self._tasks.leave(error)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        finally:
            await self._tasks.leave(error)


class Reconnecting(OneAfterAnother[AnyOwner]):
    """What :func:`reconnecting_sessions` returns: an async context manager of owners."""

    _use = "use async with reconnecting_sessions(...) as owners, and async for owner in owners"

    def __init__(self, begins: _Begins, policy: RetryPolicy) -> None:
        started: _Started[AnyOwner] = _Started(begins)
        super().__init__(started, policy)
        self._tasks = started.tasks

    async def __aenter__(self) -> AsyncIterator[AnyOwner]:
        require_trio()
        await self._tasks.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        finally:
            await self._tasks.leave(error)


def run_session(
    stream: trio.abc.Stream,
    session: AnySession,
    make_owner: MakeOwner[AnySession, AnyOwner],
    *,
    options: Options | None = None,
) -> Connecting[AnyOwner]:
    """Run *session* over *stream*: ``async with run_session(stream, session, Peer) as peer: ...``.

    *stream*: any ``trio.abc.Stream``, which belongs to the session from now on; what begins a
    connection, TLS or an upgrade, is behind it. *make_owner* is called once with the
    :class:`Running` session and returns its :class:`Owner`, which is what entering gives. The
    session is begun then, and read until it ends, whatever the body does.

    *options*: ``high_water``, ``write_timeout``, ``close_timeout`` and ``eager_wait`` count here;
    what else is in there is the session's matter.

    Leaving closes in good order (``session.close()``, and up to ``close_timeout`` for it to
    finish) and cancels the owner's tasks; left by an exception it waits for nothing, and the
    exception arrives as itself. The end of the connection, which only the owner is told, doesn't
    end the body. What the session or its owner raises where it mustn't is logged (logger
    ``wirecore.session`` or ``wirecore.pump``) and ends the connection.

    Entering raises what *make_owner* raises, and InvalidState the second time; the call itself
    TypeError for wrong arguments.
    """
    require_type("stream", stream, trio.abc.Stream)
    if isinstance(session, type):
        raise TypeError(f"{session.__name__} is a class: give a session, as {session.__name__}()")
    require_type("options", options, Options, optional=True)
    return Connecting(_OverStream(stream, session, make_owner, options or Options()), None)


def connect_session(
    url: str | None,
    make_session: MakeSession[AnySession],
    make_owner: MakeOwner[AnySession, AnyOwner],
    *,
    retry: RetryPolicy | None = None,
    **dialing: Unpack[DialOptions],
) -> Connecting[AnyOwner]:
    """Connect to *url* and run a session over it: ``async with connect_session(...) as owner``.

    Dials as :func:`wirecore_trio.websocket.connect` does, whose arguments it takes and whose
    errors it raises; *url* is None where ``prepare`` gives one. *make_session* is called with
    what was :class:`Opened` and returns the session: ``opened.connection()`` is the WebSocket for
    it to compose, as the ``options`` have it (of these, ``max_queue`` and ``max_queue_bytes``
    don't count: what is received goes to the owner at once). All else is as in
    :func:`run_session`.
    """
    dialer = make_dialer("connect_session", url, retry, dialing)
    return Connecting(_OverWebSocket(dialer, make_session, make_owner), retry)


def reconnecting_sessions(
    url: str | None,
    make_session: MakeSession[AnySession],
    make_owner: MakeOwner[AnySession, AnyOwner],
    *,
    retry: RetryPolicy | None = None,
    **dialing: Unpack[DialOptions],
) -> Reconnecting[AnyOwner]:
    """Session after session, for ever, each over a connection of its own::

        async with reconnecting_sessions(url, make_session, Peer) as peers:
            async for peer in peers:
                ...

    The body runs once for each connection; when it is through, the connection is closed and
    the next one dialled, after delays as in :func:`wirecore_trio.websocket.reconnecting`: it is
    the body that finds out that a connection is lost, say by ``await running.wait_ended()``.
    Each has a session and an owner of its own. Arguments and errors are those of
    :func:`connect_session`.
    """
    dialer = make_dialer("reconnecting_sessions", url, retry, dialing)
    return Reconnecting(_OverWebSocket(dialer, make_session, make_owner), retry or RetryPolicy())


__all__ = [
    "Connecting",
    "MakeOwner",
    "MakeSession",
    "Reconnecting",
    "connect_session",
    "reconnecting_sessions",
    "run_session",
]
