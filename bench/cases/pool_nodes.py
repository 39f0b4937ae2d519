"""Calls between processes by way of Redis: a pool's at another node, and jobs of a queue.

A call is made at a node that has no provider, and answered by one that is connected to another
node. Job queues do the same work differently: a job is stored, a worker takes it, and its result is
stored too. Two integers go there, a quotient and its remainder come back; Redis keeps nothing in
files, and is on the core of all.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import COMPILED
from bench.harness.model import Contender, Goal, Load, Row


def _ours(name: str, mode: str) -> Contender:
    peer = "wirecore_pool_nodes"
    return replace(Contender(name, peer, peer, serve={"mode": mode}), environment=COMPILED)


INLINE = _ours("wirecore inline", "inline")
ASYNC = _ours("wirecore async", "async")


def _queue(name: str, peer: str, poll_ms: int) -> Contender:
    """The queues poll, arq for jobs and results, taskiq for results.

    By default each half a second and each 200 ms, which would be all that they are measured by. So
    they are given what they do best with: where much is under way, too short a wait costs more than
    it brings.
    """
    polling = {"poll_ms": str(poll_ms)}
    return Contender(name, peer, peer, serve=polling, drive=polling)


def rows() -> list[Row]:
    """One call under way, and 64."""
    arq = {1: _queue("arq", "arq_jobs", 1), 64: _queue("arq", "arq_jobs", 20)}
    taskiq = {1: _queue("taskiq", "taskiq_tasks", 1), 64: _queue("taskiq", "taskiq_tasks", 10)}
    return [
        Row(
            name=f"pool_nodes/{in_flight}",
            title=f"calls by way of Redis, {in_flight} in flight",
            unit="calls/s",
            load=Load(in_flight=in_flight),
            contenders=(INLINE, ASYNC, arq[in_flight], taskiq[in_flight]),
            goals=(Goal(INLINE.name, "arq", 1.0, None), Goal(ASYNC.name, "arq", 1.0, None)),
        )
        for in_flight in (1, 64)
    ]
