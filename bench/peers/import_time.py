"""How long an import takes in a fresh interpreter: option ``module`` names what is imported.

Several names, joined by commas, are imported one after the other. An interpreter is started again
and again for as long as the task says; the value is the median. Bytecode is kept in a folder of its
own: where the environment forbids to write any, compiling would be measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median
from tempfile import TemporaryDirectory

from bench.peers.load import Outcome, Task

PROGRAM = "import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"


def drive(task: Task) -> Outcome:
    """The value is the median of the import's time, in milliseconds."""
    program = PROGRAM.format(modules=task.options["module"].replace(",", ", "))
    with TemporaryDirectory() as bytecode:
        import_once(program, bytecode)
        taken = []
        began = time.perf_counter()
        while not taken or time.perf_counter() - began < task.seconds:
            taken.append(import_once(program, bytecode) * 1e3)
    elapsed = time.perf_counter() - began
    return Outcome(count=len(taken), seconds=elapsed, checked=len(taken), value=median(taken))


def import_once(program: str, bytecode: str) -> float:
    """Seconds; raises CalledProcessError where the import fails."""
    environment = os.environ | {"PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return float(done.stdout)
