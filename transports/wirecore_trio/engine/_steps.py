"""A callback up to where it waits for the first time, and the rest of it.

Most never wait: these cost a call, and no task need be told.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any


def first_step(
    function: Callable[..., Any], session: object, message: object
) -> Awaitable[None] | None:
    """Call *function*, which may be async. None where it is through; else its rest, to be awaited.

    What *function* gives is of no interest. Raises what it raises, as does the rest.
    """
    given = function(session, message)
    if type(given) is not types.CoroutineType:
        if given is None or not hasattr(given, "__await__"):
            return None
        given = _awaited(given)
    try:
        trap = given.send(None)
    except StopIteration:
        return None
    return _rest(given, trap)


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, object], trap: Any) -> Generator[Any, Any, None]:
    """Go on with *coroutine*, which has said *trap* to trio."""
    while True:
        try:
            sent = yield trap
        except BaseException as error:  # noqa: BLE001 - it is the coroutine's
            try:
                trap = coroutine.throw(error)
            except StopIteration:
                return
        else:
            try:
                trap = coroutine.send(sent)
            except StopIteration:
                return


async def _awaited(given: Any) -> None:
    await given
