"""The calls of wsrpc, in both directions."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from wirecore.protocols.wsrpc import Session

from .._handlers import Mode
from ..wsrpc._channel import Channel
from ..wsrpc._client import Client
from ..wsrpc._request import Handling, Request
from ..wsrpc._server import ClientPeer
from ._carrying import carry
from ._operations import Attributes, Providers
from ._patches import Patches
from ._rpc import OTHER, Rpc

if TYPE_CHECKING:
    from wirecore_py.jobs import Job

    from ..wsrpc._service import Method

SYSTEM: Final = "wsrpc"


def instrument(patches: Patches, providers: Providers) -> None:
    """Put spans around calls that are made, and calls that are served."""
    rpc = Rpc("wsrpc", providers)
    _instrument_calls(patches, rpc)
    carry(patches, Session, "call", "call_with")
    _instrument_handlers(patches, rpc)


def _instrument_calls(patches: Patches, rpc: Rpc) -> None:
    patches.replace(Client, "call", _of_client, rpc)
    patches.replace(Channel, "call", _of_channel, rpc)
    patches.replace(ClientPeer, "call", _of_peer, rpc)


def _of_client(original: Any, rpc: Rpc) -> Any:
    call_over = Channel.call  # as it is before that is replaced

    def call(self: Client, method: str, payload: bytes) -> Coroutine[Any, Any, bytes]:
        # As the original does it, but for what a Channel's call is now.
        channel = self._channel
        outcome: Coroutine[Any, Any, bytes] = (
            original(self, method, payload)
            if channel is None
            else call_over(channel, method, payload)
        )
        if not isinstance(method, str):
            return outcome  # which raises TypeError
        server: Attributes = {"server.address": self._host, "server.port": self._port}
        return rpc.call(SYSTEM, method, outcome, server)

    return call


def _of_channel(original: Any, rpc: Rpc) -> Any:
    def call(self: Channel, method: str, payload: bytes) -> Coroutine[Any, Any, bytes]:
        outcome: Coroutine[Any, Any, bytes] = original(self, method, payload)
        if not isinstance(method, str):
            return outcome  # which raises TypeError
        return rpc.call(SYSTEM, method, outcome)

    return call


def _of_peer(original: Any, rpc: Rpc) -> Any:
    def call(self: ClientPeer, method: str, payload: bytes) -> Coroutine[Any, Any, bytes]:
        outcome: Coroutine[Any, Any, bytes] = original(self, method, payload)
        if self._server._connections.get(self._public_key) is not None:
            return outcome  # its channel sees to it
        return rpc.call(SYSTEM, method, outcome)

    return call


def _instrument_handlers(patches: Patches, rpc: Rpc) -> None:
    patches.set(Handling, "_around", _Spans(rpc))
    patches.replace(Handling, "fail", _failing, rpc)
    patches.replace(Channel, "_unsendable", _unsendable, rpc)
    patches.replace(Channel, "_handle", _handling, rpc)


class _Spans:
    """One around the handler of each request."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def inline(self, handling: Handling, method: Method, request: Request) -> None:
        """See Around."""
        with self._serve(handling._channel, method, request):
            handling.run_inline(method, request)

    def job(self, handling: Handling, method: Method, request: Request, job: Job) -> Job:
        """See Around."""
        return self._run(handling._channel, method, request, job)

    async def _run(self, channel: Channel, method: Method, request: Request, job: Job) -> None:
        with self._serve(channel, method, request):
            await job

    def _serve(self, channel: Channel, method: Method, request: Request) -> Any:
        fields = _fields(channel, request[1])
        return self._rpc.serve(SYSTEM, method.name, (channel, request[1]), fields=fields)


def _failing(original: Any, rpc: Rpc) -> Any:
    def fail(self: Handling, method: Method, request: Request, error: Exception) -> None:
        rpc.note((self._channel, request[1]), error)
        original(self, method, request, error)

    return fail


def _unsendable(original: Any, rpc: Rpc) -> Any:
    def unsendable(self: Channel, call_id: str, error: Exception) -> None:
        rpc.note((self, call_id), error)
        original(self, call_id, error)

    return unsendable


def _handling(original: Any, rpc: Rpc) -> Any:
    def handle(self: Channel, request: Request) -> None:
        name, call_id, _ = request
        method = self._registry.find(name)
        handling = self._admission.handling
        original(self, request)
        if self._stopping:
            _refuse(rpc, self, call_id, OTHER if method is None else name, "stopping")
        elif method is None:
            _refuse(rpc, self, call_id, OTHER, "UnknownMethod", name)
        elif method.mode is not Mode.INLINE and self._admission.handling == handling:
            _refuse(rpc, self, call_id, name, "Overloaded")

    return handle


def _refuse(
    rpc: Rpc, channel: Channel, call_id: str, method: str, kind: str, original: str = ""
) -> None:
    rpc.refuse(SYSTEM, method, kind, original=original, fields=_fields(channel, call_id))


def _fields(channel: Channel, call_id: str) -> Mapping[str, str]:
    """What came beside a call."""
    fields = channel._session.fields
    return {} if fields is None else fields.take(call_id)
