"""wsproto's FrameProtocol, the codec beneath its Connection."""

from __future__ import annotations

from collections.abc import Sequence

from wsproto.frame_protocol import FrameProtocol

from bench.peers.codec_load import run
from bench.peers.load import Outcome, Task

PACKAGE = "wsproto"


def drive(task: Task) -> Outcome:
    """Decodes as a server, encodes as a client."""
    server = FrameProtocol(client=False, extensions=[])
    client = FrameProtocol(client=True, extensions=[])

    begun: list[bytearray] = []

    def decode(chunk: bytes) -> list[bytearray]:
        server.receive_bytes(chunk)
        messages = []
        for frame in server.received_frames():
            payload = frame.payload
            if not frame.message_finished:
                # A frame that isn't whole yet is handed out in pieces.
                begun.append(payload)
                continue
            if begun:
                payload = bytearray().join((*begun, payload))
                begun.clear()
            messages.append(payload)
        return messages

    def encode(messages: Sequence[bytes]) -> list[bytearray]:
        return [client.send_data(message) for message in messages]

    return run(task, decode, encode)
