"""``wirecore pool provide``: a provider of what a module holds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Unpack

import click

from ..logs import log_serving
from ..options import (
    TrustOptions,
    app_dir_option,
    grace_option,
    log_level_option,
    trust_options,
)
from .options import codec_option


class ProvideOptions(TrustOptions):
    """What the command gets besides what is served."""

    urls: tuple[str, ...]
    connections: int
    name: str | None
    labels: tuple[str, ...]
    concurrency: int | None
    codec: str
    persist: bool
    grace: float
    app_dir: Path
    log_level: str


@click.command(
    epilog="""\b
Signals:
  TERM, Ctrl-C   take no new call, let running ones end, then stop; twice: stop at once

\b
Exit status:
  0    drained
  2    the command line, a certificate, the token's file or an object is wrong
  3    the pool refused it: its token, its certificate, or the path in its URL
  130  stopped at once by a second Ctrl-C; 143 by a second TERM

\b
Examples:
  wirecore pool provide wirecore_cli.example:Backend
  wirecore pool provide wirecore_cli.example:Backend --to ws://127.0.0.1:8080/pool --label gpu
"""
)
@click.argument("objects", nargs=-1, required=True, metavar="MODULE:OBJECT...")
@click.option(
    "--to",
    "urls",
    metavar="URL",
    multiple=True,
    default=("ws://127.0.0.1:8080/pool",),
    show_default=True,
    help="The pool, ws:// or wss://; as many as there are.",
)
@click.option(
    "--connections",
    type=click.IntRange(min=1, max=10_000),
    default=1,
    metavar="N",
    show_default=True,
    help="How many connections to hold to each pool.",
)
@click.option("--name", metavar="NAME", help="Who it is, for pools that ask for no proof.")
@click.option(
    "--label", "labels", metavar="LABEL", multiple=True, help="What it has; as many as there are."
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="Calls at once over each connection; without it, any number.",
)
@codec_option
@trust_options("pool")
@click.option("--persist", is_flag=True, help="Dial on where the pool refuses it, too.")
@grace_option("calls")
@app_dir_option
@log_level_option
def provide(*, objects: tuple[str, ...], **options: Unpack[ProvideOptions]) -> int:
    """Dial a pool, and serve each OBJECT of a MODULE to it.

    What is called are the methods that @pool.exported marks. An OBJECT may be
    such an object, its class if it takes no arguments, or a function that makes
    one; MODULE alone serves the functions in its __all__. A MODULE may be a
    file, as ./backend.py. A lost connection is dialled again.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from .providing import make_provider, provide_until_stopped
    from .reaching import Dialled

    log_serving(options["log_level"])
    dialled = Dialled(options["urls"], options)
    provider = make_provider(objects, options)
    return trio.run(partial(provide_until_stopped, provider, dialled, options))
