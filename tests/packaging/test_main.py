"""``python -m wirecore``: the first thing that a report of a fault should hold."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

import wirecore
from wirecore.__main__ import main


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


def test_help_says_what_the_environment_can_choose() -> None:
    assert "WIRECORE_BACKEND" in run_module("--help")


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
