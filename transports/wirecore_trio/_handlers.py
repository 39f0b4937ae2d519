"""Handlers that users write: how each is run, and what they forget."""

from __future__ import annotations

import inspect
from enum import Enum

from wirecore import errors


class Mode(Enum):
    """How a handler runs."""

    #: ``async def``: in a task of its own.
    TASK = "task"
    #: ``def``: in a worker thread, so that it may block.
    THREAD = "thread"
    #: ``def``, asked for: in the reader itself. The fastest way, and it must never block.
    INLINE = "inline"


def mode_of(name: str, handler: object, *, inline: bool) -> Mode:
    """How *handler*, which serves *name*, is run.

    Raises InvalidOption where *inline* is asked for an async one.
    """
    is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004  # an object's own, where it has one
    )
    if inline and is_async:
        raise errors.InvalidOption(f"{name} is async: inline is for plain functions")
    return Mode.TASK if is_async else Mode.INLINE if inline else Mode.THREAD


def forgotten_await(value: object) -> str:
    """The end of an error's text about *value*, which is of a wrong type: empty for most."""
    if not inspect.iscoroutine(value):
        return ""
    value.close()  # or Python warns that nobody awaited it, which hides what is wrong
    return ": is an await missing?"
