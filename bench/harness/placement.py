"""Which cores a process gets. A child inherits the affinity that its parent has as it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.harness.model import Placement

Cores = frozenset[int]


def can_pin() -> bool:
    """Whether this system lets a process choose its cores (Linux does, macOS does not)."""
    return hasattr(os, "sched_setaffinity")


def available() -> Cores:
    """The cores this process may run on; empty where the system doesn't say."""
    return frozenset(os.sched_getaffinity(0)) if can_pin() else frozenset()


def choose(placement: Placement, cores: Cores) -> tuple[Cores, Cores]:
    """The cores of server and client, taken from *cores*; empty means: no pinning.

    The highest ones are taken, since the lowest get most of a machine's interrupts. With one
    core alone, "split" can't be had: ValueError.
    """
    if placement == "free" or not cores:
        return frozenset(), frozenset()
    highest = sorted(cores, reverse=True)
    if placement == "same":
        return frozenset(highest[:1]), frozenset(highest[:1])
    if len(highest) < 2:
        raise ValueError("placement 'split' needs two cores, this process may use one")
    return frozenset(highest[:1]), frozenset(highest[1:2])


@contextmanager
def pinned(cores: Cores) -> Iterator[None]:
    """Within, this process, and so what it starts, runs on *cores*; empty: as before."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
