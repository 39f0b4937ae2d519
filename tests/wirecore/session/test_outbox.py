"""Two lanes, whole frames, and offsets that tell what has certainly not left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest

from wirecore._backend import Backend
from wirecore.errors import InvalidState

if TYPE_CHECKING:
    from wirecore.session import Outbox

New: TypeAlias = "Callable[[], Outbox]"


@pytest.fixture
def new(backend: Backend) -> New:
    """Makes an outbox of one of the backends."""
    return backend.outbox.Outbox


def drain(outbox: Outbox, limit: int) -> list[bytes]:
    """Everything, in the pieces in which it would be sent."""
    pieces = []
    while piece := outbox.take(limit):
        pieces.append(bytes(piece))
        outbox.sent(len(piece))
    return pieces


def test_an_empty_outbox_has_nothing_to_send(new: New) -> None:
    outbox = new()
    assert outbox.take(100) == b""
    assert (outbox.pending, outbox.queued, outbox.flushed) == (0, 0, 0)
    outbox.sent(0)


def test_what_was_put_between_two_sends_leaves_in_one(new: New) -> None:
    outbox = new()
    assert [outbox.put(frame) for frame in (b"one", b"three", b"two")] == [3, 8, 11]
    assert (outbox.pending, outbox.queued, outbox.flushed) == (11, 11, 0)
    assert outbox.take(100) == b"onethreetwo"
    outbox.sent(11)
    assert (outbox.pending, outbox.queued, outbox.flushed) == (0, 11, 11)
    assert outbox.take(100) == b""


def test_a_single_frame_is_not_copied(new: New) -> None:
    outbox = new()
    frame = b"frame" * 3
    outbox.put(frame)
    assert outbox.take(100) is frame


def test_control_frames_go_before_all_data(new: New) -> None:
    outbox = new()
    outbox.put(b"data")
    outbox.put_control(b"ping")
    outbox.put_control(b"pong")
    outbox.put(b"more")
    assert outbox.pending == 16
    assert drain(outbox, 100) == [b"pingpongdatamore"]
    assert (outbox.pending, outbox.queued, outbox.flushed) == (0, 8, 8)


def test_frames_are_joined_up_to_the_limit_and_never_cut(new: New) -> None:
    outbox = new()
    for frame in (b"aaaa", b"bbbb", b"cc", b"dddd"):
        outbox.put(frame)
    assert drain(outbox, 9) == [b"aaaabbbb", b"ccdddd"]


def test_control_counts_towards_the_limit_and_data_follows_as_far_as_it_fits(new: New) -> None:
    outbox = new()
    for frame in (b"aaaa", b"bbbb"):
        outbox.put(frame)
    outbox.put_control(b"PING")
    assert drain(outbox, 8) == [b"PINGaaaa", b"bbbb"]


def test_control_overtakes_data_that_is_not_taken_yet(new: New) -> None:
    outbox = new()
    for frame in (b"aaaa", b"bbbb", b"cccc"):
        outbox.put(frame)
    assert outbox.take(8) == b"aaaabbbb"
    outbox.put_control(b"PONG")
    outbox.put(b"dddd")
    outbox.sent(8)
    assert drain(outbox, 8) == [b"PONGcccc", b"dddd"]


def test_a_frame_longer_than_the_limit_comes_alone_whole_and_uncopied(new: New) -> None:
    outbox = new()
    long = b"x" * 50
    outbox.put(b"aa")
    outbox.put(long)
    outbox.put(b"bb")
    outbox.put_control(b"PING")
    assert outbox.take(10) == b"PINGaa"
    outbox.sent(6)
    outbox.put_control(b"PONG")
    assert outbox.take(10) == b"PONG"
    outbox.sent(4)
    whole = outbox.take(10)
    assert isinstance(whole, memoryview)
    assert whole.obj is long
    outbox.sent(50)
    assert drain(outbox, 10) == [b"bb"]


def test_control_frames_beyond_the_limit_still_leave_at_once(new: New) -> None:
    outbox = new()
    outbox.put(b"data")
    for _ in range(3):
        outbox.put_control(b"PING")
    assert drain(outbox, 10) == [b"PINGPINGPING", b"data"]


def test_what_is_owed_comes_first_and_is_not_cut_into(new: New) -> None:
    outbox = new()
    outbox.put(b"half-sent")
    outbox.take(100)
    outbox.sent(4)
    outbox.put_control(b"PING")
    assert outbox.take(100) == b"-sent"
    assert outbox.take(1) == b"-sent", "until sent() was told, the same again"
    outbox.sent(5)
    assert outbox.take(100) == b"PING"


def test_flushed_counts_what_was_taken_until_it_is_known_what_left(new: New) -> None:
    outbox = new()
    outbox.put_control(b"PING")
    first, second = outbox.put(b"first"), outbox.put(b"second")
    outbox.take(9)
    assert outbox.flushed == first, "the link may have it"
    outbox.sent(4)
    assert outbox.flushed == 0, "only the control frame left"
    outbox.take(100)
    outbox.sent(2)
    assert (outbox.flushed, outbox.pending) == (2, 9)
    outbox.take(100)
    outbox.sent(3)
    outbox.take(100)
    assert outbox.flushed == second
    outbox.sent(0)
    assert outbox.flushed == first
    assert drain(outbox, 100) == [b"second"]
    assert outbox.flushed == outbox.queued == second


def test_more_than_was_taken_cannot_have_left(new: New) -> None:
    outbox = new()
    outbox.put(b"data")
    with pytest.raises(InvalidState, match="1 bytes can't have left of 0"):
        outbox.sent(1)
    outbox.take(100)
    with pytest.raises(InvalidState):
        outbox.sent(5)
    with pytest.raises(InvalidState):
        outbox.sent(-1)
    assert outbox.pending == 4


def test_clear_forgets_everything_but_the_offsets(new: New) -> None:
    outbox = new()
    for frame in (b"aaaa", b"bbbb", b"cccc"):
        outbox.put(frame)
    outbox.take(4)
    outbox.sent(2)
    outbox.put_control(b"PING")
    outbox.clear()
    assert outbox.take(100) == b""
    assert (outbox.pending, outbox.queued, outbox.flushed) == (0, 12, 2)


class Room:
    """A link that takes so many bytes at a time, one figure for each."""

    def __init__(self, *takes: int | Exception) -> None:
        self.takes = list(takes)
        self.offered: list[bytes] = []

    def try_send(self, data: bytes | memoryview) -> int:
        self.offered.append(bytes(data))
        takes = self.takes.pop(0) if self.takes else len(data)
        if isinstance(takes, Exception):
            raise takes
        return min(takes, len(data))


def test_all_that_waits_is_offered_in_pieces(new: New) -> None:
    outbox = new()
    for frame in (b"one", b"three", b"two"):
        outbox.put(frame)
    room = Room()
    outbox.offer(room, 8, 100)
    assert room.offered == [b"onethree", b"two"]
    assert (outbox.pending, outbox.flushed) == (0, 11)
    outbox.offer(room, 8, 100)
    assert len(room.offered) == 2, "nothing waits, nothing is offered"


def test_who_takes_less_than_it_was_offered_is_asked_no_more(new: New) -> None:
    outbox = new()
    for frame in (b"abcd", b"efgh"):
        outbox.put(frame)
    room = Room(3)
    outbox.offer(room, 4, 100)
    assert room.offered == [b"abcd"]
    assert (outbox.pending, outbox.flushed) == (5, 3)
    outbox.offer(room, 4, 100)
    assert room.offered == [b"abcd", b"d", b"efgh"]


def test_a_link_may_take_a_long_piece_bit_by_bit(new: New) -> None:
    outbox = new()
    outbox.put(b"0123456789")
    room = Room(4, 4, 4)  # a limit's worth each time: there may be room for more
    outbox.offer(room, 4, 100)
    assert room.offered == [b"0123456789", b"456789", b"89"]
    assert outbox.pending == 0


def test_one_offer_ends_when_so_much_has_gone(new: New) -> None:
    outbox = new()
    for _ in range(5):
        outbox.put(b"1234")
    room = Room()
    outbox.offer(room, 4, 9)
    assert len(room.offered) == 3
    assert outbox.pending == 8


def test_what_left_before_the_link_failed_is_counted(new: New) -> None:
    outbox = new()
    outbox.put(b"gone")
    outbox.put(b"never")
    with pytest.raises(BrokenPipeError):
        outbox.offer(Room(4, BrokenPipeError()), 5, 100)
    assert outbox.pending == 5
    # Until it is told what has left of it, all that was taken may have.
    assert outbox.flushed == 9
    assert outbox.take(5) == b"never"
