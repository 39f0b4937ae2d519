"""A method that is served: its handler, how its messages are coded, and how it is run."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, runtime_checkable

from wirecore import errors

from .._handlers import Mode, forgotten_await

if TYPE_CHECKING:
    from ._peer import Peer


@runtime_checkable
class ProtoMessage(Protocol):
    """A protobuf message, of the protobuf library or any other with these two methods."""

    def SerializeToString(self) -> bytes:  # noqa: N802 (protobuf's own name)
        """The message's encoding."""

    @classmethod
    def FromString(cls, data: bytes, /) -> Self:  # noqa: N802 (protobuf's own name)
        """The message that *data* encodes; raises ValueError or protobuf's DecodeError."""


MessageT = TypeVar("MessageT", bound=ProtoMessage)


@dataclass(frozen=True, slots=True)
class MethodTypes:
    """The request and response types of a method, as generated services name them.

    Raises TypeError where one of them is no class of messages.
    """

    request: type[ProtoMessage]
    response: type[ProtoMessage]

    def __post_init__(self) -> None:
        require_message_type("request", self.request)
        require_message_type("response", self.response)


class Service(Protocol):
    """An object that maps method names to their types, and has a method for each.

    ``wsrpc_methods = {"Shout": MethodTypes(ShoutRequest, ShoutResponse)}`` in its class will do.
    """

    @property
    def wsrpc_methods(self) -> Mapping[str, MethodTypes]:
        """The types of each method, by its name."""


@dataclass(frozen=True, slots=True)
class Method:
    """A registered method. The types are None for one that takes and gives raw bytes."""

    name: str
    handler: Callable[[Any, Peer], Any]
    request: type[ProtoMessage] | None
    response: type[ProtoMessage] | None
    mode: Mode

    def decode(self, payload: bytes) -> Any:
        """The handler's argument. Raises InvalidMessage."""
        if self.request is None:
            return payload
        return decode_message(self.request, payload)

    def encode(self, reply: Any) -> bytes:
        """The payload of what the handler returned. Raises TypeError for a wrong type."""
        if self.response is None:
            if not isinstance(reply, bytes):
                raise self.wrong_reply(reply)
            return reply
        if not isinstance(reply, self.response):
            raise self.wrong_reply(reply)
        return reply.SerializeToString()

    def run_in_thread(self, request: Any, peer: Peer) -> Any:
        """What the handler, a plain function, returns. Raises TypeError for a coroutine.

        trio would too, with a text that knows nothing of the method.
        """
        reply = self.handler(request, peer)
        if inspect.iscoroutine(reply):
            raise self.wrong_reply(reply)
        return reply

    def wrong_reply(self, reply: object) -> TypeError:
        """The error of a handler that returned *reply*, which is no response of this method."""
        forgotten = forgotten_await(reply)
        kind = type(reply).__name__
        if self.mode is not Mode.TASK and isinstance(reply, Awaitable):
            return TypeError(
                f"{self.name} returned a {kind}: make it async def, and await that in it"
            )
        wanted = "bytes" if self.response is None else self.response.__name__
        return TypeError(f"{self.name} must return {wanted}, not {kind}{forgotten}")


def require_message_type(argument: str, kind: object) -> None:
    """Raise TypeError unless *kind*, the value of *argument*, is a class of messages."""
    if not (
        isinstance(kind, type)
        and callable(getattr(kind, "SerializeToString", None))
        and callable(getattr(kind, "FromString", None))
    ):
        name = kind.__name__ if isinstance(kind, type) else f"an object of {type(kind).__name__}"
        raise TypeError(
            f"{argument} must be a class of messages, with SerializeToString and FromString, "
            f"not {name}"
        )


def decode_message(kind: type[MessageT], payload: bytes) -> MessageT:
    """The message of type *kind* that *payload* encodes. Raises InvalidMessage."""
    try:
        return kind.FromString(payload)
    except Exception as error:
        # protobuf's DecodeError is an Exception of a package that needn't be installed.
        raise errors.InvalidMessage(
            f"{len(payload)} bytes are no {kind.__name__}: {error}"
        ) from error
