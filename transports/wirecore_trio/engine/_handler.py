"""The six callbacks of an engine: as methods of a class, or as functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wirecore.constants import MAX_CLOSE_REASON, CloseCode, is_valid_close_code
from wirecore.errors import InvalidOption

from .._arguments import require_callable, require_int, require_type
from ._messages import checked_size

if TYPE_CHECKING:
    from wirecore.protocols.engine import CloseDetails

    from ._session import Session
    from .adapters import Message

F = TypeVar("F", bound=Callable[..., Any])

#: What each callback takes.
_TAKES: Final = {
    "on_open": ("session",),
    "on_message": ("session", "message"),
    "on_read_error": ("session", "error"),
    "on_close": ("session", "details"),
    "on_close_error": ("error",),
    "on_restart_error": ("error", "retry_count", "give_up"),
}


@dataclass(frozen=True, slots=True)
class CloseMessage:
    """What ``on_close`` may return: *code* and *reason* of the close frame to send.

    Raises InvalidOption for a code that no close frame may have (those that may are 1000 to 1003,
    1007 to 1014 and 3000 to 4999), and for a reason of more than 123 bytes of UTF-8, or that UTF-8
    can't hold; TypeError for other types.
    """

    code: int = CloseCode.GOING_AWAY
    reason: str = "Going away"

    def __post_init__(self) -> None:
        require_int("code", self.code)
        require_type("reason", self.reason, str)
        if not is_valid_close_code(self.code):
            raise InvalidOption(
                f"code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, not {self.code}"
            )
        size = checked_size("reason", self.reason)
        if size > MAX_CLOSE_REASON:
            raise InvalidOption(
                f"reason must be at most {MAX_CLOSE_REASON} bytes of UTF-8, not {size}"
            )


class Handler:
    """The callbacks of an engine, which do nothing: a base for your own.

    Each may be async or plain; a plain one runs in trio's thread, and mustn't block.
    """

    async def on_open(self, session: Session) -> None:
        """The connection is open, at first or again (``session.restarting``); nothing was read.

        May send and receive by hand. What it raises closes the connection with 1001, without
        on_close: :meth:`Engine.start` raises it, or on_restart_error is told, and it is tried
        again. It is cancelled at ``open_timeout``.
        """

    async def on_message(self, session: Session, message: Message) -> None:
        """A message came: ``str`` for text, else ``bytes``; an empty one, too.

        As many run side by side as there are workers, and they start in the messages' order.
        What it raises is logged, and the engine goes on.
        """

    async def on_read_error(self, session: Session, error: Exception) -> None:
        """Reading failed, and the connection hasn't ended; nobody reads meanwhile.

        Of wirecore's own adapter there is no such error. May receive by hand. What it raises is
        logged, and the engine reads on.
        """

    async def on_close(self, session: Session, details: CloseDetails | None) -> CloseMessage | None:
        """The connection is about to be closed by this end (*details* is None), or has ended.

        Once for each connection whose on_open was through. What it returns is sent where this end
        closes; None, and what it raises, which is logged, stands for 1001, "Going away".
        """

    async def on_close_error(self, error: Exception) -> None:
        """Closing failed. What it raises is logged."""

    async def on_restart_error(
        self, error: Exception, retry_count: int, give_up: Callable[[], None]
    ) -> None:
        """A further attempt failed or took too long; the next one follows after its delay.

        *retry_count*: 0 for the first of an outage. *give_up*: ends the engine. What it raises
        is logged.
        """


class Callbacks:
    """Callbacks as functions, those that you need::

        callbacks = Callbacks()

        @callbacks.on_message
        async def show(session, message):
            print(message)

    They take what :class:`Handler`'s methods take, and behave alike. Raises InvalidOption for a
    second function of a kind, TypeError for one that takes something else, or is a generator.
    """

    def __init__(self) -> None:
        self._given: dict[str, Callable[..., Any]] = {}

    def _add(self, name: str, function: F) -> F:
        require_callable(name, function, *_TAKES[name])
        if name in self._given:
            raise InvalidOption(f"{name} was given already: an engine has one function for it")
        self._given[name] = function
        return function

    def on_open(self, function: F) -> F:
        """See :meth:`Handler.on_open`."""
        return self._add("on_open", function)

    def on_message(self, function: F) -> F:
        """See :meth:`Handler.on_message`."""
        return self._add("on_message", function)

    def on_read_error(self, function: F) -> F:
        """See :meth:`Handler.on_read_error`."""
        return self._add("on_read_error", function)

    def on_close(self, function: F) -> F:
        """See :meth:`Handler.on_close`."""
        return self._add("on_close", function)

    def on_close_error(self, function: F) -> F:
        """See :meth:`Handler.on_close_error`."""
        return self._add("on_close_error", function)

    def on_restart_error(self, function: F) -> F:
        """See :meth:`Handler.on_restart_error`."""
        return self._add("on_restart_error", function)


def functions_of(handler: Handler | Callbacks) -> dict[str, Callable[..., Any]]:
    """The callbacks of *handler* by their names; those that do nothing aren't there."""
    if isinstance(handler, Callbacks):
        return dict(handler._given)
    found: dict[str, Callable[..., Any]] = {}
    for name, takes in _TAKES.items():
        method = getattr(handler, name)
        if getattr(method, "__func__", None) is not getattr(Handler, name):
            require_callable(name, method, *takes)
            found[name] = method
    return found


async def call(function: Callable[..., Any] | None, *arguments: object) -> Any:
    """What *function* gives, be it plain or async; None without one."""
    if function is None:
        return None
    given = function(*arguments)
    return await given if inspect.isawaitable(given) else given
