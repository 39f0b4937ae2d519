"""What a row of the benchmarks is: a load, who is put under it, and the ratios to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

#: Where the two processes run: one core for both, a core each, or wherever the system puts them.
Placement: TypeAlias = Literal["same", "split", "free"]

PLACEMENTS: tuple[Placement, ...] = ("same", "split", "free")


@dataclass(frozen=True)
class Load:
    """What is asked of every contender of a row alike.

    *size*: bytes of one message's payload; *in_flight*: messages or calls under way at any time;
    *options*: further settings, passed to each driver (``KEY=VALUE``).
    """

    size: int = 64
    in_flight: int = 1
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """One competitor of a row: a client and, unless it works alone, a server.

    *client* and *server* name modules of ``bench/peers`` (or programs, see
    ``harness/launch.py``); *server* is None for work that needs no second process. *serve* and
    *drive* are options of the two, *environment* holds variables for both.
    """

    name: str
    client: str
    server: str | None = None
    serve: Mapping[str, str] = field(default_factory=dict)
    drive: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """A ratio to reach: what *subject* measures, divided by what *peer* measures.

    *floor* is the least that counts, *target* what is meant to be published; a goal may have only
    one of them. Where the row counts what should be small (bytes, seconds), both are upper bounds,
    else lower ones.
    """

    subject: str
    peer: str
    floor: float | None
    target: float | None

    @property
    def is_bound(self) -> bool:
        """Whether there is a bound to reach; else the two are only shown side by side."""
        return self.floor is not None or self.target is not None

    def __str__(self) -> str:
        bounds = {"floor": self.floor, "target": self.target}
        said = [f"{name} {value:.3g}x" for name, value in bounds.items() if value is not None]
        return f"{self.subject} / {self.peer}: {', '.join(said) or 'no bound'}"


@dataclass(frozen=True)
class Tail:
    """A latency to reach: at most *p99_us* microseconds for 99 of 100 calls of *subject*."""

    subject: str
    p99_us: float

    def __str__(self) -> str:
        return f"{self.subject}: p99 at most {self.p99_us:g} us"


@dataclass(frozen=True)
class Row:
    """One workload: *name* is ``case/variant``, *unit* what one figure counts.

    *smaller_is_better* is for memory and time; rates leave it off. *placement* holds unless the
    command line says otherwise; work for one process has it on one core in any case. *quick* holds
    the most that a quick run has of an option that is a number, where the load would take long
    whatever its seconds.
    """

    name: str
    title: str
    unit: str
    load: Load
    contenders: tuple[Contender, ...]
    goals: tuple[Goal, ...] = ()
    tails: tuple[Tail, ...] = ()
    placement: Placement = "same"
    smaller_is_better: bool = False
    quick: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [contender.name for contender in self.contenders]
        named = [each for goal in self.goals for each in (goal.subject, goal.peer)]
        for name in [*named, *(tail.subject for tail in self.tails)]:
            if name not in names:
                raise ValueError(f"{self.name}: a goal names {name!r}, not a contender")
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: two contenders have the same name")
