"""``wirecore tunnel publish``: an application of ASGI, from behind NAT."""

from __future__ import annotations

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


class PublishOptions(TrustOptions):
    """What the command gets besides what is published."""

    url: str
    name: str | None
    metadata: str | None
    root_path: str
    loop: str
    persist: bool
    grace: float
    app_dir: Path
    log_level: str


@click.command(
    epilog="""\b
Signals:
  TERM, Ctrl-C   take no new request, let running ones end, then stop; twice: stop at once

\b
Exit status:
  0    drained
  2    the command line, a certificate, the token's file or the application is wrong
  3    the gateway refused it: its token, or its name, or its certificate
  130  stopped at once by a second Ctrl-C; 143 by a second TERM

\b
Examples:
  wirecore tunnel publish wirecore_cli.example:app --name hello
  wirecore tunnel publish wirecore_cli.example:app --name hello --connect ws://127.0.0.1:8001/
  wirecore tunnel publish ./shop.py:app --metadata '{"name": "shop", "site": "Oslo"}'
"""
)
@click.argument("reference", metavar="MODULE:APP")
@click.option(
    "--connect",
    "url",
    metavar="URL",
    default="ws://127.0.0.1:8001/",
    show_default=True,
    help="Where the gateway takes publishers, ws:// or wss://.",
)
@click.option("--name", metavar="NAME", help="What it is published as.")
@click.option(
    "--metadata",
    metavar="JSON",
    help="What else the gateway is told of it; with --name an object, whose name that is.",
)
@click.option(
    "--root-path",
    metavar="PATH",
    default="",
    help="What the application is told that its paths stand below (ASGI's root_path).",
)
@click.option(
    "--loop",
    type=click.Choice(["trio", "asyncio"]),
    default="trio",
    show_default=True,
    help="What the application runs on; asyncio is for those that need it, such as Quart's.",
)
@trust_options("gateway")
@click.option("--persist", is_flag=True, help="Dial on where the gateway refuses it, too.")
@grace_option("requests")
@app_dir_option
@log_level_option
def publish(*, reference: str, **options: Unpack[PublishOptions]) -> int:
    """Dial a gateway, and have the APP of a MODULE answer what it passes on.

    An APP is an application of ASGI, such as Starlette's and FastAPI's, or a
    function without arguments that makes one. A MODULE may be a file, as
    ./shop.py. A lost connection is dialled again, for as long as it takes;
    standard error tells of it.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from .applications import load_app
    from .publishing import Publisher

    log_serving(options["log_level"])
    publisher = Publisher(options)
    app = load_app(reference, options["app_dir"], options["loop"])
    return trio.run(publisher.publish_until_stopped, app)
