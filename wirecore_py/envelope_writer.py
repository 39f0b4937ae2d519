"""Short requests and answers of wsrpc, in one step: twin of ``wirecore._envelope_writer``."""

from __future__ import annotations

from typing import Any, Final, Protocol

from wirecore_py.calls import CallTable
from wirecore_py.envelope import encode_request, encode_response
from wirecore_py.frames import encode_message
from wirecore_py.outbox import Outbox

#: What an envelope may take beside its payload and method: four tags, four lengths of at most
#: 5 bytes, and an id of 36 characters.
_AROUND: Final = 64


class _Call(Protocol):
    call_id: Any


class EnvelopeWriter:
    """Makes the envelopes of *table*'s calls, and of answers, and frames of them for *outbox*.

    It is for what is usual: who gets 0 from it, and has nothing queued then, goes the long way,
    where all that can be wrong has its error. *masked*: whether this is the client's end.
    *largest*: no longer envelope is taken, so that each is one frame. *max_queued*: none is
    while more bytes than that wait in *outbox*.
    """

    __slots__ = ("_largest", "_masked", "_max_queued", "_outbox", "_table")

    def __init__(
        self,
        table: CallTable[str, Any],
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

    def request(self, call: _Call, method: str, payload: bytes) -> int:
        """Open *call* and queue its request: where that ends in the outbox's data lane.

        *call* gets its ``call_id``, as the table makes them. Raises as the table's ``open``, and
        UnicodeEncodeError for a *method* that can't be encoded; nothing is queued then.
        """
        if not self._takes(payload, 4 * len(method)):
            return 0
        call_id = self._table.open(call)
        try:
            frame = encode_message(encode_request(method, call_id, payload), self._masked)
            call.call_id = call_id
        except BaseException:
            self._table.forget(call_id)
            raise
        return self._outbox.put(frame)

    def response(self, call_id: str, payload: bytes) -> int:
        """Queue an answer: where that ends in the outbox's data lane.

        Raises UnicodeEncodeError for a *call_id* that can't be encoded.
        """
        if not self._takes(payload, 4 * len(call_id)):
            return 0
        return self._outbox.put(encode_message(encode_response(call_id, payload), self._masked))

    def _takes(self, payload: bytes, text: int) -> bool:
        return (
            type(payload) is bytes
            and len(payload) + text + _AROUND <= self._largest
            and self._outbox.pending <= self._max_queued
        )
