"""The tables of a run for the documentation."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``bench.harness``, which no package installs, with the modules that are used here."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    for name in ("catalog", "markdown", "measure", "report", "rounds"):
        import_module(f"bench.harness.{name}")
    return import_module("bench.harness")


MACHINE = {
    "processor": "Abacus",
    "cores": 2,
    "system": "Linux",
    "python": "3.11.7",
    "addresses": "fixed",
    "busy": 0.01,
    "time": "2026-01-02T03:04:05Z",
}


def document(harness: ModuleType, row: str, **values: float) -> Any:
    """A run of *row* in which contenders had the *values* named after them, in one round."""
    (row,) = harness.catalog.select(harness.catalog.all_rows(), [row])
    result = harness.rounds.RowResult(row, "same")
    usage = harness.measure.Usage(0.5, 42_000_000)
    for name, value in values.items():
        result.samples[name.replace("_", " ")] = [
            harness.measure.Sample(value, 1000, 1000, 1.0, usage, usage, 12.3, 480.0)
        ]
    result.missing["gorilla"] = "no Go here"
    return harness.report.document(MACHINE, {"rounds": 5, "seconds": 2.0, "quick": False}, [result])


def test_ratios_and_figures_are_tables(harness: ModuleType) -> None:
    text = harness.markdown.tables(
        document(harness, "echo_small/1", wirecore=20_000.0, websockets_trio=5000.0)
    )
    lines = text.splitlines()
    assert lines[0] == (
        "Abacus, 2 cores, Linux, CPython 3.11.7; fixed addresses; 0.01 cores kept busy by "
        "others; 5 rounds of 2 s; 2026-01-02."
    )
    assert "Ratios, placement `same`:" in lines
    assert (
        "| `echo_small/1` | wirecore / websockets trio | 4x | 4 to 4 | 3.5x | 4x | target |"
        in lines
    )
    assert (
        "| `echo_small/1`, messages/s | wirecore | 20,000 | 20,000 to 20,000 | 500 + 500 | "
        "12.3, 480 | 42, 42 |" in lines
    )
    assert "|  | gorilla | left out: no Go here |  |  |  |  |" in lines
    for line in lines:
        assert line.count("|") in (0, 8), "a cell too many or too few"


@pytest.mark.parametrize(
    ("ours", "said"), [(5000.0, "target"), (7000.0, "floor"), (8000.0, "**below the floor**")]
)
def test_what_should_be_small_is_bounded_from_above(
    harness: ModuleType, ours: float, said: str
) -> None:
    text = harness.markdown.tables(
        document(harness, "idle_memory/10000", wirecore=ours, websockets_asyncio=14_000.0)
    )
    assert f"| 0.5x at most | 0.4x at most | {said} |" in text


def test_a_target_without_a_floor_is_reached_or_not(harness: ModuleType) -> None:
    text = harness.markdown.tables(
        document(harness, "broadcast/1000", wirecore=79.0, bare_sockets=100.0)
    )
    assert "| wirecore / bare sockets | 0.79x | 0.79 to 0.79 |  | 0.8x | no |" in text
