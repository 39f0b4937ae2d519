"""What the tests of the watch are told with: connections whose readers sleep."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

import trio
import trio.testing

from tests.transports.pump_story import Story
from wirecore.events import Buffer
from wirecore_trio._link import SocketLink
from wirecore_trio._watch import Watch, current_watch


class Wired(Story):
    """A pump over a socket; the test has the other end."""

    def __init__(
        self, eager_wait: float = 0.0, around: Callable[[SocketLink], Any] | None = None
    ) -> None:
        ours, self.theirs = socket.socketpair()
        link = SocketLink(ours)
        super().__init__(link if around is None else around(link), eager_wait=eager_wait)
        self.raises: BaseException | None = None

    def received(self, happened: list[Any]) -> None:
        super().received(happened)
        if self.raises is not None:
            raise self.raises

    def send(self, data: Buffer = b"x") -> None:
        self.theirs.sendall(data)

    @property
    def number(self) -> int:
        number: int = self.link.socket.fileno()
        return number

    @property
    def sleeps(self) -> bool:
        """Whether its reader does, and is watched."""
        reader = self.pump._watched
        return reader is not None and reader._task is not None and reader._number == self.number

    def end(self) -> None:
        self.pump.end(None)
        self.theirs.close()


def the_watch() -> Watch:
    watch = current_watch()
    assert watch is not None
    return watch


async def settle() -> None:
    """Until all that was sent was read."""
    await trio.testing.wait_all_tasks_blocked(0.01)


async def wired(nursery: trio.Nursery, number: int, eager_wait: float = 0.0) -> list[Wired]:
    """So many connections, whose readers sleep."""
    all_of_them = [Wired(eager_wait) for _ in range(number)]
    for each in all_of_them:
        nursery.start_soon(each.pump.run_reader)
    await settle()
    for each in all_of_them:  # the first waited by itself, until there was a second
        each.send(b"first")
    await settle()
    for each in all_of_them:
        assert each.sleeps
        each.events.clear()
    return all_of_them


def end(connections: Iterable[Wired]) -> None:
    for each in connections:
        each.end()
