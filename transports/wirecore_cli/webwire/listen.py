"""``wirecore webwire listen``: prints a server's signals as they come."""

from __future__ import annotations

from typing import Unpack

import click

from ..logs import log_nothing
from .options import ConnectingOptions, connecting_options


@click.command(
    epilog="""\b
Exit status:
  0  stopped by Ctrl-C or SIGTERM, or after --count signals
  1  the server refused the session
  2  the command line, or what it names, is wrong
  3  no connection at the beginning, or later a server of another set-up
  4  no answer in time about the session

\b
Examples:
  wirecore webwire listen ws://127.0.0.1:8080/
  wirecore webwire listen ws://127.0.0.1:8080/ --name chat --count 1
  wirecore webwire listen ws://127.0.0.1:8080/ --json
"""
)
@click.argument("url")
@click.option(
    "--name",
    "names",
    metavar="NAME",
    multiple=True,
    help="Print signals of this name, as many names as there are; without it, all.",
)
@click.option(
    "--count", type=click.IntRange(min=1), metavar="N", help="End after so many; else with Ctrl-C."
)
@click.option("--hex", "as_hex", is_flag=True, help="Show payloads in hex digits.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="A JSON object a line for each: name, encoding, and payload or payload_hex.",
)
@connecting_options
def listen(
    *,
    url: str,
    names: tuple[str, ...],
    count: int | None,
    as_hex: bool,
    as_json: bool,
    **options: Unpack[ConnectingOptions],
) -> None:
    """Print the signals of the server at URL as they come, each on a line.

    A line is name, tabulator, payload: what isn't printable in them is escaped,
    and a payload that isn't text is in hex. A lost connection is made again, and
    the session restored; standard error tells of it.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from .connecting import Server
    from .listening import print_signals
    from .payloads import Signals

    log_nothing()
    server = Server(url, options)
    trio.run(print_signals, server, names, Signals(as_hex, as_json).show, count)
