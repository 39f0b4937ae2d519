"""Which call a handler is running for."""

from __future__ import annotations

from collections.abc import Collection
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.errors import InvalidState

if TYPE_CHECKING:
    from ._invoking import Replies

#: The method's name, and where the call came from. Made into an object only for who asks.
running: Final[ContextVar[tuple[str, Replies]]] = ContextVar("wirecore.pool.running")


@dataclass(frozen=True, slots=True)
class CurrentCall:
    """A call that is being handled.

    *method*: its name as Go writes it, ``Backend.Get``, however the caller did. *peer*: who
    called, as logs name it. *connection*: on which it came.
    """

    method: str
    peer: str
    connection: Any


def current_call() -> CurrentCall:
    """The call that is being handled: in a handler, its thread, and the tasks that it starts.

    Raises :class:`~wirecore.errors.InvalidState` where no call is.
    """
    found = running.get(None)
    if found is None:
        raise InvalidState("current_call() is for handlers: no call is being handled here")
    method, replies = found
    return CurrentCall(method, replies.peer, replies.connection)


def refuse_in_handlers(nursery: trio.Nursery, channels: Collection[Replies]) -> None:
    """Raise RuntimeError in a handler of *channels*, which tasks of *nursery* run.

    For who waits for these handlers, and so for ever for one that calls it. A task that a handler
    has started and doesn't wait for is none.
    """
    found = running.get(None)
    if found is None or found[1] not in channels:
        return
    task = trio.lowlevel.current_task()
    root = trio.lowlevel.current_root_task()
    while (parent := task.parent_nursery) is not None and parent is not nursery:
        if parent.parent_task is root:
            # What a thread asks for is done by a task of trio's own, which has its context.
            if task.context.get(running) != found:
                return
            break
        task = parent.parent_task
    raise RuntimeError(
        f"{found[0]} can't wait for the end of what serves it, as that waits for {found[0]}: start "
        "drain in a task that the handler doesn't wait for (nursery.start_soon(serving.drain), in "
        "a nursery from outside of it), or use close(), which waits for no handler"
    )
