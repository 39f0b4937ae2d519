"""What a side serves: methods by name, how their messages are coded, how they are run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar, runtime_checkable

from wirecore import errors

if TYPE_CHECKING:
    from ._peer import Peer


@runtime_checkable
class ProtoMessage(Protocol):
    """A protobuf message, of the protobuf library or any other with these two methods."""

    def SerializeToString(self) -> bytes:  # noqa: N802 (protobuf's own name)
        """The message's encoding."""

    @classmethod
    def FromString(cls, data: bytes, /) -> Self:  # noqa: N802 (protobuf's own name)
        """The message that *data* encodes; raises ValueError or protobuf's DecodeError."""


MessageT = TypeVar("MessageT", bound=ProtoMessage)


class Mode(Enum):
    """How a handler runs."""

    #: ``async def``: in a task of its own.
    TASK = "task"
    #: ``def``: in a worker thread, so that it may block.
    THREAD = "thread"
    #: ``def``, asked for: in the reader itself. The fastest way, and it must never block.
    INLINE = "inline"


@dataclass(frozen=True, slots=True)
class MethodTypes:
    """The request and response types of a method, as generated services name them."""

    request: type[ProtoMessage]
    response: type[ProtoMessage]


class Service(Protocol):
    """An object whose class maps method names to their types, and has a method for each."""

    wsrpc_methods: ClassVar[Mapping[str, MethodTypes]]


@dataclass(frozen=True, slots=True)
class Method:
    """A registered method. The types are None for one that takes and gives raw bytes."""

    name: str
    handler: Callable[[Any, Peer], Any]
    request: type[ProtoMessage] | None
    response: type[ProtoMessage] | None
    mode: Mode

    def decode(self, payload: bytes) -> Any:
        """The handler's argument. Raises InvalidMessage."""
        if self.request is None:
            return payload
        return decode_message(self.request, payload)

    def encode(self, reply: Any) -> bytes:
        """The payload of what the handler returned. Raises TypeError for a wrong type."""
        if self.response is None:
            if not isinstance(reply, bytes):
                raise TypeError(f"{self.name} must return bytes, not {type(reply).__name__}")
            return reply
        if not isinstance(reply, self.response):
            raise TypeError(
                f"{self.name} must return {self.response.__name__}, not {type(reply).__name__}"
            )
        return reply.SerializeToString()


def decode_message(kind: type[MessageT], payload: bytes) -> MessageT:
    """The message of type *kind* that *payload* encodes. Raises InvalidMessage."""
    try:
        return kind.FromString(payload)
    except Exception as error:
        # protobuf's DecodeError is an Exception of a package that needn't be installed.
        raise errors.InvalidMessage(
            f"{len(payload)} bytes are no {kind.__name__}: {error}"
        ) from error


class Registry:
    """The methods of one side. Changes take effect with the next request."""

    __slots__ = ("_methods",)

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def find(self, name: str) -> Method | None:
        """The method called *name*."""
        return self._methods.get(name)

    def register(self, service: Service, *, inline: bool = False) -> None:
        """Serve all methods of *service*; see :meth:`handle` for how they run.

        Raises InvalidOption where it is no service, or one of its names is taken.
        """
        methods = getattr(service, "wsrpc_methods", None)
        if not methods:
            raise errors.InvalidOption(
                f"{type(service).__name__} is no service: its class has no wsrpc_methods"
            )
        made = [
            self._make(name, getattr(service, name), types.request, types.response, inline=inline)
            for name, types in methods.items()
        ]
        self._methods.update((method.name, method) for method in made)

    def handle(
        self,
        name: str,
        handler: Callable[[Any, Peer], Any],
        *,
        request: type[ProtoMessage] | None = None,
        response: type[ProtoMessage] | None = None,
        inline: bool = False,
    ) -> None:
        """Serve the method *name* with ``handler(request, peer)``.

        An ``async def`` runs in a task, a ``def`` in a worker thread, or, with *inline*, in the
        reader, where it must never block. With neither *request* nor *response* types it takes
        and returns bytes. Raises InvalidOption where the name is taken or doesn't fit.
        """
        method = self._make(name, handler, request, response, inline=inline)
        self._methods[method.name] = method

    def _make(
        self,
        name: str,
        handler: Callable[[Any, Peer], Any],
        request: type[ProtoMessage] | None,
        response: type[ProtoMessage] | None,
        *,
        inline: bool,
    ) -> Method:
        if not name:
            raise errors.InvalidOption("a method needs a name")
        if name in self._methods:
            raise errors.InvalidOption(
                f"the method {name!r} is served already; on the wire methods have bare names, so "
                "two services can't share one"
            )
        is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            getattr(handler, "__call__", None)  # noqa: B004  # an object's own, where it has one
        )
        if inline and is_async:
            raise errors.InvalidOption(f"{name!r} is async: inline is for plain functions")
        mode = Mode.TASK if is_async else Mode.INLINE if inline else Mode.THREAD
        return Method(name, handler, request, response, mode)


class Serving:
    """What serves methods to its peers: a client as well as a server."""

    _registry: Registry

    def register(self, service: Service, *, inline: bool = False) -> None:
        """Serve the methods of *service*; each is called as ``method(request, peer)``.

        ``async def`` methods run in tasks, plain ones in worker threads, so that they may
        block; with *inline* they run in the reader, the fastest way, and must never block.
        Raises InvalidOption where it is no service, or a method's name is taken.
        """
        self._registry.register(service, inline=inline)

    def handle(
        self,
        name: str,
        handler: Callable[[Any, Peer], Any],
        *,
        request: type[ProtoMessage] | None = None,
        response: type[ProtoMessage] | None = None,
        inline: bool = False,
    ) -> None:
        """Serve the method *name* with ``handler(request, peer)``; without types, on bytes.

        It runs as :meth:`register` says, and raises alike.
        """
        self._registry.handle(name, handler, request=request, response=response, inline=inline)
