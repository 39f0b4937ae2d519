"""Types of arguments, checked where they come in: later the error would name something else.

A text names the argument and the type that came, never the value: it may be a secret.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Final

from wirecore.errors import kind_of

__all__ = [
    "kind_of",
    "require_async",
    "require_callable",
    "require_int",
    "require_known",
    "require_number",
    "require_plain",
    "require_seconds",
    "require_type",
    "require_words",
    "words",
    "yields",
]

_GENERATOR: Final = "it has a yield, and so is a generator"


def require_type(
    name: str,
    value: object,
    kinds: type | tuple[type, ...],
    *,
    optional: bool = False,
    hint: str = "",
) -> None:
    """Raise TypeError unless *value*, the argument *name*, is of *kinds*, or None if *optional*.

    *hint*: what to give in its place.
    """
    if isinstance(value, kinds) or (optional and value is None):
        return
    classes = kinds if isinstance(kinds, tuple) else (kinds,)
    wanted = [kind.__name__ for kind in classes]
    given = kind_of(value)
    if given in wanted:  # two classes of the same name: their modules tell them apart
        wanted = [_full_name(kind) for kind in classes]
        given = _full_name(type(value))
    if optional:
        wanted.append("None")
    raise TypeError(_text(name, " or ".join(wanted), given, hint))


def require_int(name: str, value: object) -> None:
    """Raise TypeError unless *value*, the argument *name*, is a whole number."""
    # True is an int for Python, and a mistake here.
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(_text(name, "int", kind_of(value)))


def require_seconds(name: str, value: object, *, optional: bool = True) -> None:
    """Raise TypeError unless *value*, the argument *name*, is a number of seconds, or None."""
    if optional and value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        wanted = "a number of seconds"
        raise TypeError(_text(name, f"{wanted} or None" if optional else wanted, kind_of(value)))


def require_number(name: str, value: object) -> None:
    """Raise TypeError unless *value*, the argument *name*, is a number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(_text(name, "a number", kind_of(value)))


def require_async(name: str, value: object, *takes: str, optional: bool = False) -> None:
    """Raise TypeError unless *value*, the argument *name*, may be an async function of *takes*.

    A function without ``async`` may return what another made: only its call tells.
    """
    if optional and value is None:
        return
    hint = ""
    if inspect.iscoroutine(value):
        value.close()  # or Python warns that nobody awaited it, which hides what is wrong
        hint = "give the function itself, without calling it"
    elif yields(value):
        hint = _GENERATOR
    elif callable(value) and not isinstance(value, type):
        _require_call(name, value, takes)
        return
    raise TypeError(_text(name, "an async function", kind_of(value), hint))


def require_callable(name: str, value: object, *takes: str) -> None:
    """Raise TypeError unless *value*, the argument *name*, may be called with *takes*."""
    if not callable(value):
        wanted = f"a function of ({', '.join(takes)}), or a class"
        raise TypeError(_text(name, wanted, kind_of(value)))
    if yields(value):
        wanted = f"a function of ({', '.join(takes)})"
        raise TypeError(_text(name, wanted, kind_of(value), _GENERATOR))
    _require_call(name, value, takes)


def require_plain(name: str, value: object, *takes: str) -> None:
    """Raise TypeError unless *value*, the argument *name*, may be called with *takes*, not async.

    For what is asked for its answer: of an async function that is a coroutine, which is true.
    """
    require_callable(name, value, *takes)
    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(_call_of(value)):
        wanted = f"a function of ({', '.join(takes)}) without async"
        raise TypeError(_text(name, wanted, kind_of(value), "nobody awaits what it gives"))


def yields(value: object) -> bool:
    """Whether calling it makes a generator, of which nothing runs then."""
    return any(
        (inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each))
        # One that types.coroutine was over is awaited like any other.
        and not _code_flags(each) & inspect.CO_ITERABLE_COROUTINE
        for each in (value, _call_of(value))
    )


def _code_flags(function: object) -> int:
    while isinstance(function, functools.partial):
        function = function.func
    return int(getattr(getattr(function, "__code__", None), "co_flags", 0))


def _call_of(value: object) -> object:
    """What runs where *value*, an object with a ``__call__``, is called; None for others."""
    return None if isinstance(value, type) else getattr(value, "__call__", None)  # noqa: B004


def _require_call(name: str, function: Callable[..., object], takes: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # some builtins don't tell theirs
    try:
        signature.bind(*takes)
    except TypeError as error:
        raise TypeError(f"{name} is called as {name}({', '.join(takes)}): {error}") from None


def require_words(name: str, value: object) -> None:
    """Raise TypeError unless *value*, the argument *name*, holds ``str`` and isn't one."""
    if isinstance(value, str):
        # It is an iterable of one-letter strings for Python, and a mistake here.
        raise TypeError(_text(name, "a list of str", kind_of(value), "put the one into a list"))
    if not isinstance(value, Iterable):
        raise TypeError(_text(name, "a list of str", kind_of(value)))
    for item in value:
        if not isinstance(item, str):
            raise TypeError(f"{name} must be a list of str: it holds {kind_of(item)}")


def words(name: str, value: Iterable[str]) -> frozenset[str]:
    """What *value*, the argument *name*, holds. Raises as :func:`require_words`."""
    # An iterable may be there once only: so it is looked at here, and no more.
    found = value if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    require_words(name, found)
    return frozenset(found)


def require_known(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError, in Python's words and for *function*, for a *given* name not *known*."""
    for name in given:
        if name not in known:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def _full_name(kind: type) -> str:
    """*kind* with the module that its users take it from: a private one isn't that."""
    module = ".".join(part for part in kind.__module__.split(".") if not part.startswith("_"))
    return f"{module}.{kind.__name__}"


def _text(name: str, wanted: str, given: str, hint: str = "") -> str:
    return f"{name} must be {wanted}, not {given}" + (f": {hint}" if hint else "")
