"""How the programs in the documentation and in examples/ are run: as their readers run them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import pytest

from wirecore._backend import Backend

Run: TypeAlias = Callable[..., str]
CheckTypes: TypeAlias = Callable[[Iterable[Path]], None]

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


@pytest.fixture
def check_types(root: Path, tmp_path: Path) -> CheckTypes:
    """Has mypy check files of one folder, which may import each other, as the project's are."""

    def check(files: Iterable[Path]) -> None:
        paths = sorted(files)
        config = tmp_path / "mypy.ini"
        path = os.pathsep.join(map(str, (paths[0].parent, root, root / "transports")))
        config.write_text(
            f"[mypy]\nstrict = true\nexplicit_package_bases = true\nmypy_path = {path}\n",
            encoding="utf-8",
        )
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", str(config), *map(str, paths)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    return check
