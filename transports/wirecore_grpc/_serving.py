"""Services as gRPC's handlers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from wirecore import errors
from wirecore_trio._arguments import require_type
from wirecore_trio.wsrpc import Service
from wirecore_trio.wsrpc._registry import Registry
from wirecore_trio.wsrpc._service import Method

from ._bridge import Bridge, Failure
from ._peer import GrpcPeer


class GrpcServing(ABC):
    """What serves services over gRPC: a Server of trio's, or an Adapter to one of grpc.aio."""

    @abstractmethod
    def register(self, name: str, service: Service, *, inline: bool = False) -> None:
        """Serve the methods of *service* under ``/NAME/METHOD``; generated code calls this.

        *name* has the package: ``"demo.Shouter"``. All handlers run in one trio run, each called
        as ``method(request, peer)`` with a GrpcPeer: ``async def`` in tasks, plain ones in worker
        threads, or, with *inline*, in trio's own thread, where they must never block.
        Raises InvalidOption for what is no service, or a name that is taken; TypeError for a
        class in place of an instance, and what can't be called; InvalidState from a Server that
        has started, and from an Adapter that isn't entered.
        """


class Services:
    """What is served, by the services' full names."""

    def __init__(self) -> None:
        self._methods: dict[str, dict[str, Method]] = {}

    def add(self, name: str, service: Service, *, inline: bool) -> None:
        """See :meth:`GrpcServing.register`."""
        require_type("name", name, str)
        if not name or "/" in name:
            raise errors.InvalidOption(
                f"{name!r} is no service's name: it is the package and the name in the .proto "
                "file, as in 'demo.Shouter'"
            )
        if name in self._methods:
            raise errors.InvalidOption(f"the service {name!r} is served already")
        # One for each service: gRPC sends its name along, so that methods may share theirs.
        registry = Registry()
        registry.register(service, inline=inline)
        found = ((each, registry.find(each)) for each in service.wsrpc_methods)
        self._methods[name] = {each: method for each, method in found if method is not None}

    def handlers(self, bridge: Bridge) -> list[grpc.GenericRpcHandler]:
        """gRPC's handlers for all of them, which run in the run of *bridge*."""
        return [self.handler(name, bridge) for name in self._methods]

    def handler(self, name: str, bridge: Bridge) -> grpc.GenericRpcHandler:
        """gRPC's handler for the service *name*."""
        made = {
            each: grpc.unary_unary_rpc_method_handler(
                _behaviour(method, bridge),
                request_deserializer=_reader(method),
                response_serializer=_write,
            )
            for each, method in self._methods[name].items()
        }
        return grpc.method_handlers_generic_handler(name, made)


@dataclass(frozen=True, slots=True)
class _Undecodable:
    """A request that can't be decoded. Raised in gRPC's reader it would be a status UNKNOWN."""

    problem: str


def _reader(method: Method) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return method.decode(data)
        except errors.InvalidMessage as error:
            return _Undecodable(str(error))

    return read


def _write(reply: Any) -> bytes:
    encoded: bytes = reply.SerializeToString()
    return encoded


def _behaviour(method: Method, bridge: Bridge) -> Callable[[Any, Any], Any]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        if isinstance(request, _Undecodable):
            # As Go's gRPC has it.
            await context.abort(
                grpc.StatusCode.INTERNAL, f"the request can't be decoded: {request.problem}"
            )
        outcome = await bridge.run(method, request, _peer(context))
        if isinstance(outcome, Failure):
            await context.abort(outcome.code, outcome.text)
        return outcome

    return answer


def _peer(context: grpc.aio.ServicerContext[Any, Any]) -> GrpcPeer:
    metadata = [(key, value) for key, value in context.invocation_metadata() or ()]
    auth = {str(key): list(values) for key, values in context.auth_context().items()}
    return GrpcPeer(context.peer(), metadata, auth)
