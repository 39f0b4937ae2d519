"""The other end, for whoever calls it: the verbs that clients, servers and handlers share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ._service import MessageT, ProtoMessage, decode_message


class Caller(ABC):
    """Something that calls go through: a client, a server's peer, a handler's peer."""

    __slots__ = ()

    @abstractmethod
    async def call(self, method: str, payload: bytes) -> bytes:
        """Call *method* with an encoded request; the encoded reply.

        Deadlines are cancel scopes: ``with trio.fail_after(2): ...``. A call that is cancelled
        is forgotten, and a late answer dropped; the remote handler isn't told.

        Raises RpcError (the remote handler's error text; UnknownMethod and Overloaded where the
        peer says so), NotConnected, CallLost (with ``execution``), CallTimeout,
        LocalLimitExceeded.
        """

    async def invoke(
        self, method: str, request: ProtoMessage, response: type[MessageT]
    ) -> MessageT:
        """Call *method* with a message, and decode the reply; what generated stubs do.

        Raises what :meth:`call` raises, and InvalidMessage where the reply isn't a *response*.
        """
        return decode_message(response, await self.call(method, request.SerializeToString()))


class Peer(Caller):
    """The other end of one connection, or a client that a server knows by its key."""

    __slots__ = ()

    @property
    @abstractmethod
    def public_key(self) -> bytes:
        """The peer's Ed25519 public key, 32 raw bytes."""
