"""The scripts in ci/: what they say of themselves, what they refuse, when .venv is made anew."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

bash = shutil.which("bash")
pytestmark = pytest.mark.skipif(bash is None or os.name == "nt", reason="the scripts need bash")

SCRIPTS = sorted(
    path.name
    for path in (Path(__file__).parents[2] / "ci").iterdir()
    if path.is_file() and os.access(path, os.X_OK)
)

#: Stands in for the interpreter: makes environments that hold nothing but itself, and tells what
#: it was asked for.
INTERPRETER = """#!/bin/sh
case "$*" in
    "-VV") echo "Python 3.11.0 (a stand-in)" ;;
    "-c "*) ;;
    "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && echo "asked: $*" ;;
    *) echo "asked: $* with $WIRECORE_BUILD" ;;
esac
"""


@pytest.fixture
def tree(root: Path, tmp_path: Path) -> Path:
    """A tree with the scripts and with all that decides what an environment holds."""
    shutil.copytree(root / "ci", tmp_path / "ci")
    (tmp_path / "wirecore").mkdir()
    for name in ("pyproject.toml", "setup.py", "wirecore/_backend.py"):
        (tmp_path / name).touch()
    for name in ("wirecore/_mask.pyx", "wirecore/_mask.pxd"):
        (tmp_path / name).touch()
    stand_in = tmp_path / "stand-in"
    stand_in.write_text(INTERPRETER)
    stand_in.chmod(0o755)
    return tmp_path


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": str(tree / "stand-in")}
    environment.pop("WIRECORE_BUILD", None)
    return subprocess.run(
        command, check=False, cwd=tree, env=environment, capture_output=True, text=True
    )


def use_venv(tree: Path, extra: str = "test") -> list[str]:
    """What the interpreter is asked for when a script wants .venv with *extra*."""
    done = run(tree, "bash", "-euo", "pipefail", "-c", f". ci/common.sh; use_venv '{extra}'")
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("asked: ")]


MAKE = "asked: -m venv --clear .venv"
INSTALL = "asked: -m pip install -q -e .[test] with require"


def test_there_are_scripts() -> None:
    assert {"demo", "lint", "test", "wheels"} <= set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_says_what_it_does_needs_and_takes(tree: Path, script: str) -> None:
    done = run(tree, f"ci/{script}", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\nUsage: ci/{script}" in done.stdout
    assert "need" in done.stdout.lower()
    assert "minute" in done.stdout or "hour" in done.stdout
    assert "set -" not in done.stdout, "only the manual is shown"
    assert not (tree / ".venv").exists(), "asking costs nothing"


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_unknown_argument_is_refused_at_once(tree: Path, script: str) -> None:
    done = run(tree, f"ci/{script}", "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown argument: --no-such-option\n")
    assert f"\nUsage: ci/{script}" in done.stderr
    assert not (tree / ".venv").exists()


def test_files_and_what_stands_behind_two_dashes_go_to_pytest(tree: Path) -> None:
    code = '. ci/common.sh; take_tests setup.py::test -- -k name; printf "%s," "${tests[@]}"'
    assert run(tree, "bash", "-euo", "pipefail", "-c", code).stdout == "setup.py::test,-k,name,"


def test_the_environment_is_made_once(tree: Path) -> None:
    assert use_venv(tree) == [MAKE, INSTALL]
    assert use_venv(tree) == []


@pytest.mark.parametrize(
    "source", ["pyproject.toml", "setup.py", "wirecore/_mask.pyx", "wirecore/_mask.pxd"]
)
def test_changed_requirements_and_sources_are_installed_again(tree: Path, source: str) -> None:
    use_venv(tree)
    (tree / source).write_text("# changed\n")
    assert use_venv(tree) == [INSTALL]
    assert use_venv(tree) == []


def test_another_interpreter_makes_it_anew(tree: Path) -> None:
    use_venv(tree)
    stand_in = tree / "stand-in"
    stand_in.write_text(stand_in.read_text().replace("3.11.0", "3.12.0"))
    assert use_venv(tree) == [MAKE, INSTALL]


def test_the_demo_needs_neither_the_tools_for_tests_nor_a_compiler(tree: Path) -> None:
    assert use_venv(tree, "") == [MAKE, "asked: -m pip install -q -e . with auto"]
    assert use_venv(tree, "") == []
    assert use_venv(tree) == [INSTALL], "the tests need more"
    assert use_venv(tree, "") == [], "and what they have is enough for the demo"
