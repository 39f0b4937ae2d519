"""Who reads a WebSocket's stream: the task that waits in ``receive``, or else a keeper.

A reader task of its own would have to wake the receiver for every message, which costs a third
of the echo rate. So the receiver reads in its own task. Only a connection whose user hasn't
received for a while gets a keeper task, so that pings are answered and a close is seen; it
ends as soon as a receiver is back, or when the queue is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import trio

from wirecore.events import Message

from ._amounts import READS_IN_A_ROW
from ._clock import Clock, current_clock
from ._of_run import OfRun
from ._pump import WAIT_FAILED, Pump

#: Seconds between two looks at the connections that nobody reads.
_ROUND: Final = 0.05

#: What a receiver may do in a row before others get their turn: a message taken from the queue
#: costs one, a read that succeeds at once costs more.
_CREDIT: Final = 64
_READ_COST: Final = _CREDIT // READS_IN_A_ROW


#: The queue of every connection that has none: an idle one keeps no list of its own. Never
#: changed.
_EMPTY: Final[list[Message]] = []


class Rounds:
    """Finds the connections of a run that nobody has read for a whole round."""

    def __init__(self) -> None:
        self.number = 0
        self._left: list[Baton] = []
        self._clock: Clock = current_clock()

    def add(self, baton: Baton) -> None:
        """*baton*'s receiver has left: look at it in the next rounds."""
        if not self._left:
            self._clock.call_at(trio.current_time() + _ROUND, self._go_round)
        self._left.append(baton)

    def _go_round(self, now: float) -> None:
        self.number += 1
        self._left = [baton for baton in self._left if baton.still_left()]
        if self._left:
            self._clock.call_at(now + _ROUND, self._go_round)


_current_rounds = OfRun("rounds", Rounds)


class Holder(Protocol):
    """Whose messages they are. Its names are private, as it is the users' WebSocket."""

    def _may_wait(self) -> bool:
        """A receiver finds nothing queued: whether it may wait for more.

        Asked where the baton is *reluctant*.
        """

    def _over(self, iterating: bool) -> Exception:
        """What a receiver gets where nothing is left and nothing more is waited for."""

    def _paused(self, now: float) -> None:
        """Reading has stopped for a full queue."""

    def _resumed(self, now: float) -> None:
        """Reading goes on."""

    def _ended(self, error: BaseException | None) -> None:
        """The connection has ended; see the pump's owner."""


class Baton:
    """The received messages of one connection, and the right to read for more.

    *holder* has the connection. *max_queue*: messages that may wait for a receiver before the
    keeper stops reading; *max_queue_bytes*: their size, a character counting as one. One read
    more can lie in the queue: what a single read of the pump's buffer decodes to isn't split.
    It is the owner of *pump*, which is set once there is one.
    """

    __slots__ = (
        "_at",
        "_at_round",
        "_batch",
        "_credit",
        "_holder",
        "_keeping",
        "_listed",
        "_max_queue",
        "_max_queue_bytes",
        "_paused",
        "_reading",
        "_receiver",
        "_rounds",
        "pump",
        "reluctant",
    )

    pump: Pump

    def __init__(self, holder: Holder, *, max_queue: int, max_queue_bytes: int) -> None:
        # What came in one read, as the decoder made it, and how many of it were handed out.
        self._batch = _EMPTY
        self._at = 0
        self._holder = holder
        #: Whether the holder is to be asked before a receiver waits.
        self.reluctant = False
        self._max_queue = max_queue
        self._max_queue_bytes = max_queue_bytes
        self._credit = _CREDIT
        self._reading = False
        self._keeping = False
        self._paused = False
        self._receiver: trio.lowlevel.Task | None = None
        self._rounds = _current_rounds()
        self._listed = False
        self._at_round = 0

    @property
    def queued(self) -> Sequence[Message]:
        """What waits to be received."""
        return self._batch[self._at :]

    def drop(self) -> None:
        """Forget what waits to be received."""
        self._batch = _EMPTY
        self._at = 0

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for a message."""
        return self._reading or self._receiver is not None

    # --- for the pump -------------------------------------------------------------------

    def received(self, messages: list[Message]) -> None:
        """Queue *messages*, which is the queue's from now on; wakes who waits."""
        if not self._batch:
            self._batch = messages
        else:
            del self._batch[: self._at]
            self._at = 0
            self._batch.extend(messages)
        if len(messages) > 1:
            self.pump.hold()
        if self._receiver is not None:
            self._wake()

    def on_finish(self) -> None:
        """See the pump's Owner: what came is handed out, nothing more is waited for."""

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        self._holder._ended(error)
        self._wake()

    def _wake(self) -> None:
        if self._receiver is not None:
            task, self._receiver = self._receiver, None
            trio.lowlevel.reschedule(task)

    # --- for receivers ------------------------------------------------------------------

    async def next(self, iterating: bool = False) -> Message:
        """The next message; raises what the holder says when none is left or waited for.

        Raises trio.BusyResourceError where another task waits already. Cancelled, nothing is
        lost. A checkpoint whenever it must wait, and after every so many messages that it
        needn't wait for.
        """
        if self._batch:
            self._credit -= 1
            if self._credit <= 0:
                await self._pay()
                if not self._batch:  # another task has taken them meanwhile
                    return await self.next(iterating)
        else:
            # Not a word too much on the way of a receiver that waits for each message.
            if self._keeping or self.reluctant:
                await self._wait()
            else:
                await self._read_on()
            if not self._batch:
                raise self._holder._over(iterating)
        batch, at = self._batch, self._at
        message = batch[at]
        if at + 1 == len(batch):
            self._batch = _EMPTY
            self._at = 0
        else:
            batch[at] = b""  # it is the receiver's now, and may be large
            self._at = at + 1
        if self._paused and not self._listed:
            self._leave()
        return message

    async def all(self) -> list[Message]:
        """All that is queued, at least one message; else as :meth:`next`."""
        if self._batch:
            self._credit -= _READ_COST
            if self._credit <= 0:
                await self._pay()
                if not self._batch:
                    return await self.all()
        else:
            if self._keeping or self.reluctant:
                await self._wait()
            else:
                await self._read_on()
            if not self._batch:
                raise self._holder._over(False)
        batch = self._batch
        if self._at:
            del batch[: self._at]
        self.drop()
        if self._paused and not self._listed:
            self._leave()
        return batch

    async def skip(self) -> None:
        """Drop what is queued, and wait for more or for the end."""
        self.drop()
        if self._keeping:
            self._check_alone()
            await self._wait_for_keeper()
        else:
            await self._read_on()

    async def _pay(self) -> None:
        await trio.lowlevel.checkpoint()
        self._credit = _CREDIT

    async def _wait(self) -> None:
        """Return when a message is queued, or none is waited for any more."""
        while not self.reluctant or self._holder._may_wait():
            if not self._keeping:
                await self._read_on()
                return
            self._check_alone()
            await self._wait_for_keeper()
            if self._batch:
                return

    async def _read_on(self) -> None:
        """Read until a message is queued or the connection has ended."""
        pump = self.pump
        if pump.ended:
            return
        if self._reading or self._receiver is not None:
            self._check_alone()
        if self._paused:
            self._go_on()
        self._reading = True
        try:
            while not self._batch and not pump.ended:
                if pump.read_if_likely():
                    self._credit -= _CREDIT if pump.flooded and pump.busy() else _READ_COST
                    if self._credit <= 0:
                        await self._pay()
                    continue
                if pump.read_in_place():
                    continue
                try:
                    await pump.wait_readable()
                except WAIT_FAILED as error:
                    pump.end(error)
                self._credit = _CREDIT
                pump.had_turn()
                pump.read()
        finally:
            self._reading = False
            self._at_round = self._rounds.number
            if not self._listed:
                self._leave()

    def _check_alone(self) -> None:
        if self.waiting:
            raise trio.BusyResourceError("another task is already receiving from this connection")

    async def _wait_for_keeper(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._receiver = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._receiver = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)
        self._credit = _CREDIT

    # --- nobody receives ----------------------------------------------------------------

    def left_alone(self) -> None:
        """Nobody receives yet, and perhaps nobody ever will: pings are to be answered anyway."""
        self._leave()

    def _leave(self) -> None:
        self._at_round = self._rounds.number
        if not self._listed and not self.pump.ended:
            self._listed = True
            self._rounds.add(self)

    def still_left(self) -> bool:
        """Whether to look again in the next round; starts the keeper where one is due."""
        if self._reading or self._keeping or self.pump.ended:
            self._listed = False
            return False
        if self._rounds.number - self._at_round < 2:
            return True
        self._listed = False
        self.attend()
        return False

    def attend(self) -> None:
        """Have the connection read from now on, also while nobody receives."""
        if self._reading or self._keeping or self.pump.ended:
            return
        if self._full():
            self._pause()
            return
        self._go_on()
        self._keeping = True
        trio.lowlevel.spawn_system_task(self._keep, name="wirecore keeper")

    def _full(self) -> bool:
        return (
            len(self._batch) - self._at >= self._max_queue
            or sum(map(len, self.queued)) >= self._max_queue_bytes
        )

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._holder._paused(trio.current_time())

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._holder._resumed(trio.current_time())

    async def _keep(self) -> None:
        pump = self.pump
        in_a_row = 0
        try:
            while not pump.ended and not self._full():
                expected = self._receiver is not None
                if not pump.read():
                    in_a_row = 0
                    try:
                        await pump.wait_readable()
                    except WAIT_FAILED as error:
                        pump.end(error)
                    pump.had_turn()
                elif expected and self._receiver is None:
                    break  # the receiver is back: the baton is its own
                else:
                    in_a_row += 1
                    if in_a_row == READS_IN_A_ROW or (pump.flooded and pump.busy()):
                        in_a_row = 0
                        await trio.lowlevel.checkpoint()
        finally:
            self._keeping = False
        if pump.ended:
            self._wake()
        elif self._full():
            self._pause()
        else:
            self._leave()


# What Python calls a coroutine that nobody awaited: its user knows it by these names.
Baton.next.__qualname__ = "WebSocket.receive"
Baton.all.__qualname__ = "WebSocket.receive_many"
