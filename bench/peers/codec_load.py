"""The work of the codec rows: frames to messages, or messages to masked frames, no socket."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Sequence

from bench.peers.load import Meter, Outcome, Task, WrongAnswer

#: What one read of a busy socket brings, in bytes: a stream is cut there, wherever in a frame.
READ = 64 * 1024

#: Takes what was read and gives the messages that became whole; keeps the rest.
Decode = Callable[[bytes], Sequence[bytes | bytearray | memoryview]]

#: Takes messages and gives what is to be sent: frames, one by one or joined.
Encode = Callable[[Sequence[bytes]], Iterable[bytes] | bytes]


def masked_frame(payload: bytes, key: bytes) -> bytes:
    """A whole binary message as a client sends it; RFC 6455 section 5.2."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x82, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x82, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x82, 0x80 | 127, size)
    return head + key + _xor(payload, key)


def unmask_frames(stream: bytes) -> list[bytes]:
    """The payloads of whole masked binary messages, for the check of what was encoded."""
    found, at = [], 0
    while at < len(stream):
        first, second = stream[at : at + 2]
        if first != 0x82 or not second & 0x80:
            raise WrongAnswer("encoded something else than masked binary messages")
        at += 2
        size = second & 0x7F
        extended = {126: 2, 127: 8}.get(size, 0)
        if extended:
            size = int.from_bytes(stream[at : at + extended], "big")
            at += extended
        key, at = stream[at : at + 4], at + 4
        found.append(_xor(stream[at : at + size], key))
        at += size
    return found


def _xor(data: bytes, key: bytes) -> bytes:
    size = len(data)
    pad = key * (size // 4 + 1)
    number = int.from_bytes(data, "big") ^ int.from_bytes(pad[:size], "big")
    return number.to_bytes(size, "big")


def stream_messages(task: Task) -> list[bytes]:
    """The messages of one pass: sizes between option ``smallest`` and ``--size``, evenly mixed."""
    source = random.Random(task.size)
    smallest = int(task.options.get("smallest", task.size))
    total = max(1, 4 * READ // task.size) if task.size < READ else 1
    return [source.randbytes(source.randint(smallest, task.size)) for _ in range(total)]


def run(task: Task, decode: Decode | None, encode: Encode | None) -> Outcome:
    """Runs the operation that option ``op`` names (``decode`` or ``encode``).

    The first pass is compared message by message, those after it by their number.
    """
    messages = stream_messages(task)
    if task.options["op"] == "decode":
        assert decode is not None
        outcome = _decode(task, messages, decode)
    else:
        assert encode is not None
        outcome = _encode(task, messages, encode)
    if task.size < READ:
        return outcome
    value = outcome.count * task.size / outcome.seconds / 1e6
    return Outcome(outcome.count, outcome.seconds, outcome.checked, value)


def _decode(task: Task, messages: list[bytes], decode: Decode) -> Outcome:
    source = random.Random(1)
    stream = b"".join(masked_frame(each, source.randbytes(4)) for each in messages)
    step = len(stream) if len(messages) == 1 else READ
    chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
    meter = Meter(task)
    got = [bytes(each) for chunk in chunks for each in decode(chunk)]
    meter.check_all(got, messages)
    while True:
        number = 0
        for chunk in chunks:
            number += len(decode(chunk))
        if number != len(messages):
            raise WrongAnswer(f"{number} messages came out of a stream of {len(messages)}")
        if meter.arrived(number):
            return meter.outcome()


def _encode(task: Task, messages: list[bytes], encode: Encode) -> Outcome:
    batch = messages[:100]
    meter = Meter(task)
    frames = encode(batch)
    joined = frames if isinstance(frames, bytes) else b"".join(frames)
    meter.check_all(unmask_frames(joined), batch)
    while True:
        for _ in range(8):
            encode(batch)
        if meter.arrived(8 * len(batch)):
            return meter.outcome()
