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
import math
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import peers
from bench.harness import addresses, catalog, machine, markdown, placement, plot, report
from bench.harness.measure import Timing
from bench.harness.model import PLACEMENTS, Row
from bench.harness.rounds import RowResult, run_row

#: Endings of pictures.
_PICTURES = (".png", ".svg", ".pdf")

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
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="rounds (default 5, quick 1)")
    parser.add_argument(
        "--seconds", type=_seconds, metavar="S", help="seconds a measurement (default 2, quick 0.1)"
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
    for option, what in (
        ("--json", "write every figure there"),
        ("--markdown", "write tables for a page there"),
        ("--plot", "draw the ratios there, as .png, .svg or .pdf (needs matplotlib)"),
    ):
        parser.add_argument(option, metavar="FILE", type=_writable, help=what)
    options = parser.parse_args(arguments)
    if options.plot and options.plot.suffix not in _PICTURES:
        parser.error(f"argument --plot: {options.plot} must end in {', '.join(_PICTURES)}")
    quick = options.quick
    options.rounds = options.rounds or (1 if quick else 5)
    options.seconds = options.seconds or (0.1 if quick else 2.0)
    return options


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the paragraphs of the description."""


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number of rounds, 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number of seconds above 0")
    return found


def _writable(text: str) -> Path:
    """Asked before a run that may take an hour, not behind it."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} can't be written: its folder must be there")
    return path


def _pair(text: str) -> tuple[str, str]:
    server, colon, client = text.partition(":")
    if not (server and colon and client):
        raise argparse.ArgumentTypeError(f"{text!r} isn't SERVER:CLIENT")
    for name in (server, client):
        if not (name.startswith("go/") or Path(peers.__path__[0], f"{name}.py").is_file()):
            raise argparse.ArgumentTypeError(f"there is no peer {name!r}: see bench/peers")
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
        seconds=options.seconds,
    )
    results = []
    for number, row in enumerate(rows, 1):
        result = run_row(
            row,
            placement=options.placement,
            rounds=options.rounds,
            timing=timing,
            cores=placement.available(),
            progress=partial(say, f"[{number}/{len(rows)}]"),
        )
        print(report.table(result) + "\n", flush=True)
        results.append(result)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, or 1 when a contender failed or ours is missing; a peer that is, is none."""
    options = parse(arguments)
    rows = rows_of(options)
    if not rows:
        say(
            "nothing fits all of --rows (as in 'echo_small/*'), --contenders and --pair: see --list"
        )
        return 2
    if options.list:
        show_list(rows)
        return 0
    fixed = not options.random_addresses and addresses.fix()
    facts = {**machine.describe(), "addresses": "fixed" if fixed else "random"}
    warn(facts, options)
    results = run(options, rows)
    settings = {name: str(v) if isinstance(v, Path) else v for name, v in vars(options).items()}
    document = report.document(facts, settings, results)
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(markdown.tables(document))
    if options.plot:
        try:
            plot.draw(results, str(options.plot))
        except ImportError as error:
            say(f"no picture: {error}")
    ours = [name for result in results for name in result.missing if name.startswith("wirecore")]
    if ours:
        say(
            "wirecore itself was left out (see above): `pip install -e '.[bench]'` builds its",
            "compiled modules here, and brings all but redis-server",
        )
    return 1 if ours or any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
