"""How the programs in the documentation and in examples/ are run: as their readers run them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from wirecore._backend import Backend

Run: TypeAlias = Callable[..., str]

#: Seconds that a program gets on a machine with other things to do.
_PATIENCE = 120.0


def _path() -> str:
    """Where programs are looked for: beside the interpreter first, as ours lie there."""
    return os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])


@pytest.fixture(scope="session")
def root() -> Path:
    """The tree that the programs are in."""
    return Path(__file__).parents[2]


@pytest.fixture
def run(backend: Backend, tmp_path: Path) -> Run:
    """Runs Python with these arguments in an empty folder; gives what it prints.

    It must end well and warn of nothing.
    """

    def run_python(*arguments: str | Path) -> str:
        result = subprocess.run(
            [sys.executable, "-W", "error", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "WIRECORE_BACKEND": backend.name, "PATH": _path()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        assert (result.returncode, result.stderr) == (0, ""), result.stdout
        return result.stdout

    return run_python


@pytest.fixture
def run_text(run: Run, tmp_path: Path) -> Callable[[str], str]:
    """Runs a program given as text, as *run* does."""

    def run_program(text: str) -> str:
        program = tmp_path / "program.py"
        program.write_text(text, encoding="utf-8")
        return run(program)

    return run_program
