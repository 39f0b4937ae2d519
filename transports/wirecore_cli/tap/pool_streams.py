"""Calls of a pool, whichever codec they are in: two streams that messages carry pieces of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Protocol, TypeVar

from wirecore.errors import GobError, JsonError, printable

from .pool_calls import CallTeller
from .records import Sender, Told, problem
from .showing import Showing


class Stream(Protocol):
    """What one side sends."""

    def feed(self, data: bytes, /) -> None:
        """Take what came."""


S = TypeVar("S", bound=Stream)


class StreamedCalls(ABC, Generic[S]):
    """A :class:`~wirecore_cli.tap.plain.Decoder`, but for what a codec decides.

    *streams*: one for each side.
    """

    protocol = "pool"

    #: What messages of this codec are called while they can't be decoded.
    kind: ClassVar[str]

    def __init__(self, showing: Showing, streams: dict[Sender, S]) -> None:
        self._showing = showing
        self._teller = CallTeller(showing)
        self._streams = streams
        #: Whose stream can't be read any more.
        self._broken: set[Sender] = set()

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        if sender in self._broken:
            payload = self._showing.payload(data)
            return [Told(self.kind, self._showing.preview(payload), len(data), payload)]
        found: list[Told] = []
        stream = self._streams[sender]
        stream.feed(data)
        try:
            while (told := self._next(sender, stream, now)) is not None:
                found.append(told)
        except (GobError, JsonError) as error:
            self._broken.add(sender)
            why = printable(f"no more calls of the {sender}'s are decoded: {error}")
            found.append(problem(why, len(data)))
        if not found:
            found = [Told("part", "of a call", len(data))]
        elif found[0].size is None:
            found[0].size = len(data)
        return found

    def passed_over(self, sender: Sender) -> None:
        """See Decoder. The stream has a hole now."""
        self._broken.add(sender)

    @abstractmethod
    def _next(self, sender: Sender, stream: S, now: float) -> Told | None:
        """What the stream's next call or answer says; None: not all of it is there.

        Raises GobError or JsonError where it is no stream of calls.
        """
