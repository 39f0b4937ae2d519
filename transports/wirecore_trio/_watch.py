"""One task that sees, for a whole run, which connections have something to read.

To wait for a socket costs trio's loop far more than to read from it: the waiter is put into the
system's list for one event, taken out, and its task is woken and has its turn. Here sockets stay
in a list of the system's own for as long as their readers wait, and what comes is read by the one
task that waits for that list.

Where messages of several connections follow each other closely it looks again and again for a
moment, before it sleeps: see ``_rhythm``, which has the same for one.
"""

from __future__ import annotations

import logging
import select
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from wirecore._backend import default
from wirecore.moving_rules import AWAKE, CLOSE, FEWEST, SLICE, TURN

from ._of_run import OfRun
from ._rhythm import current_rhythm

if TYPE_CHECKING:
    from wirecore_py.rhythm import Trial
else:
    Trial = default.rhythm.Trial

logger = logging.getLogger("wirecore.watch")

#: Linux alone has it; elsewhere each reader waits by itself.
_epoll: Final[Any] = getattr(select, "epoll", None)

#: The end of a stream is readable, too.
_READABLE: Final[int] = getattr(select, "EPOLLIN", 0) | getattr(select, "EPOLLRDHUP", 0)

#: Connections that are read in a row before others of the run get their turn.
_READ_IN_A_ROW: Final = 64


class Watched(Protocol):
    """Who reads from a socket that is watched."""

    @property
    def eager_wait(self) -> float:
        """Seconds that the thread may be held to wait for more."""

    def readable(self) -> bool:
        """There may be something to read, and will be until it is read: see to it, or be removed.

        Whether a task was woken by it. Mustn't raise.
        """

    def wake(self) -> None:
        """It isn't watched any more, and has to be removed."""


class Watch:
    """The sockets of a run that are watched, by the number of their file."""

    def __init__(self) -> None:
        #: Tasks that read from what may be watched, or isn't.
        self.readers = 0
        #: Whether nothing will be watched any more: the run ends, or the system had no room.
        self.over = False
        self._watched: dict[int, Watched] = {}
        self._rhythm = current_rhythm()
        self._list: Any = None
        # What the last read has shown: somebody was woken; so long may the thread be held.
        self._woke = False
        self._patience = 0.0
        self._looking = Trial(fewest=FEWEST, most=64, penalty=4, pay=4)
        self._close = 0  # times in a row that something came so fast
        self._at = 0.0  # when it came last

    def add(self, number: int, watched: Watched) -> None:
        """Have *watched* told when *number* is readable.

        Not where it is *over*. Raises OSError where there is no room, RuntimeError at the end of
        the run.
        """
        if self._list is None:
            made = _epoll()
            trio.lowlevel.spawn_system_task(self._run, made, name="wirecore watch")
            self._list = made
        self._list.register(number, _READABLE)
        self._watched[number] = watched

    def remove(self, number: int, watched: Watched) -> None:
        """*watched* isn't told any more: before *number* is closed, as it may be another's then."""
        if self._watched.get(number) is not watched:
            return
        del self._watched[number]
        try:
            self._list.unregister(number)
        except OSError as error:  # closed behind our back
            logger.debug("file %d isn't watched any more: %s", number, error)

    async def _run(self, made: Any) -> None:
        number = made.fileno()
        rhythm, core = self._rhythm, self._rhythm.core
        turns = 0
        try:
            while True:
                if turns:
                    await trio.lowlevel.checkpoint()
                else:
                    await trio.lowlevel.wait_readable(number)
                rhythm.had_turn()
                since = core.now()
                while self._read() or (turns == 1 and self._look()):
                    turns = self._turns_before_look()
                    if turns != 1 or core.now() - since >= TURN:
                        break
                else:
                    turns = max(turns - 1, 0)
        except OSError as error:
            logger.warning("each connection waits by itself from now on: %s", error)
        finally:
            # Some may go on for a while, under a shield at the end of the run.
            self.over = True
            for each in list(self._watched.values()):
                each.wake()
            trio.lowlevel.notify_closing(number)
            made.close()

    def _read(self) -> bool:
        """Have read what is there; False: nothing was."""
        events = self._list.poll(0, _READ_IN_A_ROW)
        if not events:
            return False
        watched = self._watched
        self._woke = False
        self._patience = AWAKE
        for number, _ in events:
            reader = watched.get(number)
            if reader is None:
                continue  # one before has had it removed
            if reader.readable():
                self._woke = True
            self._patience = min(self._patience, reader.eager_wait)
        now = self._rhythm.core.now()
        self._close = self._close + 1 if now - self._at < CLOSE else 0
        self._at = now
        return True

    def _turns_before_look(self) -> int:
        """How many turns the loop has before it looks for more in place; 0: it doesn't look."""
        if not self._patience or self._close < self._looking.needed:
            return 0
        # In the first those that were woken may come behind this task.
        return 2 if self._woke else 1

    def _look(self) -> bool:
        """Look for more in place, and have it read: False where that was in vain."""
        rhythm = self._rhythm
        core = rhythm.core
        if not core.is_shared or rhythm.others_are_ready():
            return False
        until = core.now() + self._patience
        while True:
            core.give_way()
            if self._read():
                self._looking.paid()
                return True
            now = core.now()
            if now >= until:
                break
        if now >= until + SLICE:
            self._looking.disturbed()
        else:
            self._looking.missed()
        self._close = 0
        return False


#: That of the running trio loop; None where the system has no such list.
current_watch: Final[OfRun[Watch | None]] = OfRun(
    "watch", lambda: None if _epoll is None else Watch()
)
