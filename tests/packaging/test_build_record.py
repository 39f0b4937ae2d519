"""The record that a build leaves, and what is said of it where the modules don't load."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import pytest

from wirecore import _build

HERE = sysconfig.get_config_var("SOABI") or sysconfig.get_platform()


def record(folder: Path, **changes: object) -> Path:
    """Writes a record as a successful build on this interpreter would, but for *changes*."""
    path = folder / "_build_result.json"
    content = {"mode": "auto", "compiled": True, "reason": "", "built_for": HERE}
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    return path


def test_a_source_tree_without_a_build(tmp_path: Path) -> None:
    assert _build.read_result(tmp_path / "none.json") is None
    assert "never built" in _build.explain(tmp_path / "none.json")


def test_a_pure_build_was_made_on_purpose(tmp_path: Path) -> None:
    path = record(tmp_path, mode="pure", compiled=False)
    assert "on purpose (built with WIRECORE_BUILD=pure)" in _build.explain(path)


def test_a_failed_build_tells_the_reason(tmp_path: Path) -> None:
    path = record(tmp_path, compiled=False, reason="command 'cc' failed with exit code 1")
    assert _build.explain(path) == (
        "compiling failed when this installation was built: command 'cc' failed with exit code 1"
    )


def test_modules_of_another_interpreter(tmp_path: Path) -> None:
    path = record(tmp_path, built_for="cpython-399-somewhere")
    assert f"are for cpython-399-somewhere, this interpreter is {HERE}" in _build.explain(path)


def test_modules_that_were_built_for_this_interpreter_but_do_not_load(tmp_path: Path) -> None:
    assert _build.explain(record(tmp_path)).endswith("were built, but don't load")


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = record(tmp_path, mode="require")
    expected = {"mode": "require", "compiled": True, "reason": "", "built_for": HERE}
    assert _build.read_result(path) == expected


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"mode": "auto"}'])
def test_a_damaged_record_is_said_to_be_damaged(tmp_path: Path, content: str) -> None:
    path = tmp_path / "_build_result.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"."):
        _build.read_result(path)
    assert "the record of the build is damaged" in _build.explain(path)
