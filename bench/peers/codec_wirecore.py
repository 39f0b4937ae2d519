"""wirecore's own codec, by default compiled; ``WIRECORE_BACKEND=py`` for the pure one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import wirecore
from bench.peers.codec_load import run
from bench.peers.load import Outcome, Task
from wirecore._backend import default

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"


def drive(task: Task) -> Outcome:
    """Decodes as a server, encodes as a client; option ``api=single`` encodes one at a time."""
    frames = default.frames
    decoder = frames.MessageDecoder(client=False, max_frame_size=2**24, max_message_size=2**24)
    batch = partial(frames.encode_messages, masked=True)

    def one_by_one(messages: Sequence[bytes]) -> list[bytes]:
        return [frames.encode_message(message, True) for message in messages]

    encode = one_by_one if task.options.get("api") == "single" else batch
    return run(task, decoder.receive, encode)
