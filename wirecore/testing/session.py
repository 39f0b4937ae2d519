"""The contract of a session, tried out: any cut, any end, any bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final

from wirecore.errors import kind_of
from wirecore.session import Session
from wirecore.testing.ends import Cuts, End, Ends, Story, pieces_of, random_pieces

#: How the bytes of a story are cut: the outcome is that of the first, which doesn't cut them.
_CUTS: Final[Sequence[tuple[str, Cuts]]] = (
    ("whole", None),
    ("pieces of 1 byte", pieces_of(1)),
    ("pieces of 2 bytes", pieces_of(2)),
    ("pieces of 7 bytes", pieces_of(7)),
    *((f"random pieces, seed {seed}", random_pieces(seed)) for seed in range(5)),
    ("large random pieces", random_pieces(5, 5000)),
)

#: How late a timer may be, in seconds, without anybody noticing.
_LATE: Final = 0.02

#: Longest run of random bytes.
_RUBBISH: Final = 300

#: Bytes of what went wrong that an error shows.
_SHOWN: Final = 400


def items_of(happened: Any) -> Iterable[object]:
    """What *happened*, one by one: the items of a list or tuple, else itself."""
    return happened if isinstance(happened, list | tuple) else (happened,)


def one_kind(item: object) -> Hashable:
    """All are of one kind: their order counts."""
    return "all"


def check_session(
    make_pair: Callable[[], tuple[Session[Any], Session[Any]]],
    stories: Iterable[Story],
    *,
    describe: Callable[[Any], Iterable[object]] = items_of,
    kind: Callable[[Any], Hashable] = one_kind,
    patience: float = 3600.0,
    rounds: int = 200,
    seed: int = 0,
) -> None:
    """Check that sessions keep to :class:`wirecore.Session`; raises ContractViolation.

    *make_pair*: makes the sessions of a client and a server that are each other's peers, not
    started yet. It is called some hundred times. *stories*: functions that are called with
    :class:`Ends` and have the sessions do something, again and again::

        def greeting(ends):
            ends.client.session.send("hello")
            ends.settle()

        check_session(make_pair, [greeting])

    *describe*: turns what a session returned into values that can be compared, in order; they are
    made when all is over. A read that brought two things and two reads that brought one each
    must give the same. *kind*: of each of these values; in order are those of one kind, which is
    all that a session promises that returns several lists. *patience*: seconds, on the sessions'
    clock, for the end after ``close``. *rounds*: how often hostile bytes are tried, made of what
    the stories sent and of nothing; *seed* begins the random numbers for it: the same ones again.

    Checked is: the outcome of a story is the same however its bytes are cut; no buffer is kept;
    deadlines are times, ``expire`` does what is due, once and however late, and nothing before;
    the end of the stream ends a session, ``close`` does in time, with a peer that answers and with
    one that is silent, and what was queued leaves; what was deferred is seen to; nothing happens
    after the end; nothing is raised, whatever comes. ``close`` of either end is tried after each
    story and at the beginning.
    """
    if not callable(make_pair):
        raise TypeError(
            f"make_pair must be a function that makes two sessions, not {kind_of(make_pair)}"
        )
    if callable(stories):
        raise TypeError("stories must be a list of functions: put the one into a list")
    told = [_nothing, *stories]
    heard: list[tuple[str, bytes]] = []
    for story in told:
        name = getattr(story, "__name__", repr(story))
        expected: list[dict[Hashable, list[object]]] | None = None
        for cut, cuts in _CUTS:
            where = f"story {name!r}, bytes cut: {cut}"
            ends = Ends(make_pair(), where, cuts)
            story(ends)
            ends.settle()
            outcome = [_outcome(end, describe, kind) for end in ends.ends]
            if expected is None:
                expected = outcome
                heard += [(end.name, bytes(end.heard)) for end in ends.ends]
            for end, before, after in zip(ends.ends, expected, outcome, strict=True):
                if before != after:
                    raise end.fail(
                        f"any cut of the bytes has the same outcome: whole it was {before!r:.300}, "
                        f"and now {after!r:.300}"
                    )
        # Clocks never ring on time.
        late = Ends(make_pair(), f"story {name!r}, timers late by {_LATE:g} s", late=_LATE)
        story(late)
        late.settle()
        late.oversleep()
        for ending in _ENDINGS:
            for side in (0, 1):
                where = f"story {name!r}, then {ending.__name__.strip('_')}"
                ends = Ends(make_pair(), where)
                story(ends)
                ending(ends, ends.ends[side], ends.ends[1 - side], patience)
                _check_over(ends.ends[side])
    _try_hostile(make_pair, heard, patience, rounds, seed)


def _outcome(
    end: End[Any], describe: Callable[[Any], Iterable[object]], kind: Callable[[Any], Hashable]
) -> dict[Hashable, list[object]]:
    """What came at *end*, by kind."""
    found: dict[Hashable, list[object]] = {"finished": [end.finished]}
    for happened in end.happened:
        for item in describe(happened):
            found.setdefault(kind(item), []).append(item)
    return found


def _nothing(ends: Ends[Any, Any]) -> None:
    """The story of a connection on which nothing happens."""


# --- ends -------------------------------------------------------------------------------------


def _end_of_stream(ends: Ends[Any, Any], end: End[Any], other: End[Any], patience: float) -> None:
    end.end_stream()


def _end_of_stream_with_bytes_under_way(
    ends: Ends[Any, Any], end: End[Any], other: End[Any], patience: float
) -> None:
    data = other.take()
    end.feed(data[: len(data) // 2])
    end.end_stream()


def _close(ends: Ends[Any, Any], end: End[Any], other: End[Any], patience: float) -> None:
    end.close()
    ends.outlast(end, patience, silent=False)
    other.end_stream()  # who has finished closes the stream
    _check_over(other)


def _close_of_both_at_once(
    ends: Ends[Any, Any], end: End[Any], other: End[Any], patience: float
) -> None:
    other.close()
    end.close()
    ends.outlast(end, patience, silent=False)


def _close_with_a_silent_peer(
    ends: Ends[Any, Any], end: End[Any], other: End[Any], patience: float
) -> None:
    end.close()
    ends.outlast(end, patience, silent=True)


_ENDINGS: Final = (
    _end_of_stream,
    _end_of_stream_with_bytes_under_way,
    _close,
    _close_of_both_at_once,
    _close_with_a_silent_peer,
)


def _check_over(end: End[Any]) -> None:
    """Nothing may happen any more; each step sees to that itself."""
    end.take()
    if not end.finished or end.session.outbox.pending:
        raise end.fail("it has finished, and the outbox is empty")
    end.feed(b"\x00too late\xff")
    end.close()
    end.end_stream()


# --- hostile bytes ----------------------------------------------------------------------------


def _try_hostile(
    make_pair: Callable[[], tuple[Session[Any], Session[Any]]],
    heard: Sequence[tuple[str, bytes]],
    patience: float,
    rounds: int,
    seed: int,
) -> None:
    chance = random.Random(seed)
    for number in range(rounds):
        side = number % 2
        known = [data for name, data in heard if data and name == ("client", "server")[side]]
        if known and chance.random() < 0.75:
            data = _damaged(chance, chance.choice(known))
        else:
            data = chance.randbytes(chance.randint(1, _RUBBISH))
        shown = data[:_SHOWN].hex() + ("..." if len(data) > _SHOWN else "")
        cuts = random_pieces(number) if chance.random() < 0.5 else None
        ends = Ends(make_pair(), f"hostile bytes, round {number} of seed {seed}: {shown}", cuts)
        end = ends.ends[side]
        end.feed(data)
        end.be_on_time(ends.now)
        end.take()
        if chance.random() < 0.5:
            end.end_stream()
        else:
            end.close()
            ends.outlast(end, patience, silent=True)
        _check_over(end)


def _damaged(chance: random.Random, data: bytes) -> bytes:
    """*data* with a few bytes flipped, left out, doubled or put in, or cut off."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found)) if found else 0
        size = chance.randint(1, 8)
        match chance.randrange(5):
            case 0:
                found[at : at + 1] = bytes(
                    byte ^ chance.randrange(1, 256) for byte in found[at : at + 1]
                )
            case 1:
                del found[at : at + size]
            case 2:
                found[at:at] = found[at : at + size]
            case 3:
                found[at:at] = chance.randbytes(size)
            case _:
                del found[max(at, 1) :]
    return bytes(found) or b"\x00"
