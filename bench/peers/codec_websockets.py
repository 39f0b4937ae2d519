"""The sans-IO layer of websockets, after its handshake."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from bench.peers.codec_load import run
from bench.peers.load import Outcome, Task

PACKAGE = "websockets"


def drive(task: Task) -> Outcome:
    """Decodes as a server, encodes as a client."""
    server = ServerProtocol(state=OPEN)
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=OPEN)

    def decode(chunk: bytes) -> list[bytes]:
        server.receive_data(chunk)
        return [event.data for event in server.events_received() if isinstance(event, Frame)]

    def encode(messages: Sequence[bytes]) -> list[bytes]:
        for message in messages:
            client.send_binary(message)
        return client.data_to_send()

    return run(task, decode, encode)
