"""What must be known of a machine to judge figures that were taken on it."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Processor, cores this process may use, system, Python, and how busy the machine is."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "busy": busy(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def busy(seconds: float = 0.5) -> float | None:
    """Cores that others keep busy right now (0.0 is a quiet machine), over *seconds*.

    None where the system doesn't tell.
    """
    first = _jiffies()
    if first is None:
        return None
    time.sleep(seconds)
    second = _jiffies()
    assert second is not None
    elapsed = sum(second) - sum(first)
    # Fields 4 and 5 of proc(5)'s "cpu" line: idle and waiting for input or output.
    idle = sum(second[3:5]) - sum(first[3:5])
    return round((elapsed - idle) / max(1, elapsed) * (os.cpu_count() or 1), 2)


def _jiffies() -> list[int] | None:
    try:
        line = Path("/proc/stat").read_text().partition("\n")[0]
    except OSError:
        return None
    # guest and guest_nice (fields 9 and 10) are contained in the first two.
    return [int(field) for field in line.split()[1:9]]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
