"""``wirecore webwire serve``: serves the server that a module makes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Unpack

import click

from ..logs import log_serving
from ..options import ServingOptions, listen_option, serving_options


@click.command(
    epilog="""\b
Signals:
  TERM, Ctrl-C   take no new request, let running handlers end, then stop; twice: stop at once

\b
Exit status:
  0    drained
  1    it can't listen
  2    the command line, a certificate or the server is wrong
  130  stopped at once by a second Ctrl-C; 143 by a second TERM

\b
Examples:
  wirecore webwire serve wirecore_cli.chat:server
  wirecore webwire serve ./shop.py:server --listen 127.0.0.1:8080
  wirecore webwire serve wirecore_cli.chat:server --health 127.0.0.1:8081
"""
)
@click.argument("reference", metavar="MODULE:SERVER")
@listen_option(8080)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Serve wss:// with the certificates in this file, in PEM; its key may be there too.",
)
@click.option(
    "--certificate-key",
    "private",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The key of --certificate, in PEM.",
)
@click.option(
    "--origin",
    "origins",
    metavar="URL",
    multiple=True,
    help="The Origin of web pages that may connect; without it, those of the server's own host.",
)
@serving_options("handlers")
def serve(
    *,
    reference: str,
    certificate: Path | None,
    private: Path | None,
    origins: tuple[str, ...],
    **options: Unpack[ServingOptions],
) -> int:
    """Serve the SERVER of a MODULE.

    A SERVER is a wirecore_trio.webwire.Server, or a function without arguments
    that makes one. A MODULE may be a file, as ./chat.py. Requests and signals
    that have handlers are named when it listens.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from ..serving import Place, serve_until_stopped
    from .servers import load_certificate, load_server, tell_routes

    log_serving(options["log_level"])
    place = Place(options)
    context = load_certificate(certificate, private)
    server = load_server(reference, options["app_dir"])
    scheme = "ws" if context is None else "wss"
    return trio.run(
        partial(
            serve_until_stopped,
            server,
            place,
            partial(tell_routes, server, scheme),
            keywords={"ssl_context": context, "origins": origins or None},
        )
    )
