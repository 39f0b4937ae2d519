"""Calls, by the semantic conventions for RPC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.context import Context

from .._dial import parse_url
from ._carrying import context_of
from ._operations import Attributes, Operation, Providers

if TYPE_CHECKING:
    from ..websocket._client import Dialer

T = TypeVar("T")

#: The conventions' name for a method that a server doesn't know.
OTHER: Final = "_OTHER"

#: Characters of a method's name that a server doesn't know: its peer chose them.
_MOST: Final = 100

#: What is being handled in this context, and what tells which call that is.
_handled: ContextVar[tuple[object, Operation] | None] = ContextVar(
    "wirecore.telemetry.handled", default=None
)


def _no_status(error: BaseException) -> str | None:
    return None


class Rpc:
    """The calls of the protocol *scope*.

    *status_of*: the status that an error's answer has on the wire; None: it has none.
    """

    def __init__(
        self,
        scope: str,
        providers: Providers,
        status_of: Callable[[BaseException], str | None] = _no_status,
    ) -> None:
        self._client, self._server = providers.sides(
            scope, "rpc.client.call.duration", "rpc.server.call.duration", "calls"
        )
        self._status_of = status_of

    async def call(
        self,
        system: str,
        method: str,
        outcome: Awaitable[T],
        server: Attributes | None = None,
        context: Context | None = None,
    ) -> T:
        """What comes of *outcome*, which is a call of *method*. *server*: its address."""
        attributes = {"rpc.system.name": system, "rpc.method": method, **(server or {})}
        operation = self._client.begin(method, attributes, {}, context)
        try:
            with operation.current():  # what is sent meanwhile tells of it
                return await outcome
        except BaseException as error:
            self.fail(operation, error)
            raise
        finally:
            operation.end()

    @contextmanager
    def serve(
        self,
        system: str,
        method: str,
        key: object,
        client: Attributes | None = None,
        original: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> Iterator[None]:
        """A call of *method* is handled meanwhile, which *key* tells from others.

        *client*: who calls. *original*: what it is called where *method* is OTHER. *fields*: header
        fields that came with it.
        """
        operation = self._begin(system, method, client, original, fields)
        token = _handled.set((key, operation))
        try:
            with operation.current():
                yield
        except BaseException as error:
            self.fail(operation, error)
            raise
        finally:
            _handled.reset(token)
            operation.end()

    def refuse(
        self,
        system: str,
        method: str,
        kind: str,
        client: Attributes | None = None,
        original: str = "",
        status: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """A call of *method* was refused, without a handler; *kind*: ``error.type``."""
        operation = self._begin(system, method, client, original, fields)
        if status is not None:
            operation.tell("rpc.response.status_code", status)
        operation.fail(kind)
        operation.end()

    def _begin(
        self,
        system: str,
        method: str,
        client: Attributes | None,
        original: str,
        fields: Mapping[str, str] | None,
    ) -> Operation:
        attributes = {"rpc.system.name": system, "rpc.method": method}
        more: dict[str, str | int] = {**(client or {})}
        if original:
            more["rpc.method_original"] = original[:_MOST]
        return self._server.begin(
            system if method == OTHER else method, attributes, more, context_of(fields)
        )

    def note(self, key: object, error: BaseException) -> bool:
        """The call of *key* is answered with *error*; False where it isn't handled here."""
        found = _handled.get()
        if found is None or found[0] != key:
            return False
        self.fail(found[1], error)
        return True

    def fail(self, operation: Operation, error: BaseException) -> None:
        """*operation* ended with *error*."""
        status = None if operation.is_settled else self._status_of(error)
        if status is None:
            operation.failed(error)
        else:
            operation.tell("rpc.response.status_code", status)
            operation.fail(status)


def server_of(dialer: Dialer) -> dict[str, str | int]:
    """The address of what *dialer* dials, as attributes."""
    if dialer.unix_path is not None:
        return {"server.address": dialer.unix_path}
    return {} if dialer.url is None else _server_of_url(dialer.url)


@lru_cache(maxsize=1024)
def _server_of_url(url: str) -> dict[str, str | int]:
    target = parse_url(url)
    return {"server.address": target.host, "server.port": target.port}


def client_of(address: str) -> dict[str, Any]:
    """The peer at *address*, ``host:port`` as logs have it, as attributes; none for another."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()):
        return {}
    host = host.removeprefix("[").removesuffix("]")
    return {"client.address": host, "client.port": int(port)}
