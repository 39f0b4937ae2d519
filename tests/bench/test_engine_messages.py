"""The engine's row of the benchmarks runs, and what comes is what was sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.test_run import figures

pytest.importorskip("websockets.trio")
pytest.importorskip("opentelemetry.sdk")


def test_a_flood_is_taken_by_all(tmp_path: Path) -> None:
    document = figures(tmp_path / "figures.json", "--rows", "engine_messages/*")
    [row] = document["rows"]
    assert not row["missing"]
    assert not row["failed"]
    assert len(row["contenders"]) == 7
    for found in row["contenders"].values():
        assert found["checked"] >= found["messages"] > 0
    assert [(each["peer"], each["floor"]) for each in row["ratios"]] == [
        ("bare loop", 0.5),
        ("bare loop", 0.5),
        ("websockets, bare loop", 0.5),
    ]
