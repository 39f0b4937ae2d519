"""Bare sockets behind ``broadcast_client``: an upgrade that isn't looked at, then a send for each.

No library can deliver faster than this loop of system calls. A server only.
"""

from __future__ import annotations

import selectors
import socket

from bench.peers.load import Task

#: What the client reads of it is the status line.
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def serve(task: Task) -> None:
    """Sends every frame to all connections. A read is a whole frame, since one is under way."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, selectors.DefaultSelector() as ready:
        ready.register(listener, selectors.EVENT_READ)
        task.listening(listener.getsockname()[1])
        while True:
            for key, _ in ready.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.recv(4096)
                    connection.sendall(UPGRADED)
                    connections.append(connection)
                    ready.register(connection, selectors.EVENT_READ, connection)
                elif asked := key.data.recv(4096):
                    # Head and mask of a short frame; the mask is zeros, see broadcast_client.
                    frame = bytes((asked[0], asked[1] & 0x7F)) + asked[2 + 4 :]
                    for connection in connections:
                        connection.send(frame)
                else:
                    return
