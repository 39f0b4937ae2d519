"""How long an import takes in a fresh interpreter: option ``module`` names what is imported.

Several names, joined by commas, are imported one after the other. An interpreter is started again
and again for as long as the task says; the value is the median.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from bench.peers.load import Outcome, Task

PROGRAM = "import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"


def drive(task: Task) -> Outcome:
    """The value is the median of the import's time, in milliseconds."""
    program = PROGRAM.format(modules=task.options["module"].replace(",", ", "))
    import_once(program)
    taken = []
    began = time.perf_counter()
    while not taken or time.perf_counter() - began < task.seconds:
        taken.append(import_once(program) * 1e3)
    elapsed = time.perf_counter() - began
    return Outcome(count=len(taken), seconds=elapsed, checked=len(taken), value=median(taken))


def import_once(program: str) -> float:
    """Seconds; raises CalledProcessError where the import fails."""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return float(done.stdout)
