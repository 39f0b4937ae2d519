"""Both outboxes, step by step: the same bytes in the same pieces, the same offsets and errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore import long_frame
from wirecore._backend import Backend, default
from wirecore.errors import InvalidState
from wirecore.long_frame import LongFrame

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "put_control"]), st.integers(0, 12)),
        st.tuples(st.just("put_long"), st.integers(0, 40)),
        st.tuples(st.just("take"), st.integers(0, 20)),
        st.tuples(st.just("sent"), st.integers(-1, 14)),
        st.tuples(st.just("offer"), st.integers(1, 30)),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=60,
)


class Link:
    """Takes nearly all, or a bit more than there is."""

    def __init__(self, mark: int) -> None:
        self.mark = mark
        self.offered: list[bytes] = []

    def try_send(self, piece: bytes | memoryview) -> int:
        self.offered.append(bytes(piece))
        return len(piece) - (len(piece) + self.mark) % 3 if piece else 0


def perform(outbox: Any, verb: str, number: int | None, mark: int) -> Any:
    if number is None:
        return outbox.clear()
    if verb == "take":
        piece = outbox.take(number)
        return type(piece), bytes(piece)
    if verb == "sent":
        try:
            return outbox.sent(number)
        except InvalidState as error:
            return str(error)
    if verb == "offer":
        link = Link(mark)
        try:
            return outbox.offer(link, number, 10 + mark % 20), link.offered
        except InvalidState as error:
            return str(error), link.offered
    if verb == "put_long":
        key = b"mask" if mark % 2 else b""
        payload = memoryview(bytes(number))
        return outbox.put(LongFrame(0x82, payload, key, default.mask.apply_mask))
    return getattr(outbox, verb)(bytes([mark % 256]) * number)


@given(steps=STEPS)
def test_outboxes_agree_after_every_step(
    backends: tuple[Backend, Backend], steps: list[tuple[str, int | None]]
) -> None:
    compiled, pure = (backend.outbox.Outbox() for backend in backends)
    with pytest.MonkeyPatch.context() as patch:
        # So that the small ones here come in several pieces, too.
        patch.setattr(long_frame, "PIECE", 7)
        patch.setattr(long_frame, "FIRST", 3)
        agree(compiled, pure, steps)


def agree(compiled: Any, pure: Any, steps: list[tuple[str, int | None]]) -> None:
    for mark, (verb, number) in enumerate(steps):
        assert perform(compiled, verb, number, mark) == perform(pure, verb, number, mark)
        for name in ("queued", "flushed", "pending"):
            assert getattr(compiled, name) == getattr(pure, name), name
