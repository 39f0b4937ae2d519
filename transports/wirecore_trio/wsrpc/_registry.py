"""What a side serves: its methods by name, and how they get there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wirecore import errors

from .._arguments import kind_of, require_type
from .._handlers import mode_of
from ._service import Method, MethodTypes, ProtoMessage, Service, require_message_type

if TYPE_CHECKING:
    from ._peer import Peer

#: Handlers that take and give bytes, by their methods' names.
Handlers: TypeAlias = Mapping[str, "Callable[[Any, Peer], Any]"]

NO_HANDLERS: Final[Handlers] = MappingProxyType({})


class Registry:
    """The methods of one side. Changes take effect with the next request."""

    __slots__ = ("_methods", "find")

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}
        #: The method of a name, None where there is none. No frame of its own: every request asks.
        self.find: Callable[[str], Method | None] = self._methods.get

    def register(self, service: Service, *, inline: bool = False) -> None:
        """Serve all methods of *service*; see :meth:`handle` for how they run.

        Raises InvalidOption where it is no service, lacks a method, or one of its names is
        taken; TypeError where a part of it is of a wrong type.
        """
        if isinstance(service, type):
            raise TypeError(
                f"{service.__name__} is a class: register an instance, as {service.__name__}()"
            )
        kind = type(service).__name__
        methods = getattr(service, "wsrpc_methods", None)
        if not methods:
            raise errors.InvalidOption(f"{kind} is no service: its class has no wsrpc_methods")
        if not isinstance(methods, Mapping):
            raise TypeError(
                f"{kind}.wsrpc_methods must map the methods' names to MethodTypes, "
                f"not {kind_of(methods)}"
            )
        made = []
        for name, types in methods.items():
            if not isinstance(types, MethodTypes):
                raise TypeError(
                    f"{kind}.wsrpc_methods[{name!r}] must be MethodTypes(request, response), "
                    f"not {kind_of(types)}"
                )
            _check_name(name)
            if not hasattr(service, name):
                raise errors.InvalidOption(
                    f"{kind} has no method {name!r}, which its wsrpc_methods names"
                )
            handler = getattr(service, name)
            made.append(self._make(name, handler, types.request, types.response, inline=inline))
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
        and returns bytes. Raises InvalidOption where the name is taken or *inline* doesn't fit,
        TypeError for what can't be called so, or is no class of messages.
        """
        _check_name(name)
        for argument, kind in (("request", request), ("response", response)):
            if kind is not None:
                require_message_type(argument, kind)
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
        if name in self._methods:
            raise errors.InvalidOption(
                f"the method {name!r} is served already; on the wire methods have bare names, so "
                "two services can't share one"
            )
        _check_handler(name, handler)
        mode = mode_of(repr(name), handler, inline=inline)
        return Method(name, handler, request, response, mode)

    def add(self, services: Sequence[Service], handlers: Handlers) -> None:
        """Serve what the arguments *services* and *handlers* of a side say; raises alike."""
        if not isinstance(services, Sequence):
            raise TypeError(f"services must be a sequence of services, not {kind_of(services)}")
        if not isinstance(handlers, Mapping):
            raise TypeError(f"handlers must map names to functions, not {kind_of(handlers)}")
        for service in services:
            self.register(service)
        for name, handler in handlers.items():
            self.handle(name, handler)


def _check_name(name: object) -> None:
    require_type("a method's name", name, str)
    if not name:
        raise errors.InvalidOption("a method needs a name")


def _check_handler(name: str, handler: Callable[[Any, Peer], Any]) -> None:
    if not callable(handler):
        raise TypeError(f"the handler of {name!r} must be callable, not {kind_of(handler)}")
    try:
        signature = inspect.signature(handler)
    except ValueError:
        return  # some builtins don't tell theirs
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"the handler of {name!r} is called as handler(request, peer): {error}"
        ) from None


class Serving:
    """What serves methods to its peers: a client as well as a server."""

    _registry: Registry

    def register(self, service: Service, *, inline: bool = False) -> None:
        """Serve the methods of *service*; each is called as ``method(request, peer)``.

        ``async def`` methods run in tasks, plain ones in worker threads, so that they may
        block; with *inline* they run in the reader, the fastest way, and must never block.
        Raises InvalidOption where it is no service, lacks a method that it names, or a method's
        name is taken; TypeError for a class in place of an instance, and what can't be called.
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
