"""Processes that tests kill, and whether what is said of each request then is true.

``WIRECORE_KILLS`` says how often; ci/kills asks for 200.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import trio

REPOSITORY = Path(__file__).parents[2]

KILLS = int(os.environ.get("WIRECORE_KILLS", "3"))

#: Whether all is wanted, and not the short form of the usual run.
WHOLE = "WIRECORE_KILLS" in os.environ

#: Bytes of a request's number in a log of those that were executed.
NUMBER = 8

needs_kill = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="Windows knows no SIGKILL and no SIGSTOP"
)


class Victim:
    """A program of the tests as a process, and the requests that it has executed.

    *module*: its name. It prints a line once it is ready, and appends each request's number to
    *log* before it answers: no kill can take it back from there.
    """

    def __init__(self, module: str, log: Path) -> None:
        self._module = module
        self._log = log
        self._read = 0
        self._process: subprocess.Popen[str] | None = None

    async def start(self, *arguments: object) -> str:
        """Start it with *arguments*, and wait until it is ready; the line that it prints then."""
        self._spawn([sys.executable, "-m", self._module, *map(str, arguments)])
        assert self._process
        assert self._process.stdout
        line = await trio.to_thread.run_sync(self._process.stdout.readline)
        assert line, f"{self._module} ended before it was ready"
        return line.rstrip("\n")

    def _spawn(self, command: list[str]) -> None:
        # It finds what this process finds, installed or not.
        path = os.pathsep.join([str(REPOSITORY), *sys.path])
        self._process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> None:
        """It gets no time any more: what is sent to it stays in the sockets, and then with us."""
        self._send(signal.SIGSTOP)

    def kill(self) -> None:
        """No goodbye."""
        assert self._process
        self._process.kill()
        self._process.communicate()

    async def terminate(self) -> int:
        """Ask it to end, as a service manager does, and wait until it has; its exit status."""
        assert self._process
        self._send(signal.SIGTERM)
        await trio.to_thread.run_sync(self._process.communicate)
        return self._process.returncode

    def clean_up(self) -> None:
        """Kill it, if it runs still."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _send(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def executed(self) -> list[int]:
        """The numbers of the requests that were executed since it was asked last."""
        numbers = read_numbers(self._log, self._read)
        self._read += len(numbers) * NUMBER
        return numbers


def read_numbers(log: Path, start: int = 0) -> list[int]:
    """The numbers in *log* from byte *start* on."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(start)
        data = file.read()
    places = range(0, len(data) - NUMBER + 1, NUMBER)
    return [int.from_bytes(data[place : place + NUMBER], "big") for place in places]


class Ledger:
    """How each request of a round ended, and whether that is true. *first*: the first number."""

    #: What a request's end says of it.
    ANSWERED, NOT_SENT, MAYBE, REFUSED = ENDS = "answered", "not_sent", "maybe_executed", "refused"

    def __init__(self, first: int = 1) -> None:
        self._numbers = itertools.count(first)
        self._begun: set[int] = set()
        self._ended: dict[str, list[int]] = {end: [] for end in self.ENDS}
        self._goal = 0
        self._reached = trio.Event()
        #: How many requests ended in which way, in all rounds.
        self.ends: Counter[str] = Counter()

    def begin(self) -> int:
        """The number of a new request."""
        number = next(self._numbers)
        self._begun.add(number)
        return number

    def end(self, number: int, how: str) -> None:
        """The request *number* has ended so."""
        self._ended[how].append(number)
        if how == self.ANSWERED and len(self._ended[how]) == self._goal:
            self._reached.set()

    @property
    def answered(self) -> set[int]:
        """The requests of this round that were answered."""
        return set(self._ended[self.ANSWERED])

    async def until_answered(self, count: int) -> None:
        """Wait until *count* requests more are answered."""
        self._goal = len(self._ended[self.ANSWERED]) + count
        self._reached = trio.Event()
        await self._reached.wait()

    def check(self, executed: list[int]) -> None:
        """Every request of this round has ended once, and truthfully; on to the next.

        A request may have been read, and noted, by a process that didn't come to answer it.
        """
        once = set(executed)
        ends = {end: set(numbers) for end, numbers in self._ended.items()}
        total = [number for numbers in self._ended.values() for number in numbers]
        assert len(executed) == len(once), "executed twice"
        assert len(total) == len(set(total)), "ended twice"
        assert set(total) == self._begun, "never ended"
        assert ends[self.ANSWERED] <= once, "answered, and not executed"
        assert not ends[self.NOT_SENT] & once, "reported as not sent, and executed"
        assert not ends[self.REFUSED] & once, "refused, and executed"
        assert once <= ends[self.ANSWERED] | ends[self.MAYBE]
        for end, numbers in self._ended.items():
            self.ends[end] += len(numbers)
            numbers.clear()
        self._begun.clear()


def resident() -> int:
    """Bytes of memory that this process holds, 0 where the system doesn't tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """How many files and sockets are open, 0 where the system doesn't tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0
