#!/usr/bin/env python3
"""Runs the benchmarks: `python bench/run.py --quick`, `--rows 'echo_small/*'`, `--list`.

Every contender works in processes of its own, pinned to cores, in interleaved rounds, on the same
messages, and what comes back is compared with what was sent. The table shows medians with their
range, CPU time and peak memory of each process, and the ratios against the named peer, each with
its floor and its target. docs/performance.md tells the method.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.harness import addresses, catalog, machine, markdown, placement, plot, report
from bench.harness.measure import Timing
from bench.harness.model import PLACEMENTS, Row
from bench.harness.rounds import RowResult, run_row

#: More cores than this kept busy by others, and figures of the run mean little.
QUIET = 0.15


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--list", action="store_true", help="name rows and contenders, run none")
    parser.add_argument(
        "--rows", metavar="GLOB", action="append", default=[], help="only rows with such a name"
    )
    parser.add_argument(
        "--contenders",
        metavar="GLOB",
        action="append",
        default=[],
        help="only contenders with such a name",
    )
    parser.add_argument(
        "--pair",
        metavar="SERVER:CLIENT",
        action="append",
        default=[],
        type=_pair,
        help="these two peers instead of the row's contenders",
    )
    parser.add_argument("--quick", action="store_true", help="one short round: does it all work?")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (default 5, quick 1)")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="seconds a measurement (default 2, quick 0.1)"
    )
    parser.add_argument(
        "--placement",
        choices=PLACEMENTS,
        help="both processes on one core, one each, or unpinned (default: what the row says)",
    )
    parser.add_argument(
        "--random-addresses",
        action="store_true",
        help="leave it to Linux where programs are loaded, which tells what that costs here",
    )
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    parser.add_argument("--markdown", metavar="FILE", help="write tables for a page there")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios there (needs matplotlib)")
    return parser.parse_args(arguments)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the paragraphs of the description."""


def _pair(text: str) -> tuple[str, str]:
    server, colon, client = text.partition(":")
    if not (server and colon and client):
        raise argparse.ArgumentTypeError(f"{text!r} isn't SERVER:CLIENT")
    return server, client


def rows_of(options: argparse.Namespace) -> list[Row]:
    """The rows that the command line asks for, with the contenders it asks for."""
    rows = catalog.select(catalog.all_rows(), options.rows)
    rows = [catalog.with_pairs(row, options.pair) for row in rows]
    rows = [catalog.keep_contenders(row, options.contenders) for row in rows]
    if options.quick:
        rows = [catalog.made_quick(row) for row in rows]
    return [row for row in rows if row.contenders]


def show_list(rows: list[Row]) -> None:
    """Prints the rows with their contenders, floors and targets."""
    for row in rows:
        print(f"{row.name}: {row.title} [{row.unit}; placement {row.placement}]")
        for contender in row.contenders:
            print(f"    {contender.name}")
        for goal in (*row.goals, *row.tails):
            print(f"  {goal}")


def say(*texts: str) -> None:
    """Progress goes to standard error, so that the tables can be redirected alone."""
    print(*texts, file=sys.stderr, flush=True)


def warn(facts: dict[str, object], options: argparse.Namespace) -> None:
    """Says what makes the figures of this run worth less."""
    occupied = facts["busy"]
    if isinstance(occupied, float) and occupied > QUIET:
        say(f"warning: others keep {occupied} cores busy; figures of this run are no good")
    if not placement.can_pin():
        say("warning: processes can't be pinned on this system, placement is 'free'")
    if options.quick:
        say("a quick run shows that everything works; its figures mean nothing")


def run(options: argparse.Namespace, rows: list[Row]) -> list[RowResult]:
    """Runs *rows* and prints a table after each."""
    timing = Timing(
        warm_up=0.02 if options.quick else 0.5,
        seconds=options.seconds or (0.1 if options.quick else 2.0),
    )
    results = []
    for number, row in enumerate(rows, 1):
        result = run_row(
            row,
            placement=options.placement,
            rounds=options.rounds or (1 if options.quick else 5),
            timing=timing,
            cores=placement.available(),
            progress=partial(say, f"[{number}/{len(rows)}]"),
        )
        print(report.table(result) + "\n", flush=True)
        results.append(result)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, or 1 when a contender failed (one that isn't installed is no failure)."""
    options = parse(arguments)
    rows = rows_of(options)
    if not rows:
        say("no row fits: see --list")
        return 2
    if options.list:
        show_list(rows)
        return 0
    fixed = not options.random_addresses and addresses.fix()
    facts = {**machine.describe(), "addresses": "fixed" if fixed else "random"}
    warn(facts, options)
    results = run(options, rows)
    document = report.document(facts, vars(options), results)
    if options.json:
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    if options.markdown:
        Path(options.markdown).write_text(markdown.tables(document))
    if options.plot:
        try:
            plot.draw(results, options.plot)
        except ImportError as error:
            say(f"no picture: {error}")
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
