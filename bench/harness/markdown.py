"""A run as tables for the documentation: what was compared, then every contender's own figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.harness.report import number

_REACHED = {"target": "target", "floor": "floor", "below": "**below the floor**"}


def tables(document: dict[str, Any]) -> str:
    """The tables of *document*, which ``report.document`` made.

    Two for each placement in it: the ratios with floor and target, and the medians of all
    contenders with their CPU time, latency and memory.
    """
    parts = [_machine(document)]
    for placement in dict.fromkeys(row["placement"] for row in document["rows"]):
        rows = [row for row in document["rows"] if row["placement"] == placement]
        parts += [
            f"Ratios, placement `{placement}`:",
            _table(
                ("row", "ratio", "measured", "single rounds", "floor", "target", "reached"),
                (line for row in rows for line in _ratios(row)),
            ),
            f"Figures, placement `{placement}`:",
            _table(
                (
                    "row",
                    "contender",
                    "median",
                    "range",
                    "CPU us, server + client",
                    "p50, p99 us",
                    "MB, server, client",
                ),
                (line for row in rows for line in _figures(row)),
            ),
        ]
    return "\n\n".join(parts) + "\n"


def _machine(document: dict[str, Any]) -> str:
    facts, settings = document["machine"], document["settings"]
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}, "
        f"CPython {facts['python']}; {facts['addresses']} addresses; {facts['busy']} cores kept "
        f"busy by others; {settings['rounds']} rounds of {settings['seconds']:g} s; "
        f"{facts['time'][:10]}."
        + (" A quick run: its figures mean nothing." if settings["quick"] else "")
    )


def _ratios(row: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for ratio in row["ratios"]:
        yield (
            f"`{row['name']}`",
            f"{ratio['subject']} / {ratio['peer']}",
            f"{ratio['ratio']:.3g}x",
            f"{ratio['low']:.3g} to {ratio['high']:.3g}",
            _bound(ratio["floor"], row["smaller_is_better"]),
            _bound(ratio["target"], row["smaller_is_better"]),
            # Without a floor there is nothing to be below of.
            "no"
            if ratio["reached"] == "floor" and not ratio["floor"]
            else _REACHED[ratio["reached"]],
        )
    for tail in row["tails"]:
        yield (
            f"`{row['name']}`",
            f"{tail['subject']}, p99",
            f"{number(tail['p99_us'])} us",
            "",
            "",
            f"{tail['target']:g} us at most",
            "target" if tail["reached"] else "no",
        )


def _bound(value: float | None, smaller_is_better: bool) -> str:
    if value is None:
        return ""
    return f"{value:.3g}x at most" if smaller_is_better else f"{value:.3g}x"


def _figures(row: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    name = f"`{row['name']}`, {row['unit']}"
    for contender, figures in row["contenders"].items():
        cpu = [figures["server_cpu_us"], figures["client_cpu_us"]]
        memory = [figures["server_peak_rss"], figures["client_peak_rss"]]
        yield (
            name,
            contender,
            number(figures["median"]),
            f"{number(figures['low'])} to {number(figures['high'])}",
            _joined(" + ", cpu),
            _joined(", ", [figures["p50_us"], figures["p99_us"]]),
            _joined(", ", [None if size is None else size / 1e6 for size in memory]),
        )
        name = ""
    for contender, why in row["missing"].items():
        yield (name, contender, f"left out: {why}", "", "", "", "")


def _joined(between: str, values: Sequence[float | None]) -> str:
    return between.join(number(value) for value in values if value is not None)


def _table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---"] * len(headings)
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *lines))
