"""The table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.harness.figures import (
    Ratio,
    Spread,
    as_json,
    cpu_microseconds,
    latency,
    peak_rss,
    ratios,
    tails,
)
from bench.harness.measure import Sample
from bench.harness.rounds import RowResult

_HEADINGS = (
    "",
    "median",
    "min",
    "max",
    "server CPU us",
    "client CPU us",
    "server MB",
    "client MB",
    "p50 us",
    "p99 us",
)


def number(value: float | None) -> str:
    """*value* with three digits that count, thousands set off; "-" for None."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(result: RowResult) -> str:
    """One row of the benchmarks: who measured what, then the ratios with floor and target."""
    row = result.row
    lines = [f"{row.name}: {row.title} [{row.unit}; placement {result.placement}]"]
    measured = [(each.name, result.samples.get(each.name, [])) for each in row.contenders]
    measured = [(name, samples) for name, samples in measured if samples]
    if measured:
        cells = [_HEADINGS, *(_cells(name, each) for name, each in measured)]
        lines += _align(cells)
    for ratio in ratios(result):
        bounds = " at most" if row.smaller_is_better else " at least"
        lines.append(
            f"  {ratio.goal}{bounds if ratio.goal.is_bound else ''}; measured {ratio.value:.3g}x"
            f" ({ratio.low:.3g} to {ratio.high:.3g}): {_verdict(ratio)}"
        )
    for tail, value in tails(result):
        verdict = "target reached" if value <= tail.p99_us else "target missed"
        lines.append(f"  {tail}; measured {number(value)} us: {verdict}")
    lines += [f"  {name}: left out, {why}" for name, why in result.missing.items()]
    lines += [f"  {name}: FAILED, {_brief(why)}" for name, why in result.failed.items()]
    return "\n".join(lines)


def _verdict(ratio: Ratio) -> str:
    if not ratio.goal.is_bound:
        return "for comparison"
    if ratio.verdict == "below":
        return "BELOW THE FLOOR"
    if ratio.verdict == "target":
        return "target reached"
    return "target missed" if ratio.goal.floor is None else "floor reached"


def _brief(why: str) -> str:
    """First and last line of a failure; progress has shown all of it."""
    lines = why.splitlines()
    return lines[0] if len(lines) == 1 else f"{lines[0]}: {lines[-1].strip()}"


def _cells(name: str, samples: Sequence[Sample]) -> tuple[str, ...]:
    spread = Spread.of([sample.value for sample in samples])
    server, client = peak_rss(samples, "server"), peak_rss(samples, "client")
    return (
        name,
        number(spread.median),
        number(spread.low),
        number(spread.high),
        number(cpu_microseconds(samples, "server")),
        number(cpu_microseconds(samples, "client")),
        number(None if server is None else server / 1e6),
        number(None if client is None else client / 1e6),
        number(latency(samples, "p50_us")),
        number(latency(samples, "p99_us")),
    )


def _align(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return [
        "  " + f"{line[0]:<{widths[0]}}  " + "  ".join(map(str.rjust, line[1:], widths[1:]))
        for line in cells
    ]


def document(
    machine: dict[str, Any], settings: dict[str, Any], results: Sequence[RowResult]
) -> Any:
    """Everything of a run, ready for json.dump; ``schema`` grows when its meaning changes."""
    return {
        "schema": 1,
        "machine": machine,
        "settings": settings,
        "rows": [as_json(result) for result in results],
    }
