"""Calls of net/rpc and their answers, queued in one step: twin of ``wirecore._pool_sender``.

For what is usual: who is told False, and has nothing queued then, goes the long way, where all
that can be wrong has its error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from wirecore_py.calls import CallTable
from wirecore_py.frames import encode_message
from wirecore_py.outbox import Outbox

#: Makes a message of an id, a method, a value and its annotation; None: it isn't usual.
_Write: TypeAlias = Callable[[Any, str, Any, Any], bytes | None]


class _Connection(Protocol):
    plain: bool


class _Call(Protocol):
    annotation: Any
    call_id: Any
    end: int
    started: float


class Queue:
    """Messages of one frame each for *outbox*, while *connection* lets them in.

    *masked*: whether this is the client's end. *largest*: bytes of a message at most.
    *max_queued*: none is taken while more bytes than that wait.
    """

    __slots__ = ("_connection", "_largest", "_masked", "_max_queued", "_outbox")

    def __init__(
        self,
        connection: _Connection,
        outbox: Outbox,
        *,
        masked: bool,
        largest: int,
        max_queued: int,
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._masked = masked
        self._largest = largest
        self._max_queued = max_queued

    def _takes(self) -> bool:
        return self._outbox.pending <= self._max_queued and self._connection.plain

    def _put(self, message: bytes) -> int:
        return self._outbox.put(encode_message(message, self._masked))


class CallSender(Queue):
    """Opens the calls of *table*, whose ids are numbers in a row, and queues them.

    *write* makes a message of a number, a method, an argument and its annotation; None: it isn't
    usual. *forgotten*: the numbers of calls without an answer that left *table*; they count too.
    *begin* is told the time of a call that is the only one of *table*.

    *next*: the number of the next call. *known*: annotations that results can be read as.
    """

    __slots__ = ("_begin", "_forgotten", "_table", "_write", "known", "next")

    def __init__(
        self,
        connection: _Connection,
        outbox: Outbox,
        write: _Write,
        table: CallTable[int, Any],
        forgotten: set[int],
        begin: Callable[[float], None],
        *,
        masked: bool,
        largest: int,
        max_queued: int,
    ) -> None:
        super().__init__(connection, outbox, masked=masked, largest=largest, max_queued=max_queued)
        self._write = write
        self._table = table
        self._forgotten = forgotten
        self._begin = begin
        self.next = 0
        self.known: set[Any] = set()

    def send(self, call: _Call, method: str, argument: Any, annotation: Any, now: float) -> bool:
        """Open *call* and queue it: True, and *call* has number, time and end; or False."""
        waiting = len(self._table)
        if not self._takes() or waiting + len(self._forgotten) >= self._table.max_pending:
            return False
        try:
            if call.annotation not in self.known:
                return False
        except TypeError:  # an annotation that isn't hashable
            return False
        message = self._write(self.next, method, argument, annotation)
        if message is None or len(message) > self._largest:
            return False
        if not waiting:
            self._begin(now)
        call.started = now
        call.call_id = number = self._table.open(call)
        self.next = number + 1
        call.end = self._put(message)
        return True


class AnswerSender(Queue):
    """Queues answers. *write* makes a message of the id and the method of a request, the result
    and its annotation; None: it isn't usual.
    """

    __slots__ = ("_write",)

    def __init__(
        self,
        connection: _Connection,
        outbox: Outbox,
        write: _Write,
        *,
        masked: bool,
        largest: int,
        max_queued: int,
    ) -> None:
        super().__init__(connection, outbox, masked=masked, largest=largest, max_queued=max_queued)
        self._write = write

    def send(self, request: tuple[Any, str], value: Any, annotation: Any) -> bool:
        """Queue the answer to *request*, an id and a method: True, or False."""
        if not self._takes():
            return False
        call_id, method = request
        message = self._write(call_id, method, value, annotation)
        if message is None or len(message) > self._largest:
            return False
        self._put(message)
        return True
