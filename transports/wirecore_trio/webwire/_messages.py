"""What handlers are called with: a request, or a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from wirecore._backend import default
from wirecore.protocols.webwire import Payload

if TYPE_CHECKING:
    from ._client import Client
    from ._connection import Connection

T = TypeVar("T")


class _Message(Generic[T]):
    __slots__ = ("name", "payload", "value")

    #: What it is called; "" where it has no name.
    name: str
    #: What it carries, as it came.
    payload: Payload
    #: The payload as the route's codec reads it; the payload itself where it has none.
    value: T

    @property
    def text(self) -> str:
        """The payload as text. Raises InvalidMessage where it isn't that."""
        return self.payload.text

    @property
    def data(self) -> bytes:
        """The payload's bytes."""
        return self.payload.data

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {self.payload!r}>"


if TYPE_CHECKING:
    from wirecore_py.webwire import Message

    class Request(_Message[T]):
        """A client's request; what its handler returns is the reply."""

        #: Whose it is.
        connection: Connection

        def __init__(self, connection: Connection, name: str, payload: Payload, value: T) -> None:
            """Made for the handler."""

    class Signal(_Message[T]):
        """A client's signal; nothing is sent back."""

        #: Whose it is.
        connection: Connection

        def __init__(self, connection: Connection, name: str, payload: Payload, value: T) -> None:
            """Made for the handler."""

    def delivery(connection: Connection, message: Message) -> Request[Any] | Signal[Any]:
        """What a handler is called with for *message*; its value is the payload as it came."""

    def reply_payload(kind: int, data: bytes) -> Payload:
        """What a reply of type *kind* carries."""

else:
    # One is made for every message: compiled they take no frame of the interpreter for it.
    Request = default.webwire_values.Request
    Signal = default.webwire_values.Signal
    delivery = default.webwire_values.delivery
    reply_payload = default.webwire_values.reply_payload


class ServerSignal(_Message[T]):
    """A server's signal, on a client."""

    __slots__ = ("client",)

    def __init__(self, client: Client, name: str, payload: Payload, value: T) -> None:
        #: Whom it was sent to.
        self.client = client
        self.name = name
        self.payload = payload
        self.value = value
