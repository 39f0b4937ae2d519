"""The example, and the program in the README, run as their readers would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wirecore._backend import Backend

ROOT = Path(__file__).parents[2]

#: Seconds that a program gets on a machine with other things to do.
PATIENCE = 120.0


@pytest.fixture
def environment(backend: Backend) -> dict[str, str]:
    """The environment of a process that uses *backend*."""
    return {**os.environ, "WIRECORE_BACKEND": backend.name}


def run(program: Path, folder: Path, environment: dict[str, str]) -> str:
    """What *program* prints, which must end well and warn of nothing."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    return result.stdout


def test_the_demo_goes_as_it_should(
    backend: Backend, environment: dict[str, str], tmp_path: Path
) -> None:
    """Calls both ways, a refusal, a crash and a comeback: its exit status says how it went."""
    story = run(ROOT / "examples" / "ping" / "demo.py", tmp_path, environment)
    summary = story.partition("\nSummary\n")[2]
    assert "\n  refused: Charlie\n" in summary
    assert "\n  reconnected after the crash: Alice, Bob\n" in summary
    assert f"\n  codec: {'compiled' if backend.name == 'c' else 'pure Python'}\n" in summary
    assert summary.endswith("\n  everything went as it should\n")


def test_the_readmes_program_prints_what_its_comment_says(
    environment: dict[str, str], tmp_path: Path
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [source] = [
        block
        for block in re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
        if "trio.run(" in block
    ]
    [promise] = re.findall(r"^trio\.run\(main\) +# (.+)$", source, re.MULTILINE)
    program = tmp_path / "program.py"
    program.write_text(source, encoding="utf-8")
    assert run(program, tmp_path, environment) == f"{promise}\n"
