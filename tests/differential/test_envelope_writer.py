"""Both writers of envelopes, step by step: the same frames, ids, offsets and errors."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.session.calls import Call

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["request", "response", "flush", "answer"]),
        st.text(st.characters(), max_size=20),
        st.one_of(st.binary(max_size=40), st.integers(0, 220).map(bytes)),
    ),
    max_size=30,
)


def run(backend: Backend, steps: list[tuple[str, str, bytes]], largest: int) -> list[Any]:
    table: Any = backend.calls.CallTable(map(str, range(99)).__next__, max_pending=5)
    outbox = backend.outbox.Outbox()
    writer = backend.envelope_writer.EnvelopeWriter(
        table, outbox, masked=False, largest=largest, max_queued=500
    )
    happened: list[Any] = []
    for verb, text, payload in steps:
        if verb == "flush":
            taken = bytes(outbox.take(10_000))
            outbox.sent(len(taken))
            happened.append(taken)
            continue
        if verb == "answer":
            happened.append(table.answer(str(len(payload))) is not None)
            continue
        call = Call()
        try:
            if verb == "request":
                end = writer.request(call, text, payload)
            else:
                end = writer.response(text, payload)
        except Exception as error:  # noqa: BLE001 - whichever it is, both raise it
            happened.append(str(error))
        else:
            happened.append((end, call.call_id))
        happened.append((len(table), outbox.queued, outbox.pending))
    return happened


@given(steps=STEPS, largest=st.integers(0, 300))
def test_writers_agree_after_every_step(
    backends: tuple[Backend, Backend], steps: list[tuple[str, str, bytes]], largest: int
) -> None:
    compiled, pure = (run(backend, steps, largest) for backend in backends)
    assert compiled == pure
