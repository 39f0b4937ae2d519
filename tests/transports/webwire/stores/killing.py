"""Starts ``victim.py``, kills it in the middle, and tells what it had done by then."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

VICTIM = Path(__file__).with_name("victim.py")


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """The victim, with *arguments*."""
    command = [sys.executable, "-W", "error", str(VICTIM), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_amid(process: subprocess.Popen[str], seconds: float) -> dict[str, str]:
    """Kill it *seconds* after its first word; each session's key, and the last step it told."""
    assert process.stdout
    assert process.stderr
    first = process.stdout.readline()
    assert first, process.stderr.read()
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    lines = [first, *process.stdout]  # or it would wait for us, and not be in the middle
    timer.join()
    process.wait()
    for stream in (process.stdout, process.stderr):
        stream.close()
    told: dict[str, str] = {}
    for line in lines:
        if line.endswith("\n"):
            step, _, key = line.rstrip("\n").rpartition(" ")
            told[key] = step
    return told


def moments(count: int) -> list[float]:
    """Seconds from 0 to 50 ms, in steps that fall into another place of each round."""
    return [0.05 * (number * 0.618 % 1) for number in range(count)]


def run_together(*argument_lists: tuple[str | Path, ...]) -> None:
    """Run one victim for each, at the same time; all must end well."""
    processes = [start(*arguments) for arguments in argument_lists]
    give_up = time.monotonic() + 120
    for process in processes:
        _, complaints = process.communicate(timeout=give_up - time.monotonic())
        assert (process.returncode, complaints) == (0, "")
