"""What a session knows of its calls when the connection is lost, tried out byte by byte."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from wirecore.errors import ConnectionLost, Execution
from wirecore.session import Session
from wirecore.testing.ends import End, Ends

#: Places in a request after which the connection is lost; of longer ones these are tried.
_PLACES: Final = 300

#: More than any outbox gives at once.
_ALL: Final = 1 << 40


class CallingSession(Session[Any], Protocol):
    """A session that has calls which wait for answers."""

    def lost(self) -> Sequence[tuple[Any, Execution]]:
        """End all calls, as the connection is gone: each, oldest first, with what is known."""


def check_calls(
    make_pair: Callable[[], tuple[CallingSession, CallingSession]],
    call: Callable[[Any, float], object],
    *,
    seed: int = 0,
) -> None:
    """Check that lost calls end, and say truly what is known of them; raises ContractViolation.

    *make_pair*: as for :func:`check_session`. *call* has a session call something, now, with the
    time as its second argument, and returns what then waits for the answer. *seed* chooses the
    places in a request that is too long for all of them.

    Checked is, for both ends and a loss after every byte: ``lost`` returns each call that waits,
    oldest first and once; ``"not_sent"`` where some of the request certainly never left, and
    ``"maybe_executed"`` where all of it has, or may have; a call after the end raises
    :class:`wirecore.ConnectionLost`, and none waits then. It takes for granted that a call is
    queued at once, and nothing behind it: not for sessions that greet each other first, or send
    more than the request.
    """
    for side in (0, 1):
        calls = _Calls(make_pair, side, call)
        size = calls.size()
        for sent in _places(size, seed):
            calls.lose_one(sent, size)
        calls.lose_what_the_link_has()
        calls.lose_several()


def _places(size: int, seed: int) -> Iterable[int]:
    if size <= _PLACES:
        return range(size + 1)
    chance = random.Random(seed)
    return sorted({0, 1, size - 1, size, *chance.sample(range(size), _PLACES)})


class _Calls:
    """Calls of one side, on a new connection each time."""

    def __init__(
        self,
        make_pair: Callable[[], tuple[CallingSession, CallingSession]],
        side: int,
        call: Callable[[Any, float], object],
    ) -> None:
        self._make_pair = make_pair
        self._side = side
        self._call = call

    def _begin(self, where: str) -> End[Any]:
        return Ends(self._make_pair(), where).ends[self._side]

    def _make_call(self, end: End[Any]) -> object:
        return self._call(end.session, end.now)

    def size(self) -> int:
        """How many bytes a call is."""
        end = self._begin("a call")
        self._make_call(end)
        size: int = end.session.outbox.pending
        if not size:
            raise end.fail("a call queues something")
        return size

    def lose_one(self, sent: int, size: int) -> None:
        """The connection is lost when *sent* bytes of a call's *size* have left."""
        end = self._begin(f"lost when {sent} of a call's {size} bytes had left")
        call = self._make_call(end)
        end.take(sent)
        _lose(end, [(call, "not_sent" if sent < size else "maybe_executed")])
        try:
            self._make_call(end)
        except ConnectionLost:
            pass
        except Exception as error:
            rule = f"a call after the end raises a ConnectionLost (NotConnected), not {error!r}"
            raise end.fail(rule, error) from error
        else:
            raise end.fail("a call after the end raises a ConnectionLost, and it was taken")
        if list(end.session.lost()):
            raise end.fail("a call that raised waits for nothing")

    def lose_what_the_link_has(self) -> None:
        """The connection is lost when the link was given a call, and has not said what left."""
        end = self._begin("lost when the link had all of a call")
        call = self._make_call(end)
        outbox = end.session.outbox
        while len(outbox.take(_ALL)) < outbox.pending:
            outbox.sent(len(outbox.take(_ALL)))
        _lose(end, [(call, "maybe_executed")])

    def lose_several(self) -> None:
        """The connection is lost when the first of three calls has left."""
        end = self._begin("three calls, lost when one had left")
        first = self._make_call(end)
        end.take()
        others = [self._make_call(end) for _ in range(2)]
        _lose(end, [(first, "maybe_executed"), *((other, "not_sent") for other in others)])


def _lose(end: End[Any], expected: Sequence[tuple[object, Execution]]) -> None:
    end.end_stream()
    lost = list(end.session.lost())
    found = [call for call, _ in lost]
    if len(lost) != len(expected) or any(
        one is not other for one, (other, _) in zip(found, expected, strict=True)
    ):
        raise end.fail(f"lost() ends each call that waits, oldest first: it gave {lost!r:.300}")
    known = [execution for _, execution in lost]
    right = [execution for _, execution in expected]
    if known != right:
        raise end.fail(f"lost() says what is known of each call: {right}, not {known}")
    if list(end.session.lost()):
        raise end.fail("lost() ends a call once, and it came again")
