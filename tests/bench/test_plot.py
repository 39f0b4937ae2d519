"""The picture of a run: every ratio with its floor and target, however many rows there are."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="only the bench extra installs it")


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``bench.harness``, which no package installs, with the modules that are used here."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    for name in ("catalog", "measure", "plot", "rounds"):
        import_module(f"bench.harness.{name}")
    return import_module("bench.harness")


def measured(harness: ModuleType, pattern: str) -> list[Any]:
    """Rows of *pattern*, where all contenders have taken the same."""
    results = []
    for row in harness.catalog.select(harness.catalog.all_rows(), [pattern]):
        result = harness.rounds.RowResult(row, row.placement)
        usage = harness.measure.Usage(None, None)
        for contender in row.contenders:
            sample = harness.measure.Sample(1000.0, 1, 1, 1.0, usage, None, None, None)
            result.samples[contender.name] = [sample, sample]
        results.append(result)
    return results


@pytest.mark.parametrize("pattern", ["*", "idle_memory/10000", "nothing/like/it"])
def test_ratios_are_drawn(harness: ModuleType, tmp_path: Path, pattern: str) -> None:
    harness.plot.draw(measured(harness, pattern), str(tmp_path / "figures.svg"))
    picture = (tmp_path / "figures.svg").read_text()
    assert "</svg>" in picture


def test_a_figure_is_beside_its_bar(
    harness: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")  # text stays text
    harness.plot.draw(measured(harness, "idle_memory/10000"), str(tmp_path / "figures.svg"))
    picture = (tmp_path / "figures.svg").read_text()
    assert "idle_memory/10000: memory of an idle connection" in picture
    assert "less is better" in picture
    assert ">wirecore / websockets asyncio<" in picture
    assert ">1x<" in picture
    assert ">below the floor<" in picture
