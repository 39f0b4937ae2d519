"""``python -m wirecore``: the first thing that a report of a fault should hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import wirecore
from wirecore.__main__ import main

HERE = Path(wirecore.__file__).resolve().parent


def run_module(*arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "wirecore", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_it_tells_backend_reason_and_versions() -> None:
    told = dict(line.split(maxsplit=1) for line in run_module().splitlines())
    assert told["wirecore"] == wirecore.__version__ == metadata.version("wirecore")
    assert told["backend"] == wirecore.BACKEND
    assert told["why"] == wirecore.BACKEND_REASON
    assert told["trio"] == metadata.version("trio")
    assert told["OpenSSL"].startswith("OpenSSL ")
    assert told["Python"].endswith(sys.version.split()[0])


@pytest.fixture
def other_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packages in which another wirecore is installed, and it is the only one."""
    info = tmp_path / "wirecore-9.8.7.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wirecore\nVersion: 9.8.7\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_it_says_which_copy_it_speaks_of() -> None:
    assert f"from         {HERE}\n" in run_module()


def test_another_installed_copy_is_named(
    other_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    assert f"from         {HERE}\n" in told
    assert f"also         9.8.7 is installed in {(other_copy / 'wirecore').resolve()}" in told
    assert "python -P -m wirecore" in told


def test_an_editable_installation_lies_in_its_tree(
    other_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    origin = {"url": HERE.parent.as_uri(), "dir_info": {"editable": True}}
    (other_copy / "wirecore-9.8.7.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    assert main([]) == 0
    assert "also " not in capsys.readouterr().out


def test_help_says_what_the_environment_can_choose() -> None:
    assert "WIRECORE_BACKEND" in run_module("--help")


@pytest.mark.parametrize("option", [["-m", "wirecore"], ["-mwirecore", "--help"]])
def test_a_backend_that_is_none_is_told_in_a_line(option: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", *option],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "WIRECORE_BACKEND": "fast"},
    )
    told = "error: a backend is 'c' or 'py', not 'fast' (is WIRECORE_BACKEND right?)\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


def test_other_programs_get_an_exception_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import wirecore", "-m", "wirecore"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "WIRECORE_BACKEND": "fast"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "ValueError: a backend is 'c' or 'py', not 'fast'" in done.stderr


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_a_reader_who_has_read_enough_is_no_error(arguments: list[str], buffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "wirecore", *arguments],
            check=False,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_requirement_that_is_missing_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setitem(sys.modules, "OpenSSL", None)
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "trio         not installed" in lines
    assert lines[-1].startswith("OpenSSL      not installed (")
