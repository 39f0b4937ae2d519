"""What a side serves: its services by name, and how they get there."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeAlias

from wirecore.errors import InvalidOption

from .._arguments import require_type, require_words
from ._service import (
    Mark,
    Method,
    check_method_name,
    go_name,
    make_method,
    mark_of,
    marked_methods,
    spellings,
)

logger = logging.getLogger("wirecore.pool")

#: A method of a service: its name in Python, how it is marked, and what is called.
_Member: TypeAlias = tuple[str, Mark, Callable[..., Any]]


class _Methods(dict[str, "Method | str"]):
    """Methods by what callers call them. What isn't there is the text of an error, as Go's."""

    __slots__ = ("services",)

    def __init__(self) -> None:
        super().__init__()
        self.services: set[str] = set()

    def __missing__(self, name: str) -> str:
        # At this level only: a peer must not be able to fill the log.
        logger.debug("the peer called %r, which isn't served here", name[:100])
        service, dot, _ = name.rpartition(".")
        if not dot:
            return f"rpc: service/method request ill-formed: {name}"
        missing = "method" if service in self.services else "service"
        return f"rpc: can't find {missing} {name}"


class Registry:
    """The services of one side. Changes take effect with the next call."""

    __slots__ = ("_json", "_methods", "_registered", "find")

    def __init__(self) -> None:
        self._methods = _Methods()
        self._registered: set[str] = set()
        self._json = False
        #: The method that a caller names, or the text of the error that answers the call.
        #: No frame of its own: every call asks.
        self.find: Callable[[str], Method | str] = self._methods.__getitem__

    def register(self, service: object, name: str | None = None) -> None:
        """Serve the marked methods of *service*, an object; see :func:`exported`.

        A module serves the functions that its ``__all__`` names, and no others. *name*: what
        callers call the service; by default that of the object's class, or the last part of the
        module's, in Go's form: ``app.user_store`` is ``UserStore``.

        Raises TypeError for a class in place of an instance, and for a method that can't be
        called with one argument; InvalidOption where no method is marked, two have one name, or
        a service has that *name* already; InvalidGobType for a type that has no counterpart in
        gob, and InvalidJsonType in JSON, if that is spoken.
        """
        require_type("name", name, str, optional=True)
        if isinstance(service, ModuleType):
            label, default, members = service.__name__, _name_of(service), _of_module(service)
        else:
            label = default = type(service).__name__
            members = _of_object(service)
        name = default if name is None else name
        _check_service_name(name)
        if name in self._registered:
            raise InvalidOption(
                f"a service {name!r} is registered already: give this one a name=… of its own"
            )
        made: dict[str, Method] = {}
        for attribute, mark, handler in members:
            where = f"{label}.{attribute}"
            names = [f"{name}.{each}" for each in spellings(where, attribute, mark)]
            method = self._make(names[0], where, handler, inline=mark.inline)
            for each in names:
                self._check_free(each, method, made)
                made[each] = method
        self._add(name, made)
        self._registered.add(name)

    def handle(self, name: str, function: Callable[..., Any], *, inline: bool = False) -> None:
        """Serve the method *name*, ``Service.Method``, by *function*.

        It has that name alone, and may add to a service that is registered. It runs as
        :func:`exported` says, and raises as :meth:`register`.
        """
        require_type("a method's name", name, str)
        service, _, method_name = name.rpartition(".")
        if not service:
            raise InvalidOption(f"{name!r} must be the name of a service, a dot, and a method's")
        _check_service_name(service)
        check_method_name(method_name)
        method = self._make(name, f"the handler of {name!r}", function, inline=inline)
        self._check_free(name, method, {})
        self._add(service, {name: method})

    def require_json(self) -> None:
        """Have all types be JSON's, too: of what is served, and of what will be.

        Raises InvalidJsonType where one isn't; nothing has changed then.
        """
        for method in self._methods.values():
            assert isinstance(method, Method)
            method.check_json()
        self._json = True

    def _make(self, name: str, where: str, handler: Callable[..., Any], *, inline: bool) -> Method:
        method = make_method(name, where, handler, inline=inline)
        if self._json:
            method.check_json()
        return method

    def _check_free(self, name: str, method: Method, made: dict[str, Method]) -> None:
        taken = made.get(name) or self._methods.get(name)
        if taken is not None:
            assert isinstance(taken, Method)
            raise InvalidOption(
                f"{method.where} and {taken.where} both are called {name!r}: give one of them "
                "another name"
            )

    def _add(self, service: str, made: dict[str, Method]) -> None:
        self._methods.update(made)
        self._methods.services.add(service)


def _check_service_name(name: str) -> None:
    if not name:
        raise InvalidOption("a service needs a name")


def _name_of(module: ModuleType) -> str:
    return go_name(module.__name__.rpartition(".")[2])


def _of_object(service: object) -> Iterator[_Member]:
    if isinstance(service, type):
        raise TypeError(
            f"{service.__name__} is a class: register an instance, as {service.__name__}()"
        )
    kind = type(service)
    if inspect.isroutine(service):
        raise TypeError(f'a {kind.__name__} has no methods: handle("Service.Method", …) serves it')
    marks = marked_methods(kind)
    if not marks:
        raise InvalidOption(
            f"{kind.__name__} is no service: none of its methods is marked by @pool.exported"
        )
    for attribute, mark in marks.items():
        yield attribute, mark, getattr(service, attribute)


def _of_module(module: ModuleType) -> Iterator[_Member]:
    label = f"the module {module.__name__}"
    names = getattr(module, "__all__", None)
    if names is None:
        raise InvalidOption(f"{label} has no __all__, which says what of it may be called")
    require_words(f"__all__ of {label}", names)
    count = 0
    for attribute in names:
        if not hasattr(module, attribute):
            raise InvalidOption(f"{label} has no {attribute!r}, which its __all__ names")
        function = getattr(module, attribute)
        if inspect.isroutine(function):
            count += 1
            yield attribute, mark_of(function) or Mark(), function
    if not count:
        raise InvalidOption(f"{label} is no service: its __all__ names no function")
