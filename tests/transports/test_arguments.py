"""Arguments of a wrong type: the error names the argument, what came, and what is wanted."""

from __future__ import annotations

import re
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any

import pytest

from wirecore_trio._arguments import (
    require_async,
    require_callable,
    require_int,
    require_known,
    require_plain,
    require_seconds,
    require_type,
    require_words,
)


async def handler() -> None:
    raise AssertionError("nobody calls it")


def passes_on() -> Awaitable[None]:
    return handler()


async def generator() -> AsyncIterator[int]:
    yield 1


def plain_generator() -> Iterator[int]:
    yield 1


class Generating:
    def __call__(self) -> Iterator[int]:
        yield 1


class Awaited:
    async def __call__(self) -> None: ...


def returns_early(one: int) -> Awaitable[None] | None:
    if one:
        return None
    return handler()


@types.coroutine
def old_coroutine() -> Generator[None, None, None]:
    yield


@pytest.mark.parametrize(
    "check",
    [
        partial(require_type, "x", "a", str),
        partial(require_type, "x", b"a", (str, bytes)),
        partial(require_type, "x", None, str, optional=True),
        partial(require_int, "x", 0),
        partial(require_seconds, "x", 0.5),
        partial(require_seconds, "x", None),
        partial(require_async, "x", handler),
        partial(require_async, "x", partial(handler)),
        partial(require_async, "x", passes_on),
        partial(require_async, "x", returns_early, "one"),
        partial(require_async, "x", old_coroutine),
        partial(require_async, "x", lambda one=1: handler()),
        partial(require_async, "x", min),  # a builtin that doesn't tell what it takes
        partial(require_async, "x", None, optional=True),
        partial(require_callable, "x", handler),
        partial(require_callable, "x", old_coroutine),
        partial(require_callable, "x", partial(old_coroutine)),
        partial(require_callable, "x", Generating),
        partial(require_callable, "x", Awaited()),
        partial(require_plain, "x", lambda one: one, "one"),
        partial(require_plain, "x", Awaited),
        partial(require_plain, "x", str),
        partial(require_words, "x", ["a", "b"]),
        partial(require_words, "x", ()),
        partial(require_known, "f", ["a"], {"a", "b"}),
    ],
)
def test_what_fits_goes_in(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (partial(require_type, "url", 5, str), "url must be str, not int"),
        (partial(require_type, "x", str, str), "x must be str, not the class str"),
        (
            partial(require_type, "x", 5, (str, bytes), optional=True, hint="do so"),
            "x must be str or bytes or None, not int: do so",
        ),
        (partial(require_int, "x", True), "x must be int, not bool"),
        (partial(require_seconds, "x", "5"), "x must be a number of seconds or None, not str"),
        (
            partial(require_seconds, "x", None, optional=False),
            "x must be a number of seconds, not NoneType",
        ),
        (partial(require_async, "x", None), "x must be an async function, not NoneType"),
        (partial(require_async, "x", dict), "x must be an async function, not the class dict"),
        (
            partial(require_async, "x", handler, "one"),
            "x is called as x(one): too many positional arguments",
        ),
        (
            partial(require_async, "x", returns_early),
            "x is called as x(): missing a required argument: 'one'",
        ),
        (
            partial(require_async, "x", generator),
            "x must be an async function, not function: it has a yield, and so is a generator",
        ),
        *[
            (
                partial(check, "x", made),
                f"x must be {wanted}, not {kind}: it has a yield, and so is a generator",
            )
            for check, wanted in (
                (require_async, "an async function"),
                (require_callable, "a function of ()"),
                (require_plain, "a function of ()"),
            )
            for made, kind in (
                (generator, "function"),
                (plain_generator, "function"),
                (partial(plain_generator), "partial"),
                (Generating(), "Generating"),
                (Generating().__call__, "method"),
            )
        ],
        *[
            (
                partial(require_plain, "x", made),
                f"x must be a function of () without async, not {kind}: nobody awaits what it "
                "gives",
            )
            for made, kind in (
                (handler, "function"),
                (partial(handler), "partial"),
                (Awaited(), "Awaited"),
            )
        ],
        (
            partial(require_words, "x", "chat"),
            "x must be a list of str, not str: put the one into a list",
        ),
        (partial(require_words, "x", 5), "x must be a list of str, not int"),
        (partial(require_words, "x", ["a", b"b"]), "x must be a list of str: it holds bytes"),
        (
            partial(require_known, "f", ["a", "c"], {"a"}),
            "f() got an unexpected keyword argument 'c'",
        ),
    ],
)
def test_what_doesnt_fit_is_named(check: Callable[[], None], text: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        check()


def test_a_function_that_was_called_is_told_so_without_a_warning() -> None:
    called: Any = handler()
    with pytest.raises(TypeError, match="not coroutine: give the function itself"):
        require_async("x", called)


def test_a_value_is_never_shown() -> None:
    with pytest.raises(TypeError) as caught:
        require_type("psk", b"a secret", str)
    assert "secret" not in str(caught.value)


def test_two_classes_of_one_name_are_told_apart_by_their_modules() -> None:
    other = type("Partial", (), {"__module__": "one._inside"})
    wanted = type("Partial", (), {"__module__": "another"})
    with pytest.raises(TypeError, match=r"x must be another\.Partial or None, not one\.Partial$"):
        require_type("x", other(), wanted, optional=True)
