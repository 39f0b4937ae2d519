"""wsproto's Connection, no socket: `receive_data` and `events` at a server, `send` at a client.

Option ``codec=wirecore`` calls ``wirecore.dropin.wsproto.install()`` first. Option ``op``:
``decode`` takes 64 KiB of a stream at a time, ``single`` one frame at a time, ``encode`` sends.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage

from bench.peers.codec_load import masked_frame, run
from bench.peers.load import Meter, Outcome, Task

PACKAGE = "wsproto"


def install(task: Task) -> None:
    """Puts our frames under wsproto if option ``codec`` says so."""
    if task.options.get("codec") == "wirecore":
        from wirecore.dropin import wsproto

        wsproto.install()


def drive(task: Task) -> Outcome:
    """Decodes as a server, encodes as a client."""
    install(task)
    server = Connection(ConnectionType.SERVER)
    client = Connection(ConnectionType.CLIENT)
    begun: list[bytes] = []

    def decode(chunk: bytes) -> list[bytes]:
        server.receive_data(chunk)
        messages = []
        for event in server.events():
            data = event.data
            if not event.message_finished:
                # A frame that isn't whole yet is handed out in pieces.
                begun.append(data)
                continue
            if begun:
                data = b"".join((*begun, data))
                begun.clear()
            messages.append(data)
        return messages

    def encode(messages: Sequence[bytes]) -> list[bytes]:
        return [client.send(BytesMessage(message)) for message in messages]

    if task.options["op"] != "single":
        return run(task, decode, encode)
    source = random.Random(1)
    messages = task.messages()
    frames = [masked_frame(each, source.randbytes(4)) for each in messages]
    meter = Meter(task)
    while True:
        got = [message for frame in frames for message in decode(frame)]
        meter.check_all(got, messages)
        if meter.arrived(len(got)):
            return meter.outcome()
