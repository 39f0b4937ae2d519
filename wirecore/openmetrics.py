"""Writes metrics as OpenMetrics 1.0 text, which Prometheus and its kin collect.

A family is one metric with all its labels' values; :func:`render` makes a page of families. All
are made anew for each page, from counts that their owners keep.

https://prometheus.io/docs/specs/om/open_metrics_spec/ has the format.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final

from wirecore.errors import InvalidOption

__all__ = ["CONTENT_TYPE", "Counter", "Family", "Gauge", "Histogram", "Info", "render"]

#: The Content-Type of such a page.
CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_UNIT: Final = re.compile(r"[a-zA-Z0-9_:]+", re.ASCII)

#: What stands behind a family's name in those of samples. A family's own name must not end in it,
#: or the two could be taken for each other.
_SUFFIXES: Final = ("_total", "_created", "_count", "_sum", "_bucket", "_gcount", "_gsum", "_info")

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Family:
    """One metric; use a subclass.

    *name*: without the suffix of a sample, such as ``_total``. *help*: what it tells, in a
    sentence. *labels*: names; each sample has a value for each. *unit*: such as ``seconds``; the
    name must end in it.

    Raises :class:`~wirecore.errors.InvalidOption` for a name, label or unit that isn't allowed.
    """

    kind: ClassVar[str]
    _suffixes: ClassVar[tuple[str, ...]]
    _reserved: ClassVar[frozenset[str]] = frozenset()

    __slots__ = ("_labels", "_lines", "_seen", "help", "name", "unit")

    def __init__(self, name: str, help: str, labels: Sequence[str] = (), unit: str = "") -> None:  # noqa: A002 - the format's word
        if not _NAME.fullmatch(name) or name.endswith(_SUFFIXES):
            hint = f"letters, digits, _ and :, and none of {', '.join(_SUFFIXES)} at the end"
            raise InvalidOption(f"{name!r} can't be the name of a metric: {hint}")
        if unit and not (_UNIT.fullmatch(unit) and name.endswith(f"_{unit}")):
            raise InvalidOption(f"the name of a metric in {unit!r} must end in _{unit}: {name!r}")
        self._check_labels(name, labels)
        self.name = name
        self.help = help
        self.unit = unit
        self._labels = tuple(labels)
        self._lines: list[str] = []
        self._seen: set[tuple[str, ...]] = set()

    def sample_names(self) -> set[str]:
        """The names that its samples have."""
        return {self.name + suffix for suffix in self._suffixes}

    def lines(self) -> Iterator[str]:
        """The family as lines of text."""
        yield f"# TYPE {self.name} {self.kind}"
        if self.unit:
            yield f"# UNIT {self.name} {self.unit}"
        if self.help:
            yield f"# HELP {self.name} {_escaped(self.help)}"
        yield from self._lines

    def _check_labels(self, name: str, labels: Sequence[str]) -> None:
        if isinstance(labels, str):
            raise InvalidOption(f"{name}: labels are several names, not one str")
        for label in labels:
            if not _LABEL.fullmatch(label) or label.startswith("__") or label in self._reserved:
                raise InvalidOption(f"{name}: {label!r} can't be a label's name")
        if len(set(labels)) != len(labels):
            raise InvalidOption(f"{name}: a label's name comes twice")

    def _pairs(self, values: tuple[str, ...]) -> list[tuple[str, str]]:
        """The labels of a sample, whose *values* no other has."""
        if len(values) != len(self._labels):
            wanted = (
                f"has the labels {', '.join(self._labels)}" if self._labels else "has no labels"
            )
            raise InvalidOption(f"{self.name} {wanted}: {len(values)} values were given")
        if values in self._seen:
            raise InvalidOption(f"{self.name} has a sample of these labels already")
        self._seen.add(values)
        return list(zip(self._labels, values, strict=True))

    def _write(self, suffix: str, pairs: Iterable[tuple[str, str]], value: float) -> None:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in pairs)
        labels = f"{{{inside}}}" if inside else ""
        self._lines.append(f"{self.name}{suffix}{labels} {_number(value)}")


class Counter(Family):
    """What only grows, such as calls since the start."""

    kind = "counter"
    _suffixes = ("_total", "_created")

    __slots__ = ()

    def add(self, value: float, *labels: str) -> None:
        """A sample: a finite number not below 0. Raises InvalidOption for anything else."""
        _check_count(f"{self.name}_total", value)
        self._write("_total", self._pairs(labels), value)


class Gauge(Family):
    """What comes and goes, such as calls that wait."""

    kind = "gauge"
    _suffixes = ("",)

    __slots__ = ()

    def add(self, value: float, *labels: str) -> None:
        """A sample: any number."""
        self._write("", self._pairs(labels), value)


class Histogram(Family):
    """How many of a kind were how large, such as durations."""

    kind = "histogram"
    _suffixes = ("_bucket", "_count", "_sum", "_created")
    _reserved = frozenset({"le"})

    __slots__ = ()

    def add(
        self, buckets: Sequence[tuple[float, int]], count: int, total: float, *labels: str
    ) -> None:
        """A sample: *count* observations, whose sum is *total*.

        *buckets*: upper bounds in rising order, and how many observations were no larger; the
        last, of all, is added. Raises InvalidOption where these don't fit together.
        """
        below, bound_below = 0, -math.inf
        for bound, number in [*buckets, (math.inf, count)]:
            if not (bound_below < bound and below <= number):
                raise InvalidOption(f"{self.name}: bounds and counts of buckets must rise")
            below, bound_below = number, bound
        if buckets and buckets[0][0] < 0:
            raise InvalidOption(f"{self.name}: what can be below 0 has no sum; use bounds from 0")
        _check_count(f"{self.name}_count", count)
        _check_count(f"{self.name}_sum", total)
        pairs = self._pairs(labels)
        for bound, number in [*buckets, (math.inf, count)]:
            self._write("_bucket", [*pairs, ("le", _number(float(bound)))], number)
        self._write("_count", pairs, count)
        self._write("_sum", pairs, total)


class Info(Family):
    """Texts that don't change while a process runs, such as its version: they are the labels."""

    kind = "info"
    _suffixes = ("_info",)

    __slots__ = ()

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:  # noqa: A002 - as above
        super().__init__(name, help, labels)

    def add(self, *labels: str) -> None:
        """A sample."""
        self._write("_info", self._pairs(labels), 1)


def render(families: Iterable[Family]) -> str:
    """The page of *families*, in their order.

    Raises :class:`~wirecore.errors.InvalidOption` where a name of one is another's, too.
    """
    lines: list[str] = []
    taken: set[str] = set()
    for family in families:
        names = family.sample_names() | {family.name}
        if names & taken:
            raise InvalidOption(f"two metrics have the name {min(names & taken)}")
        taken |= names
        lines.extend(family.lines())
    return "\n".join([*lines, "# EOF\n"])


def _check_count(name: str, value: float) -> None:
    if not 0 <= value < math.inf:  # nan isn't, either
        raise InvalidOption(f"{name} must be a finite number not below 0, not {value}")


def _escaped(text: str) -> str:
    # Half a surrogate pair has no place in UTF-8.
    return text.translate(_ESCAPES).encode("utf-8", "replace").decode()


def _number(value: float) -> str:
    if isinstance(value, int):  # a bool too, which counts as 0 or 1
        return str(int(value))
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
