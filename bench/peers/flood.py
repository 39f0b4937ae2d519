"""Sends one WebSocket client after the other as many messages as it takes: a server only.

Plain sockets and frames that were made before, so that it costs every client the same, which is
next to nothing. The messages are ``Task.texts``, in turn and over again.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket

from bench.peers.load import Task

#: Text, whole, not masked, as servers send it.
_TEXT = 0x81

#: Longer ones have their length elsewhere (RFC 6455, section 5.2).
_LONGEST = 125

#: RFC 6455, section 1.3.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#: Rounds of all messages in one call of the system: some 64 KiB.
_ROUNDS = 16

_ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\n\r\n"
)


def serve(task: Task) -> None:
    """Floods whoever connects, until it leaves."""
    if task.size > _LONGEST:
        raise ValueError(f"a flood is of messages of up to {_LONGEST} bytes, not {task.size}")
    texts = [text.encode() for text in task.texts()]
    flood = b"".join(bytes((_TEXT, len(text))) + text for text in texts) * _ROUNDS
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task.listening(listener.getsockname()[1])
        while True:
            connection, _ = listener.accept()
            with connection:
                _upgrade(connection)
                try:
                    while True:
                        connection.sendall(flood)
                except (BrokenPipeError, ConnectionResetError):
                    pass


def _upgrade(connection: socket.socket) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        part = connection.recv(4096)
        if not part:
            raise ConnectionResetError("the client left in its handshake")
        request += part
    found = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", request)
    assert found is not None, request
    accept = base64.b64encode(hashlib.sha1(found[1] + _GUID, usedforsecurity=False).digest())
    connection.sendall(_ANSWER.format(accept=accept.decode()).encode())
