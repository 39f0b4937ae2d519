"""Methods that are served: which of an object's, what Go calls them, and of which types."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, overload

from wirecore.errors import InvalidGobType, InvalidJsonType, InvalidOption, kind_of
from wirecore.gob.schema import gob_type
from wirecore.gojson.reading import reader_of
from wirecore.gojson.writing import writer_of
from wirecore.protocols.pool.gob import InvalidRequest

from .._arguments import require_type, yields
from .._handlers import Mode, forgotten_await, mode_of

F = TypeVar("F")

#: What a method that returns nothing answers: Go's empty struct, in JSON ``{}``. A caller in Go
#: can read it into any struct, and take no notice of it; any other reply would fail its
#: connection. The type is the one that goes with errors: a stream defines it once.
Nothing = InvalidRequest
NOTHING: Final = Nothing()

_MARK: Final = "__wirecore_exported__"


# --- marking ---


@dataclass(frozen=True, slots=True)
class Mark:
    """What :func:`exported` says of a method."""

    name: str | None = None
    inline: bool = False


@overload
def exported(method: F, /) -> F: ...


@overload
def exported(*, name: str | None = None, inline: bool = False) -> Callable[[F], F]: ...


def exported(method: Any = None, /, *, name: str | None = None, inline: bool = False) -> Any:
    """Mark a method that callers may call; all others of its object can't be called.

    ::

        class Backend:
            @exported
            def get(self, key: str) -> str: ...

    It takes one argument or none, and returns the reply; both are of the types that its
    annotations say, and ``Any`` where they say nothing. A method that returns None answers an
    empty struct, ``{}`` in JSON: callers in Go give a ``*struct{}``, any other struct, or nil for
    the reply.

    On the wire ``get_all`` is ``GetAll``: the first letter of each word becomes a capital, and the
    rest stays as it is, so that ``get_url`` is ``GetUrl``, and ``get_URL`` is ``GetURL``. Callers
    may as well say ``get_all``. With *name* it has that name alone.

    An ``async def`` runs in a task, a ``def`` in a worker thread, so that it may block; with
    *inline* it runs in the reader, the fastest way, and must never block. Raises RpcError to
    answer with an error.

    Who overrides a marked method overrides what is called; None in its place takes it away.
    It stands above or below ``@staticmethod`` and ``@classmethod``. Raises TypeError where it
    marks no function, or an argument is of a wrong type; InvalidOption for an invalid *name*.
    """
    require_type("name", name, str, optional=True)
    require_type("inline", inline, bool)
    if name is not None:
        check_method_name(name)
    mark = Mark(name, inline)
    if method is not None:
        return _marked(method, mark)
    return lambda method: _marked(method, mark)


def _marked(method: F, mark: Mark) -> F:
    function = _underlying(method)
    hint = ': a name is said as exported(name="…")' if isinstance(method, str) else ""
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"exported marks functions and methods, not {kind_of(method)}{hint}")
    try:
        setattr(function, _MARK, mark)
    except AttributeError:
        raise TypeError(
            f"exported can't mark {kind_of(method)}: mark a def that calls it"
        ) from None
    return method


def _underlying(member: object) -> Any:
    return member.__func__ if isinstance(member, staticmethod | classmethod) else member


def mark_of(member: object) -> Mark | None:
    """How *member*, a function or what a class holds, is marked; None: it isn't."""
    mark = getattr(_underlying(member), _MARK, None)
    return mark if isinstance(mark, Mark) else None


def marked_methods(kind: type) -> dict[str, Mark]:
    """The marked methods of a class, its bases' first, by their names in Python.

    A mark holds for who overrides the method, unless that has its own or is None.
    """
    found: dict[str, Mark] = {}
    for owner in reversed(kind.__mro__):
        for attribute, member in vars(owner).items():
            mark = mark_of(member)
            if mark is not None:
                found[attribute] = mark
            elif member is None:
                found.pop(attribute, None)
    return found


# --- names ---


def go_name(name: str) -> str:
    """What Go would call *name*: ``get_all_items`` is ``GetAllItems``, ``get_URL`` ``GetURL``."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def check_method_name(name: str) -> None:
    """Raise InvalidOption for what can't be a method's name on the wire."""
    if not name or "." in name:
        raise InvalidOption(f"a method's name is what follows the last dot: {name!r} can't be one")


def spellings(where: str, attribute: str, mark: Mark) -> tuple[str, ...]:
    """What callers may call a method, Go's name first. Raises InvalidOption for a private one."""
    if mark.name is not None:
        return (mark.name,)
    if attribute.startswith("_"):
        raise InvalidOption(f"{where} is private by its name: give it one, exported(name=…)")
    return tuple(dict.fromkeys((go_name(attribute), attribute)))


# --- methods ---


@dataclass(frozen=True, slots=True)
class Method:
    """A method that is served.

    *name*: ``Service.Method``, as Go writes it. *handler*: is called with the argument, always.
    *argument*, *result*: their annotations. *where*: what it is in the program, for logs.
    """

    name: str
    handler: Callable[[Any], Any]
    argument: Any
    result: Any
    mode: Mode
    where: str

    def run_in_thread(self, argument: Any) -> Any:
        """What the handler, a plain function, returns. Raises TypeError for a coroutine.

        trio would too, with a text that knows nothing of the method.
        """
        value = self.handler(argument)
        if inspect.iscoroutine(value):
            raise self.wrong_result(value)
        return value

    def wrong_result(self, value: object) -> TypeError:
        """The error of a handler that returned *value*, which its annotation doesn't allow."""
        kind = type(value).__name__
        hint = forgotten_await(value)
        if self.mode is not Mode.TASK and isinstance(value, Awaitable):
            return TypeError(
                f"{self.where} returned a {kind}: make it async def, and await that in it"
            )
        wanted = "None, as it is annotated" if self.result is Nothing else "a value"
        return TypeError(f"{self.where} must return {wanted}, not a {kind}{hint}")

    def check_json(self) -> None:
        """Raise InvalidJsonType where one of its types has no counterpart in JSON."""
        for what, check, annotation in (
            ("its argument", reader_of, self.argument),
            ("what it returns", writer_of, self.result),
        ):
            try:
                check(gob_type(annotation))
            except InvalidJsonType as error:
                raise InvalidJsonType(f"{self.where}, {what}: {error}") from error


def make_method(name: str, where: str, handler: Callable[..., Any], *, inline: bool) -> Method:
    """The method *name*, which *handler* serves; *where* is what errors call that.

    Raises TypeError for what can't be called with one argument, InvalidGobType for a type that
    isn't gob's, InvalidOption where *inline* is asked for an async one.
    """
    if not callable(handler):
        raise TypeError(f"{where} must be callable, not {kind_of(handler)}")
    if yields(handler):
        raise TypeError(f"{where} has a yield: a call has one reply, which is returned")
    mode = mode_of(where, handler, inline=inline)
    parameter = _parameter(where, handler)
    hints = _hints(where, handler)
    argument = Any
    if parameter is None:
        handler = _without_argument(handler)
    elif parameter:
        argument = _typed(where, f"parameter {parameter!r}", hints.get(parameter, Any))
    result = hints.get("return", Any)
    result = Nothing if result is type(None) else _typed(where, "return type", result)
    return Method(name, handler, argument, result, mode, where)


def _without_argument(handler: Callable[[], Any]) -> Callable[[Any], Any]:
    return lambda argument: handler()


def _parameter(where: str, handler: Callable[..., Any]) -> str | None:
    """The name of the parameter that takes the argument; None: none does; empty: unknown."""
    try:
        signature = inspect.signature(handler)
    except ValueError as error:
        if inspect.ismethod(handler):
            raise TypeError(f"{where} lacks self: {error}") from None
        return ""  # some builtins don't tell theirs
    found = None
    for name, each in signature.parameters.items():
        needed = each.default is each.empty
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            wrong = f"takes {each}"
        elif each.kind is each.KEYWORD_ONLY and needed:
            wrong = f"needs the keyword {name!r}"
        elif each.kind is each.KEYWORD_ONLY:
            continue
        elif found is None:
            found = name
            continue
        elif needed:
            wrong = f"needs {found!r} and {name!r}"
        else:
            continue
        raise TypeError(
            f"{where} {wrong}: it is called with one argument, or none; several are the fields "
            "of a dataclass"
        )
    return found


def _hints(where: str, handler: Callable[..., Any]) -> dict[str, Any]:
    function: Any = handler
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (AttributeError, NameError, SyntaxError, TypeError) as error:
        raise InvalidGobType(
            f"{where} has an annotation that can't be resolved ({error}): the names in it must be "
            "globals of its module"
        ) from error


def _typed(where: str, what: str, annotation: Any) -> Any:
    if annotation in (Any, object):
        return Any
    try:
        gob_type(annotation)
    except InvalidGobType as error:
        raise InvalidGobType(f"{where}, {what}: {error}") from error
    return annotation
