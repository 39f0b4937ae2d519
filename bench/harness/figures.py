"""From samples to figures: medians, spreads, ratios, and whether a goal is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, Literal

from bench.harness.measure import Sample, Usage
from bench.harness.model import Goal, Tail
from bench.harness.rounds import RowResult

Verdict = Literal["target", "floor", "below"]


@dataclass(frozen=True)
class Spread:
    """The median of several rounds, their extremes and the quartiles."""

    median: float
    low: float
    high: float
    lower_quartile: float
    upper_quartile: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value or more."""
        if len(values) == 1:
            return cls(*(values[0],) * 5)
        first, _, third = quantiles(values, n=4, method="inclusive")
        return cls(median(values), min(values), max(values), first, third)


@dataclass(frozen=True)
class Ratio:
    """A goal and what was measured: the median and the range of the single rounds' ratios."""

    goal: Goal
    value: float
    low: float
    high: float
    verdict: Verdict


def ratios(result: RowResult) -> list[Ratio]:
    """The ratio of each goal whose two contenders were measured."""
    found = []
    for goal in result.row.goals:
        subject, peer = result.samples.get(goal.subject), result.samples.get(goal.peer)
        if not subject or not peer:
            continue
        pairs = [ours.value / theirs.value for ours, theirs in zip(subject, peer, strict=False)]
        value = median(pairs)
        smaller = result.row.smaller_is_better
        found.append(Ratio(goal, value, min(pairs), max(pairs), judge(value, goal, smaller)))
    return found


def tails(result: RowResult) -> list[tuple[Tail, float]]:
    """The latency goals whose contender told its latency, with what it told (microseconds)."""
    told = [
        (tail, latency(result.samples.get(tail.subject, []), "p99_us")) for tail in result.row.tails
    ]
    return [(tail, value) for tail, value in told if value is not None]


def judge(value: float, goal: Goal, smaller_is_better: bool) -> Verdict:
    """Whether *value* reaches the goal's target, at least its floor, or neither.

    Where the goal has no floor, missing the target is still no "below".
    """

    def reached(bound: float | None) -> bool:
        return bound is not None and (value <= bound if smaller_is_better else value >= bound)

    if reached(goal.target):
        return "target"
    return "floor" if goal.floor is None or reached(goal.floor) else "below"


def cpu_microseconds(samples: Sequence[Sample], side: Literal["client", "server"]) -> float | None:
    """CPU time of one process for one message, in microseconds: the median of the rounds."""
    spent = [
        usage.cpu_seconds / sample.count * 1e6
        for sample in samples
        if (usage := _usage(sample, side)) is not None and usage.cpu_seconds is not None
    ]
    return median(spent) if spent else None


def peak_rss(samples: Sequence[Sample], side: Literal["client", "server"]) -> int | None:
    """Peak memory of one process in bytes: the highest of the rounds."""
    peaks = [
        usage.peak_rss
        for sample in samples
        if (usage := _usage(sample, side)) is not None and usage.peak_rss is not None
    ]
    return max(peaks) if peaks else None


def latency(samples: Sequence[Sample], name: Literal["p50_us", "p99_us"]) -> float | None:
    """A latency in microseconds: the median of what the rounds said."""
    said = [value for sample in samples if (value := getattr(sample, name)) is not None]
    return median(said) if said else None


def _usage(sample: Sample, side: Literal["client", "server"]) -> Usage | None:
    return sample.client if side == "client" else sample.server


def as_json(result: RowResult) -> dict[str, Any]:
    """The row with every figure and every sample, ready for json.dump."""
    return {
        "name": result.row.name,
        "title": result.row.title,
        "unit": result.row.unit,
        "smaller_is_better": result.row.smaller_is_better,
        "placement": result.placement,
        "contenders": {
            name: {
                **vars(Spread.of([each.value for each in samples])),
                "rounds": [each.value for each in samples],
                "messages": sum(each.count for each in samples),
                "checked": sum(each.checked for each in samples),
                "client_cpu_us": cpu_microseconds(samples, "client"),
                "server_cpu_us": cpu_microseconds(samples, "server"),
                "client_peak_rss": peak_rss(samples, "client"),
                "server_peak_rss": peak_rss(samples, "server"),
                "p50_us": latency(samples, "p50_us"),
                "p99_us": latency(samples, "p99_us"),
                "versions": samples[-1].versions,
            }
            for name, samples in result.samples.items()
        },
        "ratios": [
            {
                "subject": ratio.goal.subject,
                "peer": ratio.goal.peer,
                "ratio": ratio.value,
                "low": ratio.low,
                "high": ratio.high,
                "floor": ratio.goal.floor,
                "target": ratio.goal.target,
                "reached": ratio.verdict,
            }
            for ratio in ratios(result)
        ],
        "tails": [
            {
                "subject": tail.subject,
                "p99_us": value,
                "target": tail.p99_us,
                "reached": value <= tail.p99_us,
            }
            for tail, value in tails(result)
        ],
        "missing": result.missing,
        "failed": result.failed,
    }
