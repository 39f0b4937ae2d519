"""What pyproject.toml says of packages and extras, beside what lies in the tree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from wirecore.dropin.wsproto import _version


@pytest.fixture(scope="module")
def settings(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_that_is_typed_says_so_in_wheels(
    root: Path, settings: dict[str, Any]
) -> None:
    typed = {path.parent.name for path in [*root.glob("*/py.typed"), *root.glob("*/*/py.typed")]}
    data = settings["tool"]["setuptools"]["package-data"]
    assert {package for package, files in data.items() if "py.typed" in files} == typed


def test_every_requirement_has_a_lower_bound(settings: dict[str, Any]) -> None:
    """Without one, what is tested says nothing of what gets installed."""
    project = settings["project"]
    for requirements in (project["dependencies"], *project["optional-dependencies"].values()):
        for requirement in requirements:
            assert re.match(r"wirecore\[|[\w.-]+(\[\w+\])?[>=]=\d", requirement), requirement


def test_what_the_tests_use_includes_every_extra_that_adds_to_the_library(
    settings: dict[str, Any],
) -> None:
    extras = settings["project"]["optional-dependencies"]
    (own,) = (r for r in extras["test"] if r.startswith("wirecore["))
    used = set(own[len("wirecore[") : -1].split(","))
    assert {"cli", "codegen", "grpc", "proxy", "uvicorn"} <= used
    # One extra asks for a newer trio than the library does: its client is there by itself.
    client, _ = extras["redis"]
    assert client in extras["test"]


def test_whatever_wsproto_is_installed_the_replacement_for_it_works(
    settings: dict[str, Any],
) -> None:
    first = ".".join(map(str, _version.FIRST))
    assert f"wsproto>={first}" in settings["project"]["dependencies"]


def test_the_benchmarks_come_with_the_servers_that_they_measure(settings: dict[str, Any]) -> None:
    """A row whose peer isn't installed is left out: nobody would notice."""
    names = {
        re.split(r"[>\[]", each)[0]
        for each in settings["project"]["optional-dependencies"]["bench"]
    }
    assert {"arq", "hypercorn", "taskiq-redis", "uvicorn", "uvloop"} <= names
