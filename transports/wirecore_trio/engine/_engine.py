"""The engine: it dials, reads, calls the user's callbacks, and connects again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING

import trio

from wirecore import errors
from wirecore.protocols.engine import EngineStartError, State, StopTimeout
from wirecore.session.limits import check_above

from .._arguments import kind_of, require_plain, require_seconds, require_type
from .._dial import parse_url
from .._errors import NotConnected, require_trio
from .._tasks import HiddenNursery
from ._handler import Callbacks, Handler, functions_of
from ._messages import require_message_or_maker
from ._options import Options
from ._runner import Runner
from ._spans import Spans
from ._subscriptions import Subscription, Subscriptions
from .adapters import Adapter, Message, WirecoreAdapter
from .adapters._contract import require_adapter

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from ._session import Session


class Engine:
    """A WebSocket client that is kept up, and calls *handler*::

        async with Engine("wss://example.com/feed", handler) as engine:
            ...

    *url*: ``ws://`` or ``wss://``. *handler*: a :class:`Handler` of yours, or :class:`Callbacks`.
    *options*: see :class:`Options`. *adapter*: the WebSocket library; wirecore's own by default.
    *tracer_provider*: of OpenTelemetry, which must be installed then; False: no spans, whatever
    :func:`wirecore_trio.telemetry.instrument` says. *autostart*: whether entering starts it.

    Entering raises as :meth:`start`. Leaving stops it, where it is started, and waits until
    the callbacks that run are through; where the body raised or was cancelled these are cancelled.
    An exception of the body arrives as itself. Callbacks that raise are logged (logger
    ``wirecore.engine``), and on_open's error is raised; see :class:`Handler`.

    Raises InvalidOption for an URL that is none, TypeError for arguments of other types, and for
    callbacks that take something else or would never run.
    """

    def __init__(
        self,
        url: str,
        handler: Handler | Callbacks,
        options: Options | None = None,
        *,
        adapter: Adapter | None = None,
        tracer_provider: TracerProvider | bool | None = None,
        autostart: bool = True,
    ) -> None:
        parse_url(url)
        require_type("handler", handler, (Handler, Callbacks))
        require_type("options", options, Options, optional=True)
        require_type("autostart", autostart, bool)
        if adapter is not None:
            require_adapter(adapter)
        self.url = url
        self.options = Options() if options is None else options
        self._autostart = autostart
        self._spans = _spans(tracer_provider)
        self._subscriptions = Subscriptions()
        self._runner = Runner(
            url,
            self.options,
            functions_of(handler),
            WirecoreAdapter() if adapter is None else adapter,
            self._spans,
            self._subscriptions,
            self._start_soon,
        )
        self._tasks = HiddenNursery()
        self._entered = False
        self._left = False
        self._running = 0  # tasks of ours
        self._quiet = trio.Event()  # set when that is 0

    def __repr__(self) -> str:
        return f"<engine.Engine of {parse_url(self.url).name}, {self._runner.state.name.lower()}>"

    # --- async with -----------------------------------------------------------------------------

    async def __aenter__(self) -> Engine:
        require_trio()
        if self._entered:
            raise errors.InvalidState(
                "this engine was entered already: make another one, or stop and start it within"
                " its async with"
            )
        self._entered = True
        await self._tasks.enter()
        try:
            if self._autostart:
                await self.start()
        except BaseException as error:
            await self._tasks.leave(error)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._runner.state is not State.IDLE and (
                error is None or isinstance(error, Exception)
            ):
                await self.stop()
            while error is None and self._running:
                self._quiet = trio.Event()
                await self._quiet.wait()
        except BaseException as left:
            if error is None:
                error = left
                raise
        finally:
            self._left = True
            await self._tasks.leave(error)

    def _start_soon(self, function: Callable[..., Awaitable[object]], *arguments: object) -> None:
        self._running += 1
        self._tasks.nursery.start_soon(self._counted, function, *arguments)

    async def _counted(
        self, function: Callable[..., Awaitable[object]], *arguments: object
    ) -> None:
        try:
            await function(*arguments)
        finally:
            self._running -= 1
            if not self._running:
                self._quiet.set()

    # --- what users ask -------------------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether it is started: from the end of :meth:`start` to its end, in outages too."""
        return self._runner.machine.started

    @property
    def session(self) -> Session | None:
        """The open connection; None while there is none."""
        return self._runner.session if self._runner.state is State.OPEN else None

    async def start(self) -> None:
        """Connect, and call on_open; then read and call in the background.

        Raises EngineStartError, whose cause is what stood in the way: an attempt isn't repeated
        here. AlreadyStarted, which is one, where it is started. Cancelled, the attempt ends, and
        nothing of it is left; the engine itself ends with :meth:`stop`.
        """
        if not self._entered or self._left:
            raise errors.InvalidState("an engine is started within its async with")
        with self._spans.engine("start") as span:
            try:
                await trio.lowlevel.checkpoint_if_cancelled()
                session = await self._runner.start()
            except BaseException as error:
                told = isinstance(error, EngineStartError)
                span.failed(error if told else EngineStartError(error))
                raise
            span.ok()
        if self._left:  # meanwhile, by another task
            await self._runner.abandon()
            raise errors.InvalidState("the engine was left while it started")
        self._start_soon(self._runner.run, session)

    async def stop(self) -> None:
        """Have on_close called, close, and end. Waits for that, and for no other callback.

        A wait for the next attempt ends at once. Raises NotStarted where it isn't started,
        StopTimeout where it took longer than ``stop_timeout``: then the connection was dropped.
        Cancelled, it goes on stopping.
        """
        runner = self._runner
        with self._spans.engine("stop") as span:
            try:
                runner.stop()
                await runner.ended.wait()
                await trio.lowlevel.checkpoint()
                if isinstance(runner.machine.error, StopTimeout):
                    raise runner.machine.error.with_traceback(None)
            except BaseException as error:
                span.failed(error)
                raise
            span.ok()

    async def wait_ended(self) -> None:
        """Wait until it isn't started any more: stopped, exited, or without a connection."""
        while self._runner.state is not State.IDLE or not self._runner.ended.is_set():
            await self._runner.ended.wait()
        await trio.lowlevel.checkpoint()

    def restart(self) -> None:
        """Close the connection, and make another one: :meth:`Session.restart`.

        Raises NotConnected while there is none.
        """
        self._open_session().restart()

    def exit(self) -> None:
        """End the engine, without waiting for that: :meth:`Session.exit`."""
        session = self._runner.session
        if session is None or session.run != self._runner.run_number:
            self._runner.leave()
        else:
            session.exit()

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[Session]:
        """Read nothing meanwhile: :meth:`Session.pause` of the open connection.

        Raises NotConnected while there is none.
        """
        async with self._open_session().pause() as session:
            yield session

    async def send(self, message: Message) -> None:
        """Send a message over the open connection. Raises NotConnected while there is none."""
        await self._open_session().send(message)

    async def subscribe(
        self,
        message: Message | Callable[[], Message],
        acknowledges: Callable[[Message], bool] | None = None,
        *,
        ack_timeout: float = 10.0,
    ) -> Subscription:
        """Ask for something, on this connection and on each that follows.

        *message*: what is sent, or a function that gives it. *acknowledges*: tells whether a
        message of the server's acknowledges it, which is waited for, *ack_timeout* seconds; None:
        none does. Such a message goes to on_message, too. On a further connection they are sent
        again in their order, once on_open is through; where one isn't acknowledged in time the
        connection is closed, and another one made.

        While there is no connection it is sent with the next one, and this returns at once.

        Raises CallTimeout, and CallLost (``maybe_executed``) where the connection ended before it
        was acknowledged; what :meth:`send` and *message* raise; TypeError and InvalidOption: then
        it isn't registered. Functions are plain ones: an async one is a TypeError.
        """
        require_message_or_maker(message)
        if acknowledges is not None:
            require_plain("acknowledges", acknowledges, "message")
        require_seconds("ack_timeout", ack_timeout, optional=False)
        check_above("ack_timeout", ack_timeout, 0)
        subscription = Subscription(self._subscriptions, message, acknowledges, ack_timeout)
        session = self.session
        if session is not None:
            await subscription._ask(session)
        self._subscriptions.add(subscription)
        return subscription

    def _open_session(self) -> Session:
        session = self.session
        if session is None:
            raise NotConnected("the engine has no connection now")
        return session


def _spans(provider: TracerProvider | bool | None) -> Spans:
    if provider is None or provider is False:
        return Spans()
    if provider is not True and not hasattr(provider, "get_tracer"):
        raise TypeError(
            "tracer_provider must be a TracerProvider of OpenTelemetry, bool or None, not "
            f"{kind_of(provider)}"
        )
    from ._otel_spans import OtelSpans  # OpenTelemetry is an extra

    return OtelSpans(None if provider is True else provider)
