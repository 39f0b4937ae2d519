"""What tests of connections share: a look at the frames that one has queued."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wirecore.websocket import Connection


@pytest.fixture
def frames() -> Callable[[Connection], list[tuple[int, bytes]]]:
    """Takes all that a connection has to send: first byte and payload of each frame.

    Written out here and not taken from a backend, so that it is a second opinion.
    """

    def take(connection: Connection) -> list[tuple[int, bytes]]:
        data = b""
        while chunk := bytes(connection.outbox.take(1 << 16)):
            connection.outbox.sent(len(chunk))
            data += chunk
        found = []
        while data:
            first, length = data[0], data[1] & 0x7F
            at = {126: 4, 127: 10}.get(length, 2)
            if length > 125:
                length = int.from_bytes(data[2:at], "big")
            key = bytes(4)
            if data[1] & 0x80:
                key = data[at : at + 4]
                at += 4
            payload = data[at : at + length]
            found.append((first, bytes(b ^ key[i % 4] for i, b in enumerate(payload))))
            data = data[at + length :]
        return found

    return take
