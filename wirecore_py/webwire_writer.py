"""Requests, replies and signals of webwire, in one step: twin of ``wirecore._webwire_writer``."""

from __future__ import annotations

from typing import Any, Protocol

from wirecore.errors import InvalidState
from wirecore.webwire_rules import MessageType, encode_id
from wirecore_py.calls import CallTable
from wirecore_py.frames import encode_message
from wirecore_py.outbox import Outbox
from wirecore_py.webwire import check_encoding, encode_named, encode_reply, encode_signal


class _Call(Protocol):
    call_id: Any
    end: int
    started: float


class MessageWriter:
    """Makes the requests of *table*'s calls, replies and signals, and frames for *outbox*.

    It is for what is usual: who gets 0 from it, and has nothing queued then, goes the long way,
    where all that can be wrong has its error. *table*: None for an end that makes no requests.
    *masked*: whether this is the client's end. *largest*: no longer message is taken, so that
    each is one frame. *max_queued*: none is while more bytes than that wait in *outbox*.
    """

    __slots__ = ("_largest", "_masked", "_max_queued", "_outbox", "_table")

    def __init__(
        self,
        table: CallTable[int, Any] | None,
        outbox: Outbox,
        *,
        masked: bool,
        largest: int,
        max_queued: int,
    ) -> None:
        self._table = table
        self._outbox = outbox
        self._masked = masked
        self._largest = largest
        self._max_queued = max_queued

    def request(self, call: _Call, name: str, payload: bytes, encoding: int, now: float) -> int:
        """Open *call* at *now* and queue its request: where that ends in the outbox's data lane.

        *call* gets its ``call_id``, as the table makes them, time and end. Raises as the table's
        ``open``, and as ``encode_request`` where the table makes ids that the wire doesn't take;
        nothing is queued then. Raises :class:`~wirecore.errors.InvalidState` where there is no
        table.
        """
        table = self._table
        if table is None:
            raise InvalidState("this end keeps no calls, so it makes no requests")
        try:
            named = encode_named(name, payload, check_encoding(encoding))
        except (TypeError, ValueError):
            return 0
        if not self._takes(payload, 9 + len(named)):
            return 0
        call_id = table.open(call)
        try:
            kind = MessageType.REQUEST + encoding
            frame = encode_message(bytes((kind,)) + encode_id(call_id) + named, self._masked)
            call.call_id = call_id
            call.started = now
            call.end = self._outbox.queued + len(frame)
        except BaseException:
            table.forget(call_id)
            raise
        return self._outbox.put(frame)

    def reply(self, request_id: int, payload: bytes, encoding: int) -> int:
        """Queue a reply: where that ends in the outbox's data lane."""
        try:
            message = encode_reply(request_id, payload, encoding)
        except (TypeError, ValueError):
            return 0
        return self._put(payload, message)

    def signal(self, name: str, payload: bytes, encoding: int) -> int:
        """Queue a signal: where that ends in the outbox's data lane."""
        try:
            message = encode_signal(name, payload, encoding)
        except (TypeError, ValueError):
            return 0
        return self._put(payload, message)

    def _put(self, payload: bytes, message: bytes) -> int:
        if not self._takes(payload, len(message)):
            return 0
        return self._outbox.put(encode_message(message, self._masked))

    def _takes(self, payload: bytes, size: int) -> bool:
        return (
            type(payload) is bytes
            and size <= self._largest
            and self._outbox.pending <= self._max_queued
        )
