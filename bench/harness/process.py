"""A peer's process: started on its cores, heard line by line, measured from outside, ended."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bench.harness.launch import ROOT, PeerMissing
from bench.harness.placement import Cores, pinned


class PeerFailed(Exception):
    """The peer ended, or said nothing in time; the message holds what it wrote to stderr."""


def cpu_seconds(pid: int) -> float | None:
    """CPU time that process *pid* has used so far, all threads; None where it can't be told.

    The clock id is made as Linux's clock_getcpuclockid(3) makes it.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, AttributeError, OverflowError):
        return None


def memory(pid: int) -> dict[str, int]:
    """``VmRSS`` (now) and ``VmHWM`` (its peak) of process *pid* in bytes; empty if not told.

    Read from /proc: the figure of wait4(2) would count what the parent was before exec(2).
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.startswith(("VmRSS:", "VmHWM:")))
    return {name.rstrip(":"): int(kibibytes) * 1024 for name, kibibytes, _ in fields}


@contextmanager
def started(
    arguments: Sequence[str], environment: Mapping[str, str], cores: Cores
) -> Iterator[Child]:
    """A process of *arguments* on *cores*, with *environment* added to this process's.

    On leaving, its standard input is closed, and it is killed if it is still there some seconds
    later.
    """
    with tempfile.TemporaryFile() as complaints:
        with pinned(cores):
            process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )
        try:
            yield Child(process, complaints)
        finally:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            try:
                process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


class Child:
    """A running process that prints a JSON line for each event."""

    def __init__(self, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
        self._process = process
        self._complaints = complaints
        self._pending = b""
        self.pid = process.pid

    def event(self, timeout: float) -> dict[str, Any]:
        """The next event.

        Raises PeerMissing where the peer says that it can't run, PeerFailed when it ends or
        nothing comes within *timeout* seconds.
        """
        line = self._line(time.monotonic() + timeout)
        try:
            found = json.loads(line)
        except ValueError:
            raise PeerFailed(f"printed something that isn't JSON: {line!r}") from None
        if not isinstance(found, dict) or "event" not in found:
            raise PeerFailed(f"printed a line that is no event: {line!r}")
        if found["event"] == "missing":
            raise PeerMissing(str(found["needs"]))
        return found

    def _line(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise PeerFailed(f"said nothing in time\n{self._complaint()}")
                chunk = os.read(self._process.stdout.fileno(), 65536)
                if not chunk:
                    status = self._process.wait()
                    raise PeerFailed(f"ended with status {status}\n{self._complaint()}")
                self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _complaint(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")[-4000:].strip()
