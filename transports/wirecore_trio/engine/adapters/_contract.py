"""What an engine asks of a WebSocket library."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import trio

from wirecore.errors import InvalidState

from ..._arguments import kind_of, require_type
from ..._errors import NotConnected

#: A whole message: ``str`` for text, ``bytes`` for binary.
Message: TypeAlias = str | bytes


class Adapter(Protocol):
    """One connection at a time of some WebSocket library, dialled again and again.

    Any number of tasks may call its methods, but one alone :meth:`receive`. A task that is
    cancelled already has that raised before anything else happens, but by :meth:`close`.
    Whoever writes one can have ``wirecore_trio.testing.AdapterConformance`` try it.
    """

    async def dial(self, url: str) -> Any:
        """Connect; the handshake is through when it returns the server's answer.

        Raises :class:`AlreadyConnected` while there is a connection, and whatever the library
        raises where it fails, or is cancelled: nothing is left of the attempt then.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close, with a close frame; what receives or sends ends, and the connection is forgotten.

        Returns once the frame is sent. May wait for the peer's, some seconds. Cancelled, it drops
        the connection at once. Raises NotConnected where there is none, and what the library
        raises where the frame couldn't be sent: the connection is forgotten all the same.
        """

    async def ping(self) -> Any:
        """Send a ping, and wait for its pong; nobody need receive. Raises NotConnected, and
        ConnectionClosed where the connection ends before."""

    async def receive(self) -> Message:
        """The next message, whole; control frames are seen to underneath.

        Cancelled, it has lost nothing: the next call goes on. Raises ConnectionClosed where the
        peer has closed (its code and reason; 1005 without a code), where the connection was lost
        (1006), and where the peer broke a rule (1002, 1009, as this end has told it): then the
        connection is forgotten, and may be dialled anew. Raises NotConnected where there is none.
        Any other error is one after which it may be called again.
        """

    async def send(self, message: Message) -> None:
        """Send a message: text for ``str``. Returns when it is on its way.

        Raises NotConnected, and ConnectionClosed where the connection has ended.
        """

    @property
    def underlying(self) -> Any:
        """The library's own connection; None while there is none."""


class ReceivesMany(Protocol):
    """What an adapter may offer besides: many small messages at the cost of few calls."""

    async def receive_many(self) -> list[Message]:
        """All messages that have come, in their order, at least one; else as ``receive``.

        An end behind them is told by the next call.
        """


_METHODS: Final = ("dial", "close", "ping", "receive", "send")


def require_adapter(value: object) -> None:
    """Raise TypeError unless *value*, the argument ``adapter``, has what an Adapter has."""
    if isinstance(value, type):
        raise TypeError(f"adapter must be an adapter, not {kind_of(value)}: make one of it")
    missing = [name for name in _METHODS if not callable(getattr(value, name, None))]
    if not hasattr(value, "underlying"):
        missing.append("underlying")
    if missing:
        raise TypeError(f"adapter must be an adapter: {kind_of(value)} has no {', '.join(missing)}")


class AlreadyConnected(InvalidState):
    """An adapter was told to dial, and has a connection."""

    def __init__(self) -> None:
        super().__init__("a connection has already been established")


C = TypeVar("C")


class OneAtATime(ABC, Generic[C]):
    """An adapter's part that all have: which connection there is, if any.

    ``C``: the library's connection.
    """

    def __init__(self) -> None:
        self._connection: C | None = None
        self._dialling = False

    @property
    def underlying(self) -> Any:
        """See Adapter."""
        return self._connection

    async def dial(self, url: str) -> Any:
        """See Adapter."""
        await trio.lowlevel.checkpoint_if_cancelled()
        require_type("url", url, str)
        if self._connection is not None or self._dialling:
            raise AlreadyConnected
        self._dialling = True
        try:
            self._connection, answer = await self._dial(url)
        finally:
            self._dialling = False
        return answer

    @abstractmethod
    async def _dial(self, url: str) -> tuple[C, Any]:
        """Connect: the connection, and the server's answer."""

    async def _up(self, what: str) -> C:
        """The connection. Raises NotConnected for *what*."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._connection is None:
            raise down(what)
        return self._connection

    def _take(self, what: str) -> C:
        """The same, to forget it."""
        connection, self._connection = self._connection, None
        if connection is None:
            raise down(what)
        return connection

    def _forget(self, connection: C) -> None:
        """*connection* has ended."""
        if self._connection is connection:
            self._connection = None


def down(what: str) -> NotConnected:
    """What to raise for *what*, as there is no connection."""
    return NotConnected(f"{what} failed because no connection is already up")
