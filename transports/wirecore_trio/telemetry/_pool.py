"""The calls of a pool: to providers, and their call-backs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context, attach, detach, get_current

from wirecore.protocols.pool import CallingSession, JsonServing

from ..pool._callback_client import CallbackClient
from ..pool._invoking import Invoking
from ..pool._node import LocalNode
from ..pool._server import PoolServer
from ..pool._serving_channel import ServingChannel
from ..pool.backends import RemoteCall
from ._carrying import carried, carry, context_of
from ._operations import Providers
from ._patches import Patches
from ._rpc import Rpc, client_of, server_of

if TYPE_CHECKING:
    from wirecore.protocols.pool import Incoming, Request
    from wirecore_py.jobs import Job

    from ..pool._invoking import Replies
    from ..pool._service import Method

#: What each codec is called by the conventions, or for want of a name there.
SYSTEMS: Final = {"gob": "go_net_rpc", "json": "jsonrpc"}


def instrument(patches: Patches, providers: Providers) -> None:
    """Put spans around calls that are made, and calls that are served."""
    rpc = Rpc("pool", providers)
    _instrument_server(patches, rpc)
    _instrument_callbacks(patches, rpc)
    _instrument_nodes(patches)
    carry(patches, CallingSession, "call", "call_with")
    _instrument_handlers(patches, rpc)


def _system_of(server: PoolServer, method: object) -> str:
    """What a call of *method* goes by; "" where there will be none."""
    if not isinstance(method, str):
        return ""
    binding = server._by_name.get(method.partition(".")[0], server._default)
    return "" if binding is None else SYSTEMS[binding.codec.name]


def _instrument_server(patches: Patches, rpc: Rpc) -> None:
    patches.replace(PoolServer, "call", _calling, rpc)
    patches.replace(PoolServer, "submit", _submitting, rpc)
    patches.set(PoolServer, "_in_tasks", True)  # each has a span for as long as its task


def _calling(original: Any, rpc: Rpc) -> Any:
    def call(self: PoolServer, method: str, *arguments: Any, **more: Any) -> Any:
        outcome = original(self, method, *arguments, **more)
        system = _system_of(self, method)
        return rpc.call(system, method, outcome) if system else outcome

    return call


def _submitting(original: Any, rpc: Rpc) -> Any:
    def submit(self: PoolServer, method: str, *arguments: Any, **more: Any) -> Any:
        pending = original(self, method, *arguments, **more)
        system, context, call = _system_of(self, method), get_current(), pending._call
        # A task that runs such calls runs any of them: its context isn't this one.
        pending._call = lambda: rpc.call(system, method, call(), context=context)
        return pending

    return submit


def _instrument_callbacks(patches: Patches, rpc: Rpc) -> None:
    patches.replace(CallbackClient, "call", _calling_back, rpc)
    patches.replace(CallbackClient, "submit", _submitting_callback, rpc)
    patches.set(CallbackClient, "_in_tasks", True)


def _calling_back(original: Any, rpc: Rpc) -> Any:
    def call(self: CallbackClient, method: str, *arguments: Any, **more: Any) -> Any:
        outcome = original(self, method, *arguments, **more)
        if not isinstance(method, str):
            return outcome
        return rpc.call(SYSTEMS[self._codec], method, outcome, server_of(self._dialer))

    return call


def _submitting_callback(original: Any, rpc: Rpc) -> Any:
    def submit(self: CallbackClient, method: str, *arguments: Any, **more: Any) -> Any:
        pending = original(self, method, *arguments, **more)
        pending._call = _within(get_current(), pending._call)
        return pending

    return submit


def _within(context: Context, call: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    async def called() -> Any:
        token = attach(context)
        try:
            return await call()
        finally:
            detach(token)

    return called


def _instrument_nodes(patches: Patches) -> None:
    patches.replace(LocalNode, "_remote_call", _handing_over, None)
    patches.replace(LocalNode, "execute", _executing, None)


def _handing_over(original: Any, _: None) -> Any:
    def remote_call(self: LocalNode, *arguments: Any) -> RemoteCall:
        call: RemoteCall = original(self, *arguments)
        return replace(call, fields=tuple(carried().items()))

    return remote_call


def _executing(original: Any, _: None) -> Any:
    def execute(
        self: LocalNode, reservation: Any, call: RemoteCall, sending: Any
    ) -> Awaitable[bytes]:
        # Who called has the span, be it another node; what this node's own task does isn't it.
        context = context_of(dict(call.fields))
        return _within(context, lambda: original(self, reservation, call, sending))()

    return execute


def _instrument_handlers(patches: Patches, rpc: Rpc) -> None:
    patches.set(Invoking, "_around", _Spans(rpc))
    patches.replace(Invoking, "fail", _failing, rpc)
    patches.replace(ServingChannel, "reply", _replying, rpc)
    patches.replace(ServingChannel, "_start", _starting, rpc)


def _serve(rpc: Rpc, replies: Any, method: str, request: Request) -> Any:
    return rpc.serve(
        _system(replies),
        method,
        _key(replies, request),
        _client(replies),
        fields=replies._session.fields_of(request),
    )


class _Spans:
    """One around the handler of each call."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def inline(self, invoking: Invoking, incoming: Incoming) -> None:
        """See Around."""
        with _serve(self._rpc, invoking._replies, incoming.target.name, incoming.request):
            invoking.run_inline(incoming)

    def job(self, invoking: Invoking, incoming: Incoming, job: Job) -> Job:
        """See Around."""
        return self._run(invoking._replies, incoming, job)

    async def _run(self, replies: Replies, incoming: Incoming, job: Job) -> None:
        with _serve(self._rpc, replies, incoming.target.name, incoming.request):
            await job


def _failing(original: Any, rpc: Rpc) -> Any:
    def fail(self: Invoking, method: Method, incoming: Incoming, error: Exception) -> None:
        rpc.note(_key(self._replies, incoming.request), error)
        original(self, method, incoming, error)

    return fail


def _replying(original: Any, rpc: Rpc) -> Any:
    def reply(self: ServingChannel, request: Request, value: Any, annotation: Any) -> None:
        try:
            original(self, request, value, annotation)
        except Exception as error:
            rpc.note(_key(self, request), error)  # it is answered with this
            raise

    return reply


def _starting(original: Any, rpc: Rpc) -> Any:
    def start(self: ServingChannel, incoming: Incoming) -> None:
        handling = self._admission.handling
        original(self, incoming)
        if self._admission.handling == handling:
            rpc.refuse(
                _system(self),
                incoming.target.name,
                "Overloaded",
                _client(self),
                fields=self._session.fields_of(incoming.request),
            )

    return start


def _key(replies: object, request: Request) -> tuple[object, ...]:
    return replies, request.id


def _system(channel: ServingChannel) -> str:
    is_json = isinstance(channel._session._codec, JsonServing)
    return SYSTEMS["json" if is_json else "gob"]


def _client(channel: ServingChannel) -> dict[str, Any]:
    address: str = getattr(channel.connection, "remote_address", channel.peer)
    return client_of(address)
