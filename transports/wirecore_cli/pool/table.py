"""A pool's state as tables: its paths, its providers, its call-backs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from wirecore.errors import printable

from .view import Calls, Path, Pool, Provider

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_NONE = "-"


class Table(NamedTuple):
    """Texts in columns; *left*: how many of the columns are words, and the others figures."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int


def paths_of(state: Pool, before: Pool | None) -> Table:
    """The paths of *state*; *before*: what was seen the time before, for calls a second."""
    seen = {} if before is None else {each.path: each.calls for each in before.paths}
    seconds = 0.0 if before is None else state.time - before.time
    headings = (
        *("PATH", "PROV", "QUEUE", "RUN", "OK", "ERR", "LOST", "LATE", "AGAIN"),
        *("CALLS/S", "P50", "P99"),
    )
    rows = [_path(each, seen.get(each.path), seconds) for each in state.paths]
    return Table(headings, rows, 1)


def _path(path: Path, before: Calls | None, seconds: float) -> Sequence[str]:
    calls = path.calls
    rate = _NONE
    if before is not None and seconds > 0:
        rate = f"{(calls.ended - before.ended) / seconds:.1f}"
    counts = (
        *(len(path.providers), path.queued, calls.in_flight, calls.answered, calls.errors),
        *(calls.lost, calls.timeouts, calls.again),
    )
    return (path.path, *map(str, counts), rate, _milliseconds(calls.p50), _milliseconds(calls.p99))


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds else _NONE


def providers_of(state: Pool) -> Table:
    """The connections of all providers, by path."""
    rows = [_provider(path.path, each) for path in state.paths for each in path.providers]
    return Table(("PATH", "PROVIDER", "FROM", "LABELS", "CALLS", "OF", "SINCE"), rows, 4)


def _provider(path: str, provider: Provider) -> Sequence[str]:
    name = provider.identity or _NONE
    if provider.leaving:
        name += " (leaving)"
    return (
        path,
        # Who connects may call itself anything.
        printable(name),
        provider.address,
        printable(", ".join(provider.labels)) or _NONE,
        str(provider.outstanding),
        str(provider.capacity) if provider.capacity else "any",
        _duration(provider.connected),
    )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} m"
    return f"{minutes} m {seconds:02} s" if minutes else f"{seconds} s"


def callbacks_of(state: Pool) -> Table:
    """The paths at which providers call."""
    rows = [(path, str(count)) for path, count in state.callbacks.items()]
    return Table(("CALL-BACKS", "CONNECTIONS"), rows, 1)


def tables_of(state: Pool, before: Pool | None) -> list[Table]:
    """All of them that hold anything, the first in any case; *before* as :func:`paths_of`."""
    first, *others = paths_of(state, before), providers_of(state), callbacks_of(state)
    return [first, *(each for each in others if each.rows)]


def plain(table: Table) -> str:
    """*table* for a pipe: columns as wide as they must be."""
    lines = [table.headings, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.headings))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column < table.left else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def coloured(table: Table) -> RichTable:
    """*table* for a terminal."""
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(box=None, header_style="bold cyan", pad_edge=False)
    for column, heading in enumerate(table.headings):
        made.add_column(heading, justify="left" if column < table.left else "right", no_wrap=True)
    for row in table.rows:
        made.add_row(*map(Text, row))  # as it stands: no word of a provider's is markup
    return made
