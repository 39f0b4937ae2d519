"""Programs that the benchmarks start lie at the same addresses each time."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import subprocess, sys
from bench.harness import addresses
assert addresses.fix()
ask = [sys.executable, "-c", "print(id(object))"]
print(len({subprocess.check_output(ask) for _ in range(4)}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux loads programs as asked")
def test_programs_are_loaded_at_the_same_addresses() -> None:
    shown = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "1"
