"""A picture of a run: a chart for each row, a bar for each contender, its range as a whisker."""

from __future__ import annotations

from collections.abc import Sequence

from bench.harness.figures import Spread
from bench.harness.rounds import RowResult


def draw(results: Sequence[RowResult], path: str) -> None:
    """Writes the picture to *path*, its format by the file's ending.

    Raises ImportError where matplotlib isn't installed.
    """
    from matplotlib.figure import Figure

    shown = [result for result in results if result.samples]
    bars = sum(len(result.samples) + 2 for result in shown)
    figure = Figure(figsize=(9, 0.35 * bars + 1), layout="constrained")
    heights = [len(result.samples) + 1 for result in shown]
    axes = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, result in zip(axes, shown, strict=True):
        names = list(result.samples)
        spreads = [Spread.of([each.value for each in result.samples[name]]) for name in names]
        medians = [spread.median for spread in spreads]
        below = [spread.median - spread.low for spread in spreads]
        above = [spread.high - spread.median for spread in spreads]
        axis.barh(names, medians, xerr=(below, above), capsize=3, color="#4477aa")
        axis.invert_yaxis()
        axis.set_title(f"{result.row.title} [{result.row.unit}]", fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
    figure.savefig(path)
