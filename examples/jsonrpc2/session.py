"""JSON-RPC 2.0 (jsonrpc.org/specification) over WebSocket, without I/O: both ends call.

All that a protocol is: a session that composes a WebSocket connection, pending calls and the
outbox. It knows no event loop; wirecore_trio.run_session moves its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from math import isfinite
from typing import Any, NamedTuple, TypeAlias

import wirecore
from wirecore.websocket import Connection, State

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603
OVERLOADED = -32000  # of the range that section 5.1 leaves to implementations
MAX_BATCH = 10_000  # entries of a batch that are looked at, of requests

MESSAGES = {
    PARSE_ERROR: "Parse error",
    INVALID_REQUEST: "Invalid Request",
    METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid params",
    INTERNAL_ERROR: "Internal error",
    OVERLOADED: "Server overloaded",
}

Params: TypeAlias = list[Any] | dict[str, Any] | None
#: One of a batch: None in the place of a call makes a notification, which nobody answers.
Entry: TypeAlias = tuple[wirecore.Call | None, str, Params]


class Fault(Exception):
    """An error object, section 5.1: sent by one end, raised at the other. *data*: any JSON."""

    def __init__(self, code: int, message: str = "", data: Any = None) -> None:
        self.code = code
        self.message = message or MESSAGES.get(code, "Server error")
        self.data = data
        super().__init__(f"{self.message} ({code})")


@dataclass
class Batch:
    """The answers to one batch, section 6: they leave together, when none is missing."""

    missing: int = 0
    answers: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Request:
    """The peer calls *method*; *params* as it sent them. It is answered once, even if unheard."""

    method: str
    params: Params
    id: Any
    batch: Batch | None
    answered: bool = False

    @property
    def notification(self) -> bool:
        """Whether it has no id, and no answer is wanted."""
        return self.id is _ABSENT


class Answer(NamedTuple):
    """*call* has its answer: a *result*, or a *fault*."""

    call: wirecore.Call
    result: Any
    fault: Fault | None


Received: TypeAlias = list[Request | Answer]

#: The id of a notification: null is an id, if a discouraged one.
_ABSENT: Any = object()


class JsonRpc:
    """One end of a connection; a :class:`wirecore.Session` whose owner gets :data:`Received`.

    *connection*: the WebSocket, not yet started. *max_calls*: of this end's, without an answer
    yet. *max_requests*: of the peer's, notifications too; one more is answered with
    :data:`OVERLOADED`, or dropped.
    *stray*: answers that came for no call that waits, say for a forgotten one.
    """

    def __init__(
        self, connection: Connection, *, max_calls: int = 10_000, max_requests: int = 1000
    ) -> None:
        self._connection = connection
        self.stage: wirecore.Stage = connection.stage
        self.outbox: wirecore.Outbox = connection.outbox
        table: wirecore.CallTable[int, wirecore.Call] = wirecore.CallTable(
            count(1).__next__, max_pending=max_calls
        )
        self._calls = wirecore.PendingCalls(table, self.outbox, None)
        self._max_requests = max_requests
        self._requests = 0
        self.stray = 0

    def call(self, call: wirecore.Call, method: str, params: Params, now: float) -> None:
        """Queue a call; *call* comes back once: in an :class:`Answer`, or from :meth:`lost`.

        Raises NotConnected after the end, LocalLimitExceeded for too many calls or bytes that
        wait, TypeError and ValueError for params that are no JSON. Nothing is queued then.
        """
        self.call_batch([(call, method, params)], now, batch=False)

    def call_batch(self, calls: Iterable[Entry], now: float, *, batch: bool = True) -> None:
        """Queue several, as one array. Raises as :meth:`call`, and InvalidState for none at all."""
        opened: list[wirecore.Call] = []
        texts: list[str] = []
        try:
            if self._connection.state is not State.OPEN:
                raise wirecore.NotConnected
            for call, method, params in calls:
                message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
                if params is not None:
                    message["params"] = params
                if call is not None:
                    message["id"] = self._calls.open(call, now)
                    opened.append(call)
                texts.append(_encode(message))
            if not texts:
                raise wirecore.InvalidState("a batch holds at least one call (section 6)")
            end = self._connection.send(f"[{','.join(texts)}]" if batch else texts[0])
        except BaseException:
            for call in opened:
                self._calls.forget(call)
            raise
        for call in opened:
            call.end = end

    def forget(self, call: wirecore.Call) -> None:
        """*call* waits no longer: its answer will be dropped."""
        self._calls.forget(call)

    def lost(self) -> list[tuple[wirecore.Call, Any]]:
        """End all calls, as the connection is gone: each, oldest first, with what is known."""
        return self._calls.lost()

    def reply(self, request: Request, result: Any) -> None:
        """Answer with *result*. Nothing is sent to a notification, nor after the end.

        Raises TypeError and ValueError for what is no JSON; it isn't answered then.
        """
        self._answer(request, _response(request.id, result=result))

    def reply_fault(self, request: Request, fault: Fault) -> None:
        """Answer with *fault*. Raises as :meth:`reply`."""
        self._answer(request, _error(request.id, fault))

    def _answer(self, request: Request, text: str) -> None:
        if request.answered:
            raise wirecore.InvalidState("a request is answered once")
        request.answered = True
        self._requests -= 1
        if not request.notification:
            self._put(text, request.batch)

    def _put(self, text: str, batch: Batch | None) -> None:
        if batch is None:
            self._send(text)
            return
        batch.answers.append(text)
        batch.missing -= 1
        if not batch.missing:
            self._send(f"[{','.join(batch.answers)}]")

    def _send(self, text: str) -> None:
        try:
            if self._connection.state is State.OPEN:
                self._connection.send(text)
        except wirecore.LocalLimitExceeded:
            # It asks, and doesn't read the answers: memory comes before its calls.
            self._connection.close(1008, "answers aren't read", wait=False)

    # --- what any transport calls: see wirecore.Session -------------------------------------

    def start(self, now: float) -> None:
        self._connection.start(now)

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> Received:
        received: Received = []
        for message in self._connection.receive(data, now):
            self._take(message, received)
        return received

    def receive_eof(self, now: float) -> None:
        self._connection.receive_eof(now)

    def expire(self, now: float) -> None:
        self._connection.expire(now)

    def next_deadline(self) -> float:
        return self._connection.next_deadline()

    def close(self) -> None:
        self._connection.close()

    def closed_error(self) -> wirecore.ConnectionLost:
        """Why the connection is over."""
        return self._connection.closed_error()

    def _take(self, message: str | bytes, received: Received) -> None:
        try:
            value = json.loads(message, parse_float=_finite, parse_constant=_finite)
        except (ValueError, RecursionError):
            self._send(_error(None, Fault(PARSE_ERROR)))
            return
        long = isinstance(value, list) and len(value) > MAX_BATCH
        if long and any(type(item) is not dict or "method" in item for item in value):
            value = None  # looked at one by one, they would keep everybody else waiting
        if not isinstance(value, list) or not value:
            self._take_one(value, None, received)
            return
        batch = Batch(missing=1)  # until all are looked at: what is answered at once doesn't end it
        for item in value:
            self._take_one(item, batch, received)
        batch.missing -= 1
        if not batch.missing and batch.answers:
            self._send(f"[{','.join(batch.answers)}]")

    def _take_one(self, value: Any, batch: Batch | None, received: Received) -> None:
        if isinstance(value, dict) and "method" not in value and value.keys() & {"result", "error"}:
            self._take_answer(value, received)
            return
        request = _read_request(value, batch)
        wanted = request is None or not request.notification
        if batch is not None and wanted:
            batch.missing += 1
        if request is None:
            self._put(_error(None, Fault(INVALID_REQUEST)), batch)
        elif self._requests >= self._max_requests:
            if wanted:
                self._put(_error(request.id, Fault(OVERLOADED)), batch)
        else:
            self._requests += 1
            received.append(request)

    def _take_answer(self, value: dict[str, Any], received: Received) -> None:
        call_id = value.get("id")
        # True and 1.0 would find the call 1.
        call = self._calls.answer(call_id) if type(call_id) is int else None
        if call is None:
            self.stray += 1  # and is never answered: that could go on for ever
        elif "error" in value or value.get("jsonrpc") != "2.0":
            received.append(Answer(call, None, _read_fault(value.get("error"))))
        else:
            received.append(Answer(call, value["result"], None))


def _read_request(value: Any, batch: Batch | None) -> Request | None:
    """Section 4; None for what is no request."""
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        return None
    method, params, id_ = value.get("method"), value.get("params"), value.get("id", _ABSENT)
    if not isinstance(method, str) or ("params" in value and not isinstance(params, list | dict)):
        return None
    known = id_ is _ABSENT or id_ is None or type(id_) in (str, int, float)
    return Request(method, params, id_, batch) if known else None


def _read_fault(error: Any) -> Fault:
    match error:
        case {"code": int(code), "message": str(message)}:
            return Fault(code, message, error.get("data"))
    return Fault(INTERNAL_ERROR, "the peer's answer is none")


def _encode(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _response(id_: Any, **outcome: Any) -> str:
    return _encode({"jsonrpc": "2.0", **outcome, "id": None if id_ is _ABSENT else id_})


def _error(id_: Any, fault: Fault) -> str:
    data = {} if fault.data is None else {"data": fault.data}
    error = {"code": fault.code, "message": fault.message, **data}
    return _response(id_, error=error)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text} is no number of JSON's, or too large")
    return value
