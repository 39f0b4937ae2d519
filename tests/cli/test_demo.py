"""``wirecore demo`` from what a build makes, with no checkout around it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wirecore_cli import demo
from wirecore_cli.failures import Failure

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as a wheel would hold them, pure."""
    pytest.importorskip("setuptools", reason="without it nothing can be built")
    folder = tmp_path_factory.mktemp("built")
    subprocess.run(
        [
            *(sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", str(folder)),
            *("build_py", "--build-lib", str(folder)),
        ],
        check=True,
        cwd=ROOT,
        env={**os.environ, "WIRECORE_BUILD": "pure"},
        capture_output=True,
    )
    return folder


def test_a_build_holds_the_programs_of_the_example(built: Path) -> None:
    made = {path.name: path.read_bytes() for path in (built / "wirecore_cli" / "ping").iterdir()}
    there = {path.name: path.read_bytes() for path in (ROOT / "examples" / "ping").glob("*.py")}
    assert made == there


def test_what_was_built_plays_the_story(built: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "wirecore_cli", "demo", "--seconds", "0.5"],
        check=False,
        cwd=tmp_path,
        # What isn't compiled can't be had from what was built.
        env={
            **os.environ,
            "PYTHONPATH": str(built),
            "PYTHONSAFEPATH": "1",
            "WIRECORE_BACKEND": "py",
        },
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  codec: pure Python\n" in done.stdout
    assert done.stdout.endswith("\n  everything went as it should\n")


def test_in_a_checkout_the_programs_are_the_example() -> None:
    if "site-packages" not in Path(demo.__file__).parts:
        assert demo.programs() == ROOT / "examples" / "ping"


def test_an_installation_without_them_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "demo.py"))
    with pytest.raises(Failure, match="the demo's programs are missing"):
        demo.programs()
