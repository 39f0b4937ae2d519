"""Rounds: every contender once in each, so that what drifts hits all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.harness.launch import PeerMissing
from bench.harness.measure import Sample, Timing, measure
from bench.harness.model import Placement, Row
from bench.harness.placement import Cores, choose
from bench.harness.process import PeerFailed


@dataclass
class RowResult:
    """What came of a row: samples of each contender, and why those without any have none."""

    row: Row
    placement: Placement
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def run_row(
    row: Row,
    *,
    placement: Placement | None,
    rounds: int,
    timing: Timing,
    cores: Cores,
    progress: Callable[[str], object],
) -> RowResult:
    """Runs *row*: *rounds* times each contender in turn.

    A contender that is missing or fails is left out of the rounds that follow and named in the
    result; the others go on. Each round starts with another contender, so that nobody is always
    the one who comes after the heaviest.
    """
    result = RowResult(row, placement or row.placement)
    server_cores, client_cores = choose(result.placement, cores)
    if all(contender.server is None for contender in row.contenders):
        server_cores, client_cores = choose("same", cores)
    for number in range(rounds):
        shift = number % max(1, len(row.contenders))
        for contender in row.contenders[shift:] + row.contenders[:shift]:
            name = contender.name
            if name in result.missing or name in result.failed:
                continue
            title = f"{row.name}  round {number + 1}/{rounds}  {name}"
            try:
                sample = measure(row, contender, timing, server_cores, client_cores)
            except PeerMissing as error:
                result.missing[name] = str(error)
                progress(f"{title}: left out, {error}")
            except PeerFailed as error:
                result.failed[name] = str(error)
                result.samples.pop(name, None)
                progress(f"{title}: FAILED, {error}")
            else:
                result.samples.setdefault(name, []).append(sample)
                progress(f"{title}: {sample.value:,.4g} {row.unit}")
    return result
