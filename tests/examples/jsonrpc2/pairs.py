"""Two JSON-RPC sessions in memory, and an end that speaks raw text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from session import Answer, JsonRpc, Received, Request

import wirecore
from wirecore._backend import Backend
from wirecore.websocket import Connection


def pair_of(backend: Backend, **limits: Any) -> Callable[[], tuple[JsonRpc, JsonRpc]]:
    """Makes the sessions of a client and a server."""

    def make(client: bool) -> JsonRpc:
        return JsonRpc(Connection(client=client, close_timeout=5, backend=backend), **limits)

    return lambda: (make(True), make(False))


def take(session: Any) -> bytes:
    """All that *session* has to send."""
    data = bytes(session.outbox.take(1 << 30))
    session.outbox.sent(len(data))
    return data


class Raw:
    """A JSON-RPC server session, asked in raw text and answered in JSON."""

    def __init__(self, backend: Backend, **limits: Any) -> None:
        self._wire = Connection(client=True, backend=backend)
        self.session = pair_of(backend, **limits)()[1]
        self.session.start(0.0)

    def send(self, text: str | bytes) -> Received:
        """What the session makes of *text*."""
        self._wire.send(text)
        return self.session.receive(take(self._wire), 0.0)

    def said(self) -> list[Any]:
        """What it has sent, each message as JSON."""
        return [json.loads(message) for message in self._wire.receive(take(self.session), 0.0)]


#: What the specification's examples call.
METHODS: dict[str, Callable[..., Any]] = {
    "subtract": lambda minuend, subtrahend: minuend - subtrahend,
    "sum": lambda *numbers: sum(numbers),
    "get_data": lambda: ["hello", 5],
    "update": lambda *_: None,
    "notify_hello": lambda *_: None,
    "notify_sum": lambda *_: None,
}


def serve(session: JsonRpc, received: Received) -> None:
    """Answer what was *received* at once, in reverse order: only ids tell whose answer it is."""
    from session import METHOD_NOT_FOUND, Fault

    for item in reversed(received):
        assert isinstance(item, Request)
        method = METHODS.get(item.method)
        if method is None:
            session.reply_fault(item, Fault(METHOD_NOT_FOUND))
        elif isinstance(item.params, dict):
            session.reply(item, method(**item.params))
        else:
            session.reply(item, method(*(item.params or [])))


def answers(received: Received) -> list[tuple[wirecore.Call, Any, Any]]:
    """The answers among what was *received*."""
    return [
        (item.call, item.result, item.fault and item.fault.code)
        for item in received
        if isinstance(item, Answer)
    ]
