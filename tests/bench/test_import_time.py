"""The time of an import is that of compiled bytecode, whatever the environment says."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

#: Notes each time whether its bytecode is on disk.
MODULE = """
import os
with open({notes!r}, "a") as file:
    print(os.path.exists(__cached__), file=file)
"""


@pytest.fixture
def import_time(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``bench.peers.import_time``, which no package installs."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    return import_module("bench.peers.import_time")


def test_bytecode_is_warm(
    import_time: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    (tmp_path / "imported_by_the_test.py").write_text(MODULE.format(notes=str(notes)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    task = import_time.Task(
        port=0,
        size=0,
        in_flight=1,
        warm_up=0.0,
        seconds=0.001,
        watch=0,
        options={"module": "imported_by_the_test"},
        version="",
    )
    assert import_time.drive(task).count >= 1
    assert set(notes.read_text().split()) == {"True"}
    assert not (tmp_path / "__pycache__").exists(), "nothing is left in the folder of the module"
