"""A run of trio for one test: time that jumps, and a look at what is left over."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, TypeVar

import trio
import trio.testing

from wirecore.errors import kind_of
from wirecore.session.limits import check_above

from .._arguments import require_async, require_int, require_seconds, require_type
from .._clock import current_clock
from .._link import SocketLink
from .._pump import Pump
from ._network import Network

T = TypeVar("T")

#: System tasks that a run keeps once they were needed.
_KEPT: Final = frozenset({"wirecore clock", "wirecore flusher", "wirecore watch"})


class LeftOver(AssertionError):
    """A test ended, and something of wirecore's goes on: it wasn't closed."""


def run(
    story: Callable[[], Awaitable[T]],
    *,
    network: Network | None = None,
    clock: trio.abc.Clock | None = None,
    seed: int | None = None,
    patience: float = 1e6,
) -> T:
    """Run *story*, an async function, in a run of trio, and return what it returns.

    *network*: entered for it. *clock*: by default one whose time jumps to the next deadline
    whenever everybody waits, which is for tests in memory. With sockets give
    ``trio.testing.MockClock(autojump_threshold=0.05)``, or a clock of real time.
    *seed*: decides which of several tasks runs first; by default the network's, or else trio does.
    *patience*: seconds of that time that it may take.

    Raises InvalidOption and TypeError for arguments that make no sense, what the story raises,
    trio.TooSlowError, and :class:`LeftOver` where it leaves a task, a timer or a socket of
    wirecore's in this run. What was there before, what other threads have open, and tasks of
    others' are none of it.
    """
    require_async("story", story)
    require_type("network", network, Network, optional=True)
    require_type("clock", clock, trio.abc.Clock, optional=True)
    require_seconds("patience", patience, optional=False)
    check_above("patience", patience, 0)
    if seed is not None:
        require_int("seed", seed)
    if seed is None and network is not None:
        seed = network.faults.seed
    with nullcontext() if seed is None else _orders.of_seed(seed):
        return trio.run(
            _checked,
            story,
            network,
            patience,
            clock=clock or trio.testing.MockClock(autojump_threshold=0),
        )


class _Orders(random.Random):
    """In place of trio's random numbers, which all threads share: a run with a seed has its own."""

    def __init__(self) -> None:
        super().__init__()
        self._of_threads: dict[int, random.Random] = {}
        self._lock = threading.Lock()
        self._before: tuple[bool, random.Random]

    def random(self) -> float:
        mine = self._of_threads.get(threading.get_ident(), self._before[1])
        return mine.random()

    def getrandbits(self, k: int, /) -> int:
        mine = self._of_threads.get(threading.get_ident(), self._before[1])
        return mine.getrandbits(k)

    @contextmanager
    def of_seed(self, seed: int) -> Iterator[None]:
        """Have trio run the tasks of a batch, in this thread, in an order that *seed* decides.

        trio has no public way to that: these are the names that Hypothesis' plugin in trio uses.
        """
        from trio._core import _run

        scheduling: Any = _run
        me = threading.get_ident()
        with self._lock:
            if not self._of_threads:
                self._before = scheduling._ALLOW_DETERMINISTIC_SCHEDULING, scheduling._r
                scheduling._ALLOW_DETERMINISTIC_SCHEDULING, scheduling._r = True, self
            # One that a run asks for from within fails, and the first one goes on.
            outer = self._of_threads.get(me)
            self._of_threads[me] = random.Random(seed)
        try:
            yield
        finally:
            with self._lock:
                if outer is None:
                    del self._of_threads[me]
                else:
                    self._of_threads[me] = outer
                if not self._of_threads:
                    scheduling._ALLOW_DETERMINISTIC_SCHEDULING, scheduling._r = self._before


_orders = _Orders()


async def _checked(
    story: Callable[[], Awaitable[T]], network: Network | None, patience: float
) -> T:
    before = system_tasks()
    sockets = _open_sockets()
    with trio.fail_after(patience):
        if network is None:
            result = await _of(story)
        else:
            async with network:
                result = await _of(story)
    await trio.testing.wait_all_tasks_blocked()
    left = [f"the task {task.name!r}" for task in system_tasks() - before]
    left += [f"a timer of {pump!r}" for pump in pump_timers()]
    left += [f"{link.socket!r}" for link in _open_sockets() if not _is_in(link, sockets)]
    if left:
        raise LeftOver(f"not closed at the end of the test: {', '.join(sorted(left))}")
    return result


async def _of(story: Callable[[], Awaitable[T]]) -> T:
    running = story()
    if not isinstance(running, Awaitable):
        raise TypeError(f"a story is an async function: it returned {kind_of(running)}")
    return await running


def system_tasks() -> set[trio.lowlevel.Task]:
    """wirecore's system tasks in this run, without those that belong to the run.

    Others are none of ours: of the user's, or of a thread that calls into the run.
    """
    root = trio.lowlevel.current_root_task()
    assert root is not None
    return {
        task
        for nursery in root.child_nurseries
        for task in nursery.child_tasks
        if task.name not in _KEPT and _is_ours(task)
    }


def _is_ours(task: trio.lowlevel.Task) -> bool:
    """Whether what *task* runs stands in one of wirecore's packages."""
    frame = getattr(task.coro, "cr_frame", None)
    module = frame.f_globals.get("__name__", "") if frame is not None else ""
    return str(module).partition(".")[0].startswith("wirecore")


def pump_timers() -> list[Pump]:
    """The pumps that the run's clock still has a timer for."""
    owners = (getattr(timer.callback, "__self__", None) for timer in current_clock()._heap)
    return [owner for owner in owners if isinstance(owner, Pump)]


def _open_sockets() -> list[SocketLink]:
    """The sockets that this thread's runs have opened, and not closed."""
    found = (each for each in gc.get_objects() if type(each) is SocketLink)
    thread = threading.get_ident()
    return [link for link in found if link.thread == thread and link.socket.fileno() >= 0]


def _is_in(link: SocketLink, links: list[SocketLink]) -> bool:
    # By itself, and not by its id, which a later one may have where it is gone.
    return any(each is link for each in links)
