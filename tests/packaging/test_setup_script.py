"""The decisions of setup.py that need no compiler to be tested."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wirecore import _backend

setuptools = pytest.importorskip("setuptools", reason="setup.py can't be read without setuptools")


@pytest.fixture
def script(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that setup.py defines, its call of setup() left out."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("WIRECORE_BUILD", raising=False)
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    return runpy.run_path("setup.py")


def test_the_list_of_modules_is_the_one_of_the_backend_chooser(script: dict[str, Any]) -> None:
    assert script["module_names"]() == [f"_{name}" for name in _backend.MODULES]


@pytest.mark.parametrize(
    ("given", "mode"), [("", "auto"), ("auto", "auto"), ("require", "require"), ("pure", "pure")]
)
def test_modes(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch, given: str, mode: str
) -> None:
    monkeypatch.setenv("WIRECORE_BUILD", given)
    assert script["wanted_mode"]() == mode


def test_an_unknown_mode_is_refused(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRECORE_BUILD", "perhaps")
    with pytest.raises(SystemExit, match="'perhaps', but must be one of: auto, require, pure"):
        script["wanted_mode"]()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("command '/usr/bin/gcc' failed with exit code 1", "command 'gcc' failed with exit code 1"),
        (r"can't find C:\Tools\bin\cl.exe", "can't find cl.exe"),
        ("two\n  lines", "two lines"),
        ("", "OSError"),
    ],
)
def test_a_reason_holds_no_directory(script: dict[str, Any], text: str, told: str) -> None:
    assert script["describe"](OSError(text)) == told


def test_the_reason_for_a_failed_compiler_is_its_name_and_exit_code(script: dict[str, Any]) -> None:
    compiler = subprocess.CalledProcessError(4, ["/usr/bin/cc", "-c", "x.c"])
    error = OSError("Command '['/usr/bin/cc', '-c', 'x.c']' returned non-zero exit status 4.")
    error.__context__ = compiler
    assert script["describe"](error) == "'cc' failed with exit code 4"


def test_the_reason_for_a_missing_compiler_is_its_name(script: dict[str, Any]) -> None:
    error = OSError("the compiler did not run")
    error.__context__ = FileNotFoundError(2, "No such file or directory", "/usr/bin/cc")
    assert script["describe"](error) == "'cc' was not found"
