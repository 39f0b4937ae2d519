"""Has a server broadcast to many connections, and reads every message on every connection.

Plain sockets, so that it costs every server the same. Option ``connections``: how many. What is
asked for is sent on one of them and comes back on all; then comes the next. ``count`` is messages
delivered: one broadcast counts as many as there are connections.
"""

from __future__ import annotations

import socket
from itertools import cycle

from bench.peers.idle_client import open_idle
from bench.peers.load import Meter, Outcome, Task

#: Text, whole, masked: with a key of zeros, which leaves the payload as it is.
_ASK = b"\x81%c\0\0\0\0"
#: Text, whole, not masked, as servers send it.
_DELIVERED = b"\x81%c"

#: Longer ones have their length elsewhere (RFC 6455, section 5.2).
_LONGEST = 125


def drive(task: Task) -> Outcome:
    """Asks for one broadcast after the other."""
    if task.size > _LONGEST:
        raise ValueError(f"broadcasts are of up to {_LONGEST} bytes, not {task.size}")
    connections = open_idle(task.port, int(task.options["connections"]))
    # The last one asks: when it is served, the others have been for some time. And it is read
    # first, so that one side works while the other sleeps instead of both in turns.
    connections.reverse()
    for connection in connections:
        connection.settimeout(None)
    meter = Meter(task)
    for text in cycle([text.encode() for text in task.texts()]):
        connections[0].sendall(_ASK % (0x80 | len(text)) + text)
        frame = _DELIVERED % len(text) + text
        got = [_receive(connection, len(frame)) for connection in connections]
        meter.check_all(got, [frame] * len(connections))
        if meter.arrived(len(connections)):
            break
    for connection in connections:
        connection.close()
    return meter.outcome()


def _receive(connection: socket.socket, size: int) -> bytes:
    """*size* bytes; fewer where the server has closed."""
    got = connection.recv(size)
    while len(got) < size and (part := connection.recv(size - len(got))):
        got += part
    return got
