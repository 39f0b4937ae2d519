"""What keeps sessions: the small protocol of stores, and what a store adds that servers share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, runtime_checkable

import trio

from wirecore.protocols.webwire import Session


@runtime_checkable
class SessionStore(Protocol):
    """Keeps sessions beyond their connections.

    Any number of tasks may call it at once. Calls of one key take effect one after another: no
    lookup brings back what a close has removed, whatever is cancelled. What a method raises is
    logged by the server, and answered as its protocol says; what it holds is logged, too, so it
    holds no key. Keys come from the network: what a store can't hold is not found, and no key
    may become a path.
    """

    async def create(self, session: Session) -> None:
        """Keep *session*. Raises KeyError where its key is taken, and keeps the one it has.

        What happens to *session* or its info later changes nothing that is kept. Raises
        :class:`~wirecore.errors.InvalidKey` where the store can't hold such a key, TypeError or
        ValueError where the info isn't JSON or a time has no zone.
        """

    async def look_up(self, key: str, now: datetime) -> Session | None:
        """The session of *key* as it was kept, and *now* is its last lookup; None without one.

        What is returned has the lookup before this one. Times keep their microseconds.
        """

    async def close(self, key: str) -> None:
        """Forget the session of *key*. Nothing happens where there is none."""


#: Called with the topic and the bytes of what was published, one after another; never raises.
Deliver = Callable[[str, bytes], Awaitable[None]]


@runtime_checkable
class SharedStore(SessionStore, Protocol):
    """A store by which several servers are one: their sessions, and messages between them."""

    async def contains(self, key: str) -> bool:
        """Whether the session of *key* is kept; its last lookup stays."""

    async def attach(self, key: str, connection: str, most: int) -> bool:
        """Count *connection*, an id that no other has, among those that use the session of *key*.

        False, and it isn't, where *most* do already on all servers (0: any number). Counted once
        where it is counted already. What a dead server has counted is forgotten in time, and so
        is what a call counted that was cancelled or raised.
        """

    async def detach(self, key: str, connection: str, *, forget: bool = False) -> int:
        """*connection* doesn't use it any longer; how many do, on all servers. Idempotent.

        *connection* is "" for who only asks that. *forget*: if none does the session is closed, in
        the same step: nobody comes in between. Where that raises, *connection* uses it still.
        """

    async def publish(self, topic: str, message: bytes) -> None:
        """Send *message* to each server that has subscribed to *topic*, this one too."""

    async def subscribe(self, topic: str) -> None:
        """From now on what is published to *topic* is delivered. Idempotent.

        Before :meth:`run`, and where it raises since the store is out of reach: from when there
        is a connection.
        """

    async def unsubscribe(self, topic: str) -> None:
        """And no longer. Idempotent."""

    async def run(
        self,
        deliver: Deliver,
        resumed: Callable[[], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Deliver, in the order of publishing, until cancelled; one server runs it once.

        Started when what is subscribed to is delivered. Where the store was out of reach it is
        connected to again, what was subscribed to is again, and *resumed* is called: messages
        may have been missed.
        """
