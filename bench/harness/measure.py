"""One measurement: start server and client, let them work, take their figures."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from bench.harness.launch import command
from bench.harness.model import Contender, Load, Row
from bench.harness.placement import Cores
from bench.harness.process import Child, PeerFailed, cpu_seconds, memory, started

#: How long a process may take to start, or to say the next thing beyond the time of its work.
PATIENCE = 60.0


@dataclass(frozen=True)
class Timing:
    """Seconds of load before the measurement, and of the measurement."""

    warm_up: float
    seconds: float


@dataclass(frozen=True)
class Usage:
    """What one process used: CPU seconds within the measurement, and its peak memory (bytes)."""

    cpu_seconds: float | None
    peak_rss: int | None


@dataclass(frozen=True)
class Sample:
    """One round of one contender. *value* counts in the row's unit."""

    value: float
    count: int
    checked: int
    seconds: float
    client: Usage
    server: Usage | None
    p50_us: float | None
    p99_us: float | None
    versions: dict[str, str] = field(default_factory=dict)


class _Stopwatch:
    """CPU time of some processes between ``start`` and ``stop``, if there was a start."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._began: list[float | None] = [None] * len(pids)
        self._ended: list[float | None] = [None] * len(pids)

    def start(self) -> None:
        self._began = [cpu_seconds(pid) for pid in self._pids]

    def stop(self) -> None:
        self._ended = [cpu_seconds(pid) for pid in self._pids]

    def usage(self) -> list[Usage]:
        """The figures of each process, in the order the pids came in."""
        return [
            Usage(
                None if began is None or ended is None else ended - began,
                memory(pid).get("VmHWM"),
            )
            for pid, began, ended in zip(self._pids, self._began, self._ended, strict=True)
        ]


def measure(
    row: Row, contender: Contender, timing: Timing, server_cores: Cores, client_cores: Cores
) -> Sample:
    """Runs *contender* once under the load of *row*.

    Raises PeerMissing or PeerFailed, see :class:`bench.harness.process.Child`.
    """
    arguments = _load_arguments(row.load, timing)
    drive = {**row.load.options, **contender.drive}
    if contender.server is None:
        line = command(contender.client, "drive", drive, arguments)
        with started(line, contender.environment, client_cores) as client:
            return _follow(row, client, None, timing)
    line = command(contender.server, "serve", contender.serve, [])
    with started(line, contender.environment, server_cores) as server:
        listening = server.event(PATIENCE)
        if listening["event"] != "listening":
            raise PeerFailed(f"the server announced no port: {listening}")
        arguments += ["--port", str(listening["port"]), "--watch", str(server.pid)]
        line = command(contender.client, "drive", drive, arguments)
        with started(line, contender.environment, client_cores) as client:
            sample = _follow(row, client, server, timing)
        sample.versions["server"] = str(listening.get("version", ""))
        return sample


def _load_arguments(load: Load, timing: Timing) -> list[str]:
    figures = {
        "--size": load.size,
        "--in-flight": load.in_flight,
        "--warm-up": timing.warm_up,
        "--seconds": timing.seconds,
    }
    return [word for name, value in figures.items() for word in (name, str(value))]


def _follow(row: Row, client: Child, server: Child | None, timing: Timing) -> Sample:
    """Listens to the client until its result, with an eye on the CPU clocks."""
    stopwatch = _Stopwatch([client.pid] if server is None else [client.pid, server.pid])
    deadline = time.monotonic() + timing.warm_up + timing.seconds + PATIENCE
    stopped = False
    while True:
        event = client.event(deadline - time.monotonic())
        if event["event"] == "begin":
            stopwatch.start()
        elif event["event"] == "end":
            stopwatch.stop()
            stopped = True
        elif event["event"] == "result":
            if not stopped:
                stopwatch.stop()
            return _sample(row, event, stopwatch.usage())


def _sample(row: Row, event: dict[str, Any], usage: list[Usage]) -> Sample:
    count, seconds = int(event["count"]), float(event["seconds"])
    if count <= 0 or int(event["checked"]) <= 0:
        raise PeerFailed(f"{row.name}: nothing came back, or nothing was compared: {event}")
    return Sample(
        value=float(event["value"]) if "value" in event else count / seconds,
        count=count,
        checked=int(event["checked"]),
        seconds=seconds,
        client=usage[0],
        server=usage[1] if len(usage) > 1 else None,
        p50_us=event.get("p50_us"),
        p99_us=event.get("p99_us"),
        versions={"client": str(event.get("version", ""))},
    )
