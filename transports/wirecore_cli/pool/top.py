"""``wirecore pool top``: who is connected to a pool, and what is called."""

from __future__ import annotations

from pathlib import Path

import click

from ..logs import log_nothing
from ..seconds import Seconds
from .options import control_option


@click.command(
    epilog="""\b
Exit status:
  0  stopped by Ctrl-C or TERM; shown, with --once or --count
  2  the command line is wrong
  3  no pool has its control socket there, or it has ended

\b
Examples:
  wirecore pool top --once
  wirecore pool top --json --count 2 --interval 0.5
"""
)
@control_option
@click.option(
    "--interval",
    type=Seconds(min=0.1, max=3600),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Show it as it is now, and end.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many looks.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="A JSON object a line for each look: time, and paths with calls and providers.",
)
def top(
    *, control: Path | None, interval: float, once: bool, count: int | None, as_json: bool
) -> None:
    """Show a pool's paths, calls and providers, again and again.

    It is that of the "wirecore pool serve" of this user, or that with the socket
    --control. On a terminal one table changes; through a pipe each look follows
    the one before.

    \b
    PROV     connections of providers     LOST     calls whose provider was lost
    QUEUE    calls that wait for one      LATE     without an answer in time
    RUN      calls that run               AGAIN    calls that were queued again
    OK, ERR  answered with a result, or   CALLS/S  that ended, since the last look
             with an error                P50 P99  ms to answer, the last minute
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from .watching import watch

    log_nothing()
    if once and count is not None:
        raise click.UsageError("--once is --count 1: give one of them")
    trio.run(watch, control, interval, 1 if once else count, as_json)
