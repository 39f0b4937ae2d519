"""No codec: each message allocated and copied, the least that handing out bytes costs.

Only for one message a read.
"""

from __future__ import annotations

from bench.peers.codec_load import run
from bench.peers.load import Outcome, Task


def drive(task: Task) -> Outcome:
    """Copies the payload of each frame that the codec peers decode."""
    payload: bytes | None = None

    def decode(chunk: bytes) -> list[bytes]:
        nonlocal payload
        if payload is None:
            from bench.peers.codec_load import unmask_frames

            payload = unmask_frames(chunk)[0]
        return [bytes(memoryview(payload))]

    return run(task, decode, None)
