"""The rows there are: every module of ``bench/cases`` has a ``rows()``."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib import import_module

from bench import cases
from bench.harness.model import Contender, Row


def all_rows() -> list[Row]:
    """Every row of every case, cases in alphabetical order."""
    found: list[Row] = []
    for module in sorted(info.name for info in pkgutil.iter_modules(cases.__path__)):
        found += import_module(f"bench.cases.{module}").rows()
    return found


def select(rows: Sequence[Row], patterns: Sequence[str]) -> list[Row]:
    """The rows whose name fits one of the shell-style *patterns* (all, where there are none)."""
    if not patterns:
        return list(rows)
    return [row for row in rows if any(fnmatchcase(row.name, each) for each in patterns)]


def keep_contenders(row: Row, patterns: Sequence[str]) -> Row:
    """*row* with only those contenders (and their goals) whose name fits one of *patterns*."""
    if not patterns:
        return row
    kept = tuple(
        each for each in row.contenders if any(fnmatchcase(each.name, one) for one in patterns)
    )
    return _with_contenders(row, kept)


def with_pairs(row: Row, pairs: Sequence[tuple[str, str]]) -> Row:
    """*row* with one contender for each (server, client) of *pairs* instead of its own.

    A row whose work needs no server is given back without any contender.
    """
    if not pairs:
        return row
    if all(contender.server is None for contender in row.contenders):
        return _with_contenders(row, ())
    made = tuple(Contender(f"{server}:{client}", client, server) for server, client in pairs)
    if any(name.startswith("go/") for pair in pairs for name in pair):
        row = replace(row, placement="free")  # Go runs unpinned, and so does what meets it
    return _with_contenders(row, made)


def made_quick(row: Row) -> Row:
    """*row* with its load made lighter, as it says itself: numbers that it has, cut down."""

    def lighter(options: Mapping[str, str]) -> dict[str, str]:
        return {
            key: str(min(int(value), row.quick[key])) if key in row.quick else value
            for key, value in options.items()
        }

    return replace(
        row,
        load=replace(row.load, options=lighter(row.load.options)),
        contenders=tuple(replace(each, drive=lighter(each.drive)) for each in row.contenders),
    )


def _with_contenders(row: Row, contenders: tuple[Contender, ...]) -> Row:
    names = {contender.name for contender in contenders}
    goals = tuple(goal for goal in row.goals if {goal.subject, goal.peer} <= names)
    tails = tuple(tail for tail in row.tails if tail.subject in names)
    return replace(row, contenders=contenders, goals=goals, tails=tails)
