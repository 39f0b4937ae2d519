"""What fails outside of trio says so, and a single exception comes in no group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from wirecore.errors import LocalError
from wirecore_trio._errors import alone
from wirecore_trio.websocket import connect, reconnecting, serve


async def handler(_: object) -> None:
    raise AssertionError("nobody connects")


@pytest.mark.parametrize(
    "verb",
    [
        connect("ws://h/").__aenter__,
        reconnecting("ws://h/").__aenter__,
        lambda: serve(handler, "127.0.0.1", 0),
    ],
)
def test_without_trio_it_says_what_to_do(verb: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(LocalError, match=r"start one with trio\.run\(main\)"):
        verb().__await__().__next__()


def test_a_single_exception_comes_alone_and_several_come_together() -> None:
    error = ValueError("the one")
    with pytest.raises(ValueError, match="the one") as caught, alone():
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [error])])
    assert caught.value is error
    group = ExceptionGroup("two", [error, OSError()])
    with pytest.raises(ExceptionGroup) as several, alone():
        raise group
    assert several.value is group
    with alone():
        pass
