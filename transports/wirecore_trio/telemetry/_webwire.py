"""The requests of webwire. Signals aren't calls: nothing answers them, and they have no spans."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import get_current

from wirecore.protocols.webwire import ClientSession, RequestError
from wirecore.webwire_rules import REQUEST

from ..webwire._asking import Asking
from ..webwire._client import Client
from ..webwire._connection import Connection
from ..webwire._handling import UNKNOWN_REQUEST, Handling
from ._carrying import carry
from ._operations import Providers
from ._patches import Patches
from ._rpc import OTHER, Rpc, client_of, server_of

if TYPE_CHECKING:
    from wirecore_py.jobs import Job
    from wirecore_py.webwire import Message
    from wirecore_py.webwire_order import Route

    from ..webwire._pending import PendingRequest

SYSTEM: Final = "webwire"


def instrument(patches: Patches, providers: Providers) -> None:
    """Put spans around requests that are made, and requests that are served."""
    rpc = Rpc("webwire", providers, _status_of)
    _instrument_requests(patches, rpc)
    carry(patches, ClientSession, "request", "request_with")
    _instrument_handlers(patches, rpc)


def _status_of(error: BaseException) -> str | None:
    # The class may be a user's own, and lack what its base would have set.
    code = getattr(error, "code", None) if isinstance(error, RequestError) else None
    return code if isinstance(code, str) else None


def _instrument_requests(patches: Patches, rpc: Rpc) -> None:
    patches.replace(Asking, "request", _asking, rpc)
    patches.replace(Asking, "submit", _submitting, rpc)
    patches.set(Asking, "_in_tasks", True)  # each has a span for as long as its task


def _asking(original: Any, rpc: Rpc) -> Any:
    def request(
        self: Client, name: str = "", payload: Any = None, **more: Any
    ) -> Coroutine[Any, Any, Any]:
        outcome: Coroutine[Any, Any, Any] = original(self, name, payload, **more)
        if not isinstance(name, str):
            return outcome  # which raises TypeError
        return rpc.call(SYSTEM, name, outcome, server_of(self._dialer))

    return request


def _submitting(original: Any, rpc: Rpc) -> Any:
    def submit(
        self: Client, name: str = "", payload: Any = None, **more: Any
    ) -> PendingRequest[Any]:
        pending: PendingRequest[Any] = original(self, name, payload, **more)
        if not pending.done:
            context, call = get_current(), pending._call
            server = server_of(self._dialer)
            pending._call = lambda: rpc.call(SYSTEM, name, call(), server, context)
        return pending

    return submit


def _instrument_handlers(patches: Patches, rpc: Rpc) -> None:
    patches.set(Handling, "_around", _Spans(rpc))
    patches.replace(Connection, "_fail", _failing, rpc)
    patches.replace(Connection, "_fail_internally", _failing, rpc)


def _serve(rpc: Rpc, connection: Connection, message: Message) -> Any:
    _, request_id, name, _ = message
    # Names that a handler of all others takes are the client's choice.
    known = name in connection._requests.by_name
    return rpc.serve(
        SYSTEM,
        name if known else OTHER,
        (connection, request_id),
        client_of(connection.remote_address),
        "" if known else name,
        _fields(connection, request_id),
    )


def _fields(connection: Connection, request_id: int) -> Mapping[str, str]:
    """What came beside a request."""
    fields = connection._session_state.fields
    return {} if fields is None else fields.take(request_id)


class _Spans:
    """One around the handler of each request."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def inline(self, handling: Handling, route: Route, message: Message) -> None:
        """See Around."""
        if message[0] < REQUEST:
            handling.run_inline(route, message)
        else:
            with _serve(self._rpc, handling._connection, message):
                handling.run_inline(route, message)

    def job(self, handling: Handling, message: Message, job: Job) -> Job:
        """See Around."""
        return job if message[0] < REQUEST else self._run(handling._connection, message, job)

    async def _run(self, connection: Connection, message: Message, job: Job) -> None:
        with _serve(self._rpc, connection, message):
            await job


def _failing(original: Any, rpc: Rpc) -> Any:
    def fail(self: Connection, request_id: int, name: str, error: Exception) -> None:
        if not rpc.note((self, request_id), error) and _status_of(error) == UNKNOWN_REQUEST:
            client = client_of(self.remote_address)
            fields = _fields(self, request_id)
            rpc.refuse(SYSTEM, OTHER, UNKNOWN_REQUEST, client, name, UNKNOWN_REQUEST, fields)
        original(self, request_id, name, error)

    return fail
