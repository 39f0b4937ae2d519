"""The pool server: paths, the providers that connect at them, and calls to these."""

from __future__ import annotations

import logging
import math
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, overload

import trio

from wirecore import errors
from wirecore._backend import default
from wirecore.constants import CloseCode
from wirecore.protocols.pool.errors import NoDefaultPath, NoProvider
from wirecore.session.limits import check_at_least, check_seconds
from wirecore.websocket import Request as HttpRequest
from wirecore.websocket import Response

from .._admission import Total
from .._arguments import (
    kind_of,
    require_async,
    require_known,
    require_seconds,
    require_type,
    require_words,
)
from .._companion import Companion
from .._errors import alone, require_trio
from .._listening import Listening
from .._network import AnyListener
from .._pending import Pending, start
from .._serving_health import ServesHealth
from .._serving_metrics import ServesMetrics
from .._waiter import outcome_of
from ..websocket._accepting import ServeKeywords, Serving
from ..websocket._upgrading import Accept
from ._accepting import Bound, admit
from ._binding import Binding
from ._callbacks import CallbackBinding, CallbackConnection
from ._codecs import AnyCodec, codec_of
from ._context import refuse_in_handlers
from ._identity import PROVIDERS_ORIGIN, Tokens
from ._metrics import metrics_of
from ._node import LocalNode
from ._options import PoolOptions
from ._paths import Paths
from ._pending import Done, PendingCall
from ._provider_connection import ProviderConnection
from ._request import CallKeywords, Request, check_timeout, request_of
from ._state import Changes, PoolState, state_of
from .backends._contract import Backend

if TYPE_CHECKING:
    from wirecore._backend import Backend as CodecBackend

logger = logging.getLogger("wirecore.pool")

#: Asked for each connection once it is open; what it raises closes it.
OnConnection = Callable[["ProviderConnection"], Awaitable[None]]

_UNSET: Final = -1.0

#: Methods that a call goes a shorter way for, once they were called.
_MOST_USUAL: Final = 1000

T = TypeVar("T")


if TYPE_CHECKING:
    from wirecore_py.pool_submitting import Submits
else:
    Submits = default.pool_submitting.Submits


class PoolServer(Submits, ServesHealth, ServesMetrics):
    """A pool: providers dial in, and it calls them; :meth:`serve` has it listen.

    *options*: see :class:`PoolOptions`. *tokens*: who may connect: a provider must show one of
    them; None: anybody whom TLS lets in. *on_connection*: an async function that is given each
    :class:`ProviderConnection` before it gets calls, and raises to have it closed; it has
    ``welcome_timeout`` for that. *backend*: what this server has in common with others, such as a
    :class:`~.backends.RedisBackend`: a call then goes to a provider of any of them; None: it is
    alone. *codec_backend*: compiled or pure, for tests.
    """

    #: Whether all that is submitted has a task, as what goes around it wants.
    _in_tasks = False

    _calls: trio.Nursery | None
    _submitted: deque[Pending[Any]]
    _usual: dict[str, Binding]

    def __init__(
        self,
        options: PoolOptions | None = None,
        *,
        tokens: Tokens | None = None,
        on_connection: OnConnection | None = None,
        backend: Backend | None = None,
        codec_backend: CodecBackend | None = None,
    ) -> None:
        super().__init__(PendingCall, Done)
        require_type("options", options, PoolOptions, optional=True)
        require_type("tokens", tokens, Tokens, optional=True)
        require_async("on_connection", on_connection, "connection", optional=True)
        self.options = options or PoolOptions()
        self.tokens = tokens
        self._on_connection = on_connection
        if backend is not None and not isinstance(backend, Backend):
            raise TypeError(f"backend must be a pool's Backend, not {kind_of(backend)}")
        self._codec_backend = codec_backend
        self._paths: Paths[Binding | CallbackBinding] = Paths()
        self._node = None if backend is None else LocalNode(backend, self._paths)
        self._by_name: dict[str, Binding] = {}
        self._default: Binding | None = None
        self._revoked: set[str] = set()
        # Whether somebody must prove who he is: then nobody is who he only says he is.
        self._asks_for_proof = tokens is not None
        self._bound: list[Bound] = []
        self._calling = Companion("wirecore pool calls", self._run_calls)
        self._handling = Total(self.options.max_total_handlers)
        self._draining = False
        self._told_to_stop = trio.Event()
        self._listening = trio.Event()
        self._closed = trio.Event()

    def __repr__(self) -> str:
        return f"<pool.PoolServer of {len(self.providers)} providers>"

    # --- paths ----------------------------------------------------------------------------------

    def bind(self, path: str, *names: str, codec: AnyCodec = "gob") -> None:
        """Have providers connect at *path*, and call them there.

        *names*: of their services, as ``"Database"``: calls of ``Database.Select`` go to this
        path. Without a name it is the default path, for all other calls, in place of the one that
        was before. Paths are Go's: ``/x/`` is all below it too, ``/x`` itself alone. *codec*:
        "gob", "json", or a :class:`Gob` or :class:`Json` with more to say; both ends must agree.

        Raises InvalidOption where the path or a name is taken, or can't be one; TypeError.
        """
        require_words("names", names)
        for name in names:
            if not name or "." in name:
                raise errors.InvalidOption(
                    f"a service's name has no dot, and isn't empty: {name!r}"
                )
            if name in self._by_name:
                taken = self._by_name[name].path
                raise errors.InvalidOption(f"the service {name!r} is bound to {taken!r} already")
        binding = Binding(path, names, codec_of(codec), self.options, self._node)
        self._paths.add(path, binding)
        self._usual.clear()
        self._by_name.update(dict.fromkeys(names, binding))
        if not names:
            self._default = binding

    def serve_callbacks(
        self, path: str, *services: Any, codec: AnyCodec = "gob", **named: Any
    ) -> None:
        """Have providers connect at *path*, and serve *services* to them: Go's BindIn.

        *services*: see :meth:`Provider.register`, which takes one; *named* are such that callers
        know by another name. Raises as :meth:`bind` and that.
        """
        callbacks = CallbackBinding(path, codec_of(codec))
        for service in services:
            callbacks.registry.register(service)
        for name, service in named.items():
            callbacks.registry.register(service, name=name)
        self._paths.add(path, callbacks)

    # --- who is connected -----------------------------------------------------------------------

    @property
    def providers(self) -> list[ProviderConnection]:
        """The connections of providers that can be called."""
        return [
            connection
            for bound in self._paths
            if isinstance(bound, Binding)
            for connection in bound.connections
        ]

    def state(self) -> PoolState:
        """Paths, providers, queues and calls as they are now. Within a trio run."""
        return state_of(self, trio.current_time())

    def changes(self, interval: float = 1.0) -> Changes:
        """States, for ``async for``: as it is now, and then each time it has changed.

        It is looked at every *interval* seconds. Ends when the pool is told to stop. Raises
        InvalidOption for an interval that isn't above 0, TypeError for another type.
        """
        require_seconds("interval", interval, optional=False)
        check_seconds("interval", interval)
        return Changes(self, interval)

    def metrics(self) -> str:
        """The state as OpenMetrics text. Within a trio run."""
        return metrics_of(self.state())

    def revoke(self, identity: str) -> int:
        """Let the provider *identity* in no more, and close its connections: how many those were.

        Its tokens are removed, and whoever proves to be *identity* is closed out, until
        :meth:`readmit`: with 1008, also on paths of call-backs.
        """
        require_type("identity", identity, str)
        self._revoked.add(identity)
        if self.tokens is not None:
            self.tokens.remove(identity)
        return self.disconnect(identity, CloseCode.POLICY_VIOLATION)

    def disconnect(self, identity: str, code: int = CloseCode.GOING_AWAY) -> int:
        """Close the connections of the provider *identity* on all paths: how many those were.

        It may come again, if its token or its certificate still lets it in.
        """
        require_type("identity", identity, str)
        found = [each for bound in self._paths for each in bound.connections]
        closed = [each for each in found if each.identity == identity]
        for connection in closed:
            connection.close(code)
        return len(closed)

    def readmit(self, identity: str) -> bool:
        """Let *identity* in again, with a new token or its certificate; whether it was revoked."""
        require_type("identity", identity, str)
        was_revoked = identity in self._revoked
        self._revoked.discard(identity)
        return was_revoked

    def _is_revoked(self, identity: str | None) -> bool:
        return identity in self._revoked

    # --- calls ----------------------------------------------------------------------------------

    @overload
    async def call(
        self, method: str, argument: Any, result: type[T], **keywords: Unpack[CallKeywords]
    ) -> T: ...

    @overload
    async def call(
        self, method: str, argument: Any = None, result: Any = Any, **keywords: Unpack[CallKeywords]
    ) -> Any: ...

    async def call(
        self, method: str, argument: Any = None, result: Any = Any, **keywords: Unpack[CallKeywords]
    ) -> Any:
        """Call *method*, ``Service.Method``, of a provider, and return its result.

        *result*: the type that it is read as, an annotation as :mod:`wirecore.gob` has them; by
        default what came, in plain Python. *argument_type*: what *argument* is sent as; by default
        what it looks like. *timeout*: seconds for all of it, the wait for a provider too; None:
        none; by default the option ``call_timeout``.
        *provider* and *labels*: only a provider of that identity, or with all of these labels, gets
        the call. *key*: calls with the same key go to the same provider while it is there.
        *idempotent*: it may run twice: it is queued again where a provider that has it is lost.

        Raises RpcError for an error that the provider answered, its text that of the error;
        InvalidValue where the result is no *result*; CallLost where the connection was lost,
        whose ``execution`` is "maybe_executed" where it may have run; NoProvider where
        none took it in time, CallTimeout where none answered in time; NoDefaultPath;
        LocalLimitExceeded where ``max_queue`` calls wait; and for what can't be sent
        UnsendableMessage, InvalidGobType, InvalidJsonType and LocalLimitExceeded.
        """
        # A request is kept of what isn't usual, or has to be made again.
        request = None
        argument_type = Any
        seconds: float | None = _UNSET
        binding = None if keywords or type(method) is not str else self._usual.get(method)
        if binding is None:
            binding, request = self._request(method, argument, result, keywords)
            argument_type = request.argument_type
            seconds = keywords.get("timeout", _UNSET)
            provider = binding.take(request.wish) if seconds == _UNSET else None
        else:
            slot = binding.dispatcher.take()
            provider = None if slot is None else slot.target
        if provider is None:
            if request is None:
                request = request_of(method, argument, result, keywords)
            return await self._call(binding, request, seconds)
        # No coroutine of its own lies between the usual call and its answer. Its session sees to
        # its time, which costs nothing.
        waiter = None
        try:
            waiter = binding.ask(provider, method, argument, argument_type, result)
            if waiter.outcome is not None:
                return await outcome_of(waiter)
            waiter.task = trio.lowlevel.current_task()
            return await trio.lowlevel.wait_task_rescheduled(waiter)
        except BaseException as error:
            if waiter is None and not isinstance(error, errors.NotConnected):
                raise  # it was never asked, and isn't counted any more
            if request is None:
                request = request_of(method, argument, result, keywords)
            lost = binding.count_failure(provider, error, request)
            if lost is None:
                raise
        # Its provider is gone, and it may go to another, within the time that it had.
        begun = trio.current_time() if waiter is None else waiter.begun
        return await binding.call_within(request, begun, self.options.call_timeout, lost=lost)

    async def _call(self, binding: Binding, request: Request, seconds: float | None) -> Any:
        """A call that may have to wait, within *seconds* from now."""
        if seconds == _UNSET:
            seconds = self.options.call_timeout
        try:
            return await binding.call_within(request, trio.current_time(), seconds)
        except NoProvider as error:
            if not self._bound:
                raise NoProvider(
                    f"{error}: this pool isn't listening, which serve() does"
                ) from None
            raise

    def _request(
        self, method: str, argument: Any, result: Any, keywords: CallKeywords
    ) -> tuple[Binding, Request]:
        if type(method) is not str:
            require_type("method", method, str)
        if self._draining:
            raise errors.InvalidState("this pool was shut down: make a new one")
        binding = self._by_name.get(method.partition(".")[0], self._default)
        if binding is None:
            raise NoDefaultPath(
                f"No default path is bound, and {method.partition('.')[0]!r} to no other: "
                "bind one without names"
            )
        if not keywords and type(method) is str and len(self._usual) < _MOST_USUAL:
            self._usual[method] = binding
        return binding, request_of(method, argument, result, keywords)

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # its keywords are told
        def submit(
            self,
            method: str,
            argument: Any,
            result: type[T],
            *,
            done: Done[T] | None = None,
            **keywords: Unpack[CallKeywords],
        ) -> PendingCall[T]: ...

        @overload
        def submit(
            self,
            method: str,
            argument: Any = None,
            result: Any = Any,
            *,
            done: Done[Any] | None = None,
            **keywords: Unpack[CallKeywords],
        ) -> PendingCall[Any]: ...

        def submit(self, *_: Any, **__: Any) -> Any:
            """See Submits."""

    def _check_done(self, done: object) -> None:
        require_type("done", done, Done, hint="one that pool.Done() has made")

    def _submit_unusual(
        self,
        pending: PendingCall[Any],
        method: Any,
        argument: Any,
        result: Any,
        keywords: Any,
    ) -> None:
        if len(keywords) == 1 and "timeout" in keywords:
            own = keywords["timeout"]
            check_timeout(own)
            slot = self._slot_for(method, pending, result)
            if slot is not None:
                if slot:  # else it couldn't be sent, and was told
                    slot.target._channel._has_time(pending, pending.begun, own)
                return
        self._submit_later(pending, method, argument, result, keywords)

    def _submit_later(
        self,
        pending: PendingCall[Any],
        method: Any,
        argument: Any,
        result: Any,
        keywords: Any,
    ) -> None:
        binding, request = self._request(method, argument, result, keywords)
        if self._calls is None:
            raise errors.InvalidState("this pool isn't serving: submit works while serve() runs")
        seconds = keywords.get("timeout", _UNSET)
        call = partial(self._call, binding, request, seconds)
        start(pending, call, self._calls, self._submitted)

    def _run_soon(self, pending: PendingCall[Any]) -> bool:
        """Run *pending* in a task; False: there are none any more."""
        if self._calls is None:
            return False
        self._calls.start_soon(pending._run)
        return True

    # --- serving --------------------------------------------------------------------------------

    async def serve(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        task_status: trio.TaskStatus[Listening] = trio.TASK_STATUS_IGNORED,
        **keywords: Unpack[ServeKeywords],
    ) -> None:
        """Listen on *host* and *port* (0: a free one), and let providers in.

        *unix_path*, *listeners*, *ssl_context*, *origins*, *max_connections* and *max_handshakes*
        are as :func:`wirecore_trio.websocket.serve` has them; *check_origin* says, in place of
        *origins*, whether a request with an Origin may pass. By default that of the original's
        providers does, ``http://localhost/``, which no browser sends, and that of no foreign page.
        :func:`server_context` makes an *ssl_context* that asks for client certificates.

        ``task_status`` gives a ``Listening``. Returns after :meth:`drain`. Cancelled, it sends
        every provider a close frame, waits for nothing, and cancels handlers and calls that were
        submitted. May run several times, also at once, on different addresses. Raises OSError
        where it can't listen, InvalidState where the pool has ended.
        """
        require_trio()
        require_known("serve", keywords, ServeKeywords.__optional_keys__)
        if self._draining:
            raise errors.InvalidState("this pool was shut down: make a new one")
        if "check_origin" not in keywords:
            keywords.setdefault("origins", (PROVIDERS_ORIGIN,))
        serving = Serving(
            host,
            port,
            on_request=self._on_request,
            options=self.options.websocket(),
            backend=self._codec_backend,
            **keywords,
        )
        context = serving.ssl_context
        if context is not None and context.verify_mode is not ssl.CERT_NONE:
            self._asks_for_proof = True
        listeners = await serving.listen()
        if self._closed.is_set():
            self._closed = trio.Event()
        try:
            if self._draining:
                raise errors.InvalidState("this pool was shut down: make a new one")
            with alone():
                await self._serve(serving, listeners, task_status)
        finally:
            for listener in listeners:
                listener.close()
            if not self._bound:
                self._listening = trio.Event()
                self._closed.set()

    async def _serve(
        self,
        serving: Serving,
        listeners: Sequence[AnyListener],
        task_status: trio.TaskStatus[Listening],
    ) -> None:
        bound = None
        try:
            async with trio.open_nursery() as nursery:
                bound = Bound(self, serving, listeners, nursery)
                # Its own providers can be called at once, those of other nodes when it has joined.
                async with (
                    self._calling.running(),
                    nullcontext() if self._node is None else self._node.running(),
                ):
                    await self._calling.wait_started()
                    self._bound.append(bound)
                    self._listening.set()
                    task_status.started(bound)
                    await bound.run()
                nursery.cancel_scope.cancel()  # nobody is left to work for
        finally:
            if bound in self._bound:
                self._bound.remove(bound)

    async def _run_calls(self, started: Callable[[], None]) -> None:
        """Where calls that were submitted run, whichever address is served."""
        async with trio.open_nursery() as nursery:
            self._calls = nursery
            started()
            try:
                await trio.sleep_forever()
            finally:
                self._calls = None

    async def _on_request(self, request: HttpRequest) -> Response | Accept | None:
        return admit(self, request)

    # --- the end --------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """Whether it was told to stop."""
        return self._draining

    async def wait_listening(self) -> None:
        """Wait until it listens: the original's Listening signal."""
        await self._listening.wait()

    async def drain(self, grace: float | None = 30.0) -> None:
        """Stop in good order, and return when all has ended.

        New providers get 503, new calls InvalidState. Calls that were made are answered, those that
        wait for a provider too, and handlers of call-backs finish; then the connections close
        (1001). After *grace* seconds (None: never) what is left is cancelled. Raises RuntimeError
        in a handler of a call-back, unless *grace* is 0: start it in a task that the handler
        doesn't wait for.
        """
        require_seconds("grace", grace)
        if grace is not None:
            check_at_least("grace", grace, 0)
        if grace != 0:
            found = [each for path in self._paths for each in path.connections]
            channels = [each._channel for each in found if isinstance(each, CallbackConnection)]
            for bound in self._bound:
                refuse_in_handlers(bound.nursery, channels)
        self._draining = True
        self._usual.clear()
        self._told_to_stop.set()
        paths = list(self._paths)
        for path in paths:
            path.stop()
        with trio.move_on_after(math.inf if grace is None else grace):
            await self._finish(paths)
        for path in paths:
            path.close()
        for bound in list(self._bound):
            bound.cancel()
        if self._bound:
            await self._closed.wait()
        self._closed.set()

    async def _finish(self, paths: Sequence[Binding | CallbackBinding]) -> None:
        """Wait until all is answered, and close all connections."""
        if self._node is not None:
            # It goes on for others until none of its own waits: it may be all that can make those.
            for path in paths:
                if isinstance(path, Binding):
                    await path.wait_none_waits()
            await self._node.finish()
        async with trio.open_nursery() as nursery:
            for path in paths:
                nursery.start_soon(path.wait_idle)
        for bound in list(self._bound):
            bound.stop_accepting()
            for connection in list(bound.connections):
                connection.close(CloseCode.GOING_AWAY)
        for bound in list(self._bound):
            await bound.wait_idle()

    async def close(self) -> None:
        """Stop now: calls without an answer are lost. Returns when all has ended."""
        await self.drain(0)

    async def wait_closed(self) -> None:
        """Wait until it serves on no address any more."""
        await self._closed.wait()

    def _why_not_ready(self) -> str:
        if self._draining:
            return "draining"
        return "" if self._bound else "not listening"
