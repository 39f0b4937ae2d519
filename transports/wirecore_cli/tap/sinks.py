"""Where records go: each place has a thread, a bounded queue, and some patience of the traffic's.

A terminal may be slow, or stopped. Connections wait a moment for it; then they go on, and what it
doesn't take is dropped, and counted.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import trio

from .records import Record, Told
from .writers import Write

#: Weight of a queue beyond which connections wait, and beyond which records are dropped. A record
#: weighs 1, and 1 for each of the following bytes of what it says.
_FULL: Final = 4096
_OVERFULL: Final = 4 * _FULL
_WEIGHED: Final = 1024

#: How many records are written at once, and how much they weigh, but for the last of them.
_BATCH: Final = 64
_HEAVY: Final = 1024

#: Seconds that connections wait for a place that takes nothing.
_PATIENCE: Final = 1.0

#: Seconds that a place has, at the end, to take what is left.
_LAST_WORDS: Final = 3.0


class Sink:
    """Writes records to *descriptor*, as *write* makes them.

    *name*: of the place, in what is said of it. *on_error*: called in the run that started it where
    nothing more can be written.
    """

    def __init__(self, descriptor: int, write: Write, name: str) -> None:
        self._descriptor = descriptor
        self._write = write
        self._name = name
        self._queue: deque[tuple[Record, int]] = deque()
        self._weight = 0
        self._dropped = 0
        self._stalled = False
        self._closing = False
        self._changed = threading.Condition()
        self._room: trio.Event | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._on_error: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, name=f"tap to {name}", daemon=True)
        #: Why nothing more can be written.
        self.error: OSError | None = None

    def start(self, on_error: Callable[[], object]) -> None:
        """Begin, within a run of trio."""
        self._token = trio.lowlevel.current_trio_token()
        self._on_error = on_error
        self._thread.start()

    def put(self, record: Record) -> None:
        """Have *record* written, in its turn; where the place is too slow it is dropped."""
        weight = weight_of(record)
        with self._changed:
            full = self._weight >= (_FULL if self._stalled else _OVERFULL)
            if self.error is not None:
                return
            if full:
                self._dropped += 1
                return
            self._stalled = self._stalled and self._weight >= _FULL // 2
            if self._dropped:
                self._append(_dropped(self._dropped, record.seconds, self._name), 1)
                self._dropped = 0
            self._append(record, weight)
            self._changed.notify()

    def _append(self, record: Record, weight: int) -> None:
        self._queue.append((record, weight))
        self._weight += weight

    async def wait_for_room(self) -> None:
        """Wait while it is full, but not for ever."""
        if self._weight < _FULL or self._stalled:
            return
        with trio.move_on_after(_PATIENCE) as scope:
            while self._weight >= _FULL and self.error is None:
                if self._room is None:
                    self._room = trio.Event()
                await self._room.wait()
                scope.deadline = trio.current_time() + _PATIENCE  # it does take something
        if scope.cancelled_caught:
            self._stalled = True

    def close(self, last: Record) -> None:
        """Write what is left, and *last*, which is never dropped: but all that for a moment."""
        with self._changed:
            if self._dropped:
                self._append(_dropped(self._dropped, last.seconds, self._name), 1)
            self._append(last, 1)
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(_LAST_WORDS)

    # --- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while batch := self._take():
                # A few at a time, so that a slow place shows what it was given.
                self._send(self._write([record for record, _ in batch]))
                with self._changed:
                    self._weight -= sum(weight for _, weight in batch)
                self._tell(self._make_room)
        except OSError as error:
            with self._changed:
                self.error = error
                self._queue.clear()
                self._weight = 0
            self._tell(self._make_room)
            if self._on_error is not None:
                self._tell(self._on_error)

    def _take(self) -> list[tuple[Record, int]]:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            batch: list[tuple[Record, int]] = []
            weight = 0
            while self._queue and len(batch) < _BATCH and weight < _HEAVY:
                batch.append(self._queue.popleft())
                weight += batch[-1][1]
            return batch

    def _send(self, data: bytes) -> None:
        # Past all buffers: a thread that hangs in one of these can't be left behind.
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def _tell(self, call: Callable[[], object]) -> None:
        assert self._token is not None
        try:
            self._token.run_sync_soon(call, idempotent=True)
        except trio.RunFinishedError:
            pass  # nobody waits any more

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set()


def weight_of(record: Record) -> int:
    """What a queue counts for *record*."""
    told = record.told
    return 1 + (len(told.summary) + _bytes_of(told.fields)) // _WEIGHED


def _bytes_of(value: Any) -> int:
    """The memory of a value as JSON has it."""
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        size += sum(sys.getsizeof(name) + _bytes_of(each) for name, each in value.items())
    elif isinstance(value, list | tuple):
        size += sum(map(_bytes_of, value))
    return size


def _dropped(count: int, seconds: float, name: str) -> Record:
    text = f"{count} not shown: {name} was too slow"
    return Record(seconds, 0, None, "tap", Told("dropped", text, None, {"dropped": count}))
