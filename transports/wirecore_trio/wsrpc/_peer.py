"""The other end, for whoever calls it: the verbs that clients, servers and handlers share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .._arguments import kind_of, require_type
from .._handlers import forgotten_await
from ._service import MessageT, ProtoMessage, decode_message, require_message_type


class Caller(ABC):
    """Something that calls go through: a client, a server's peer, a handler's peer."""

    __slots__ = ()

    @abstractmethod
    async def call(self, method: str, payload: bytes) -> bytes:
        """Call *method* with an encoded request; the encoded reply.

        Deadlines are cancel scopes: ``with trio.fail_after(2): ...``. A call that is cancelled
        is forgotten, and a late answer dropped; the remote handler isn't told. A checkpoint but
        where the answer comes at once (``Options.eager_wait``), and then each ninth time.

        Raises RpcError (the remote handler's error text; UnknownMethod and Overloaded where the
        peer says so), NotConnected, CallLost (with ``execution``), CallTimeout,
        LocalLimitExceeded; TypeError where the payload isn't bytes.
        """

    async def invoke(
        self, method: str, request: ProtoMessage, response: type[MessageT]
    ) -> MessageT:
        """Call *method* with a message, and decode the reply; what generated stubs do.

        *response* is the reply's class. Raises what :meth:`call` raises, and InvalidMessage where
        the reply isn't a *response*; TypeError where either argument is no such thing.
        """
        try:
            payload = request.SerializeToString()
        except (AttributeError, TypeError):
            _check_messages(request, response)
            raise
        # Before the call, which may have effects.
        if not _decodes(response):
            _check_messages(request, response)
        return decode_message(response, await self.call(method, payload))


def _decodes(response: object) -> bool:
    return isinstance(response, type) and hasattr(response, "FromString")


def _check_messages(request: object, response: object) -> None:
    """Raise TypeError where one of them isn't what :meth:`Caller.invoke` takes."""
    if isinstance(request, type) or not hasattr(request, "SerializeToString"):
        raise TypeError(
            "a request must be a message, an object with SerializeToString, not "
            f"{kind_of(request)}{forgotten_await(request)}"
        )
    require_message_type("response", response)


def check_call(method: object, payload: object) -> None:
    """Raise TypeError unless *method* is text and *payload* bytes, or a view of some."""
    require_type("method", method, str)
    if not isinstance(payload, bytes | bytearray | memoryview):
        hint = forgotten_await(payload) or (
            ": invoke takes messages, and encodes them"
            if hasattr(payload, "SerializeToString")
            else ": encode it"
        )
        raise TypeError(f"payload must be bytes, not {kind_of(payload)}{hint}")


class Peer(Caller):
    """The other end of one connection, or a client that a server knows by its key."""

    __slots__ = ()

    @property
    @abstractmethod
    def public_key(self) -> bytes:
        """The peer's Ed25519 public key, 32 raw bytes."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with public key {self.public_key.hex()}>"
