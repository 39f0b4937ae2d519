"""A picture of a run: for each row a chart of its ratios, with the floors and targets they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bench.harness.figures import Ratio, Verdict, ratios
from bench.harness.rounds import RowResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Chart = tuple[RowResult, list[Ratio]]

#: Told apart by those who don't see red and green, too.
_COLOURS: Final[dict[Verdict, str]] = {
    "target": "#228833",
    "floor": "#4477aa",
    "below": "#ee6677",
}
_MEANINGS: Final[dict[Verdict, str]] = {
    "target": "target reached",
    "floor": "floor reached",
    "below": "below the floor",
}

#: Inches: a column of charts, a bar, a row's title with its margins, the legend with the scale.
_WIDTH, _BAR, _TITLE, _REST = 8.0, 0.24, 0.5, 0.9

#: More rows than this stand in two columns.
_ONE_COLUMN: Final = 10


def draw(results: Sequence[RowResult], path: str) -> None:
    """Writes the picture to *path*, its format by the file's ending.

    All charts have the same logarithmic scale; rows whose goals weren't measured have none. Raises
    ImportError where matplotlib isn't installed.
    """
    from matplotlib.figure import Figure

    charts = [(result, found) for result in results if (found := ratios(result))]
    columns = _columns(charts)
    height = max(map(_height, columns))
    figure = Figure(figsize=(_WIDTH * len(columns), height + _REST))
    bounds = _bounds(charts)
    for number, column in enumerate(columns):
        top = height
        for result, found in column:
            size = len(found) * _BAR
            top -= _TITLE + size
            box = (number * _WIDTH + 2.7, top + 0.45, _WIDTH - 3.1, size)
            _chart(_axes(figure, box), result, found, bounds)
    _legend(figure)
    figure.savefig(path, dpi=110)


def _height(column: Sequence[Chart]) -> float:
    return sum(_TITLE + len(found) * _BAR for _, found in column)


def _columns(charts: list[Chart]) -> list[list[Chart]]:
    """One column, or two about as high as each other, in the order of the rows."""
    if len(charts) <= _ONE_COLUMN:
        return [charts]
    half = _height(charts) / 2
    cut = next(count for count in range(len(charts) + 1) if _height(charts[:count]) >= half)
    return [charts[:cut], charts[cut:]]


def _bounds(charts: Sequence[Chart]) -> tuple[float, float]:
    """What the scale must show, with room for the figures beside the bars."""
    shown = [1.0]
    for _, found in charts:
        for ratio in found:
            shown += (ratio.low, ratio.high)
            shown += [each for each in (ratio.goal.floor, ratio.goal.target) if each is not None]
    return min(shown) / 1.6, max(shown) * 2.2


def _axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    """Axes at *box* (left, bottom, width, height in inches)."""
    width, height = figure.get_size_inches()
    left, bottom, wide, high = box
    return figure.add_axes((left / width, bottom / height, wide / width, high / height))


def _chart(
    axes: Axes, result: RowResult, found: Sequence[Ratio], bounds: tuple[float, float]
) -> None:
    """The bars of one row; they begin at 1, where both are alike."""
    row = result.row
    better = ", less is better" if row.smaller_is_better else ""
    axes.set_title(f"{row.name}: {row.title} [{row.unit}{better}]", fontsize=8, loc="right", pad=4)
    axes.set_xscale("log")
    axes.set_xlim(*bounds)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_yticks(
        range(len(found)), [f"{each.goal.subject} / {each.goal.peer}" for each in found]
    )
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.grid(axis="x", which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axvline(1, color="black", linewidth=0.8)
    for place, ratio in enumerate(found):
        colour = _COLOURS[ratio.verdict]
        axes.barh(place, ratio.value - 1, left=1, height=0.6, color=colour)
        axes.plot((ratio.low, ratio.high), (place, place), color="#333333", linewidth=0.8)
        for bound, line in ((ratio.goal.floor, "-"), (ratio.goal.target, ":")):
            if bound is not None:
                span = (place - 0.45, place + 0.45)
                axes.plot((bound, bound), span, color="black", linewidth=1.6, linestyle=line)
        seen = [ratio.value, ratio.high, ratio.goal.floor or 0, ratio.goal.target or 0, 1]
        axes.annotate(
            f"{ratio.value:.3g}x",
            (max(seen), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [Patch(color=_COLOURS[each], label=text) for each, text in _MEANINGS.items()]
    lines = [
        Line2D([], [], color="black", linewidth=1.6, linestyle="-", label="floor"),
        Line2D([], [], color="black", linewidth=1.6, linestyle=":", label="target"),
        Line2D([], [], color="#333333", linewidth=0.8, label="single rounds"),
    ]
    figure.legend(handles=[*marks, *lines], loc="upper center", ncols=6, fontsize=8, frameon=False)
