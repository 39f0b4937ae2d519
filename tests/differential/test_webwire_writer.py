"""Both writers of webwire, step by step: the same frames, ids, offsets and errors."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.session.calls import Call

NAMES = st.one_of(
    st.text(st.characters(min_codepoint=30, max_codepoint=128), max_size=8),
    st.sampled_from(["", "n" * 255, "n" * 256, "é", "\ud800", None, b"n"]),
)
PAYLOADS = st.one_of(
    st.binary(max_size=9),
    st.integers(0, 220).map(bytes),
    st.sampled_from([bytearray(b"buffer"), memoryview(b"buffer"), "text", None]),
)
ENCODINGS = st.integers(0, 2) | st.sampled_from([0, 1, 2, 3, -1, 2**70, None, "1"])
NUMBERS = st.integers(0, 9) | st.sampled_from([2**64 - 1, 2**64, -1, None, "1"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["request", "request", "reply", "signal", "flush", "answer"]),
        NAMES,
        PAYLOADS,
        ENCODINGS,
        NUMBERS,
    ),
    max_size=30,
)


def run(backend: Backend, steps: list[Any], largest: int, bad_id: int, table: bool) -> list[Any]:
    ids = count()
    calls: Any = backend.calls.CallTable(
        # Now and then the table makes an id that can't be sent.
        lambda: 2**64 if (made := next(ids)) == bad_id else made,
        max_pending=5,
    )
    outbox = backend.outbox.Outbox()
    writer: Any = backend.webwire_writer.MessageWriter(
        calls if table else None, outbox, masked=False, largest=largest, max_queued=500
    )
    happened: list[Any] = []
    for verb, name, payload, encoding, number in steps:
        if verb == "flush":
            taken = bytes(outbox.take(10_000))
            outbox.sent(len(taken))
            happened.append(taken)
            continue
        if verb == "answer":
            happened.append(calls.answer(number) is not None)
            continue
        call = Call()
        try:
            if verb == "request":
                end = writer.request(call, name, payload, encoding, 0.5)
            elif verb == "reply":
                end = writer.reply(number, payload, encoding)
            else:
                end = writer.signal(name, payload, encoding)
        except Exception as error:  # noqa: BLE001 - whichever it is, both raise it
            happened.append((type(error), str(error)))
        else:
            happened.append((end, call.call_id))
        happened.append((len(calls), outbox.queued, outbox.pending))
    return happened


@given(steps=STEPS, largest=st.integers(0, 300), bad_id=st.integers(0, 9), table=st.booleans())
def test_writers_agree_after_every_step(
    backends: tuple[Backend, Backend], steps: list[Any], largest: int, bad_id: int, table: bool
) -> None:
    compiled, pure = (run(backend, steps, largest, bad_id, table) for backend in backends)
    assert compiled == pure
