"""What ASGI calls things, and what an application is told that breaks its rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from wirecore.errors import LocalError

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
#: An application of ASGI 3.0.
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class AsgiViolation(LocalError, RuntimeError):
    """An application of ASGI sent what it may not send, or not there: a fault of its own."""


def asyncio_hint(error: BaseException) -> str:
    """What to add to the report of *error* if it is what asyncio's functions raise on trio."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(asyncio_hint, error.exceptions)), "")
    text = str(error)
    if (
        (isinstance(error, RuntimeError) and "no running event loop" in text)
        or (isinstance(error, TypeError) and "asyncio" in text and "trio" in text)
        # What asyncio's queues, events and locks say where there is no loop.
        or (
            isinstance(error, AttributeError) and (error.name, error.obj) == ("create_future", None)
        )
    ):
        return (
            "; it wants asyncio, and runs on trio here: give it as rest.AsyncioApp(app), or publish"
            " it with --loop asyncio"
        )
    return ""
