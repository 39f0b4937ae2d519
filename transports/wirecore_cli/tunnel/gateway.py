"""``wirecore tunnel gateway``: the public side of a tunnel."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Unpack

import click

from ..logs import log_serving
from ..options import (
    PlaceOptions,
    certificate_options,
    grace_option,
    health_option,
    in_order,
    listen_option,
    log_level_option,
)
from ..seconds import Seconds


class GatewayOptions(PlaceOptions):
    """The options below, as the command gets them."""

    publishers: str
    certificate: Path | None
    private: Path | None
    publisher_certificate: Path | None
    publisher_private: Path | None
    client_cas: tuple[Path, ...]
    tokens: Path | None
    open: bool
    routes: tuple[str, ...]
    stripped: tuple[str, ...]
    max_body_size: int | None
    response_timeout: float
    max_requests: int | None
    max_requests_per_publisher: int | None
    max_requests_per_caller: int | None
    trust_forwarded: bool
    http_server: str
    access_log: str | None
    live: str
    no_live: bool
    log_level: str


_publisher_options = in_order(
    click.option(
        "--publishers",
        metavar="HOST:PORT",
        default="127.0.0.1:8001",
        show_default=True,
        help="Where publishers dial in.",
    ),
    certificate_options(
        "Serve wss:// to publishers with these certificates, in PEM; without it, with those of "
        "--cert.",
        "publisher",
    ),
    click.option(
        "--client-ca",
        "client_cas",
        type=click.Path(path_type=Path),
        metavar="FILE",
        multiple=True,
        help="Publishers must show a certificate of one of the CAs in this file, in PEM.",
    ),
    click.option(
        "--tokens",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Who may publish what: a line NAME SECRET for each, * for any name; others can't read "
        "the file.",
    ),
    click.option(
        "--open",
        is_flag=True,
        help="Let everybody publish who reaches --publishers, even from other machines.",
    ),
)

_route_options = in_order(
    click.option(
        "--route",
        "routes",
        metavar="[HOST][/PREFIX]=NAME",
        multiple=True,
        help="Which requests go to the publishers of NAME; as many as there are. *.HOST stands for "
        "all below HOST, a NAME that begins with { for their metadata in JSON. Without routes the "
        "first part of a path is the name, and is taken off.",
    ),
    click.option(
        "--strip-route",
        "stripped",
        metavar="[HOST]/PREFIX=NAME",
        multiple=True,
        help="The same, and they get the path without the prefix.",
    ),
)


_limit_options = in_order(
    click.option(
        "--max-body-size",
        type=click.IntRange(min=0),
        metavar="BYTES",
        help="Of a request; 413 beyond. Without it, any.",
    ),
    click.option(
        "--response-timeout",
        type=Seconds(min=0, min_open=True, max=86_400),
        default=60.0,
        show_default=True,
        metavar="S",
        help="Seconds until a response begins; 504 beyond.",
    ),
    click.option(
        "--max-requests",
        type=click.IntRange(min=1),
        metavar="N",
        help="Under way at once, in all; 503 beyond. Without it, any number.",
    ),
    click.option(
        "--max-requests-per-publisher",
        type=click.IntRange(min=1),
        metavar="N",
        help="At one publisher; 503 where all of a name have as many.",
    ),
    click.option(
        "--max-requests-per-caller",
        type=click.IntRange(min=1),
        metavar="N",
        help="From one address; 429 beyond.",
    ),
    click.option(
        "--trust-forwarded",
        is_flag=True,
        help="Believe what requests say of where they come from: another gateway stands in front.",
    ),
)

_watching_options = in_order(
    click.option(
        "--access-log",
        metavar="FILE",
        help="A line for each request, without its query; - is standard output.",
    ),
    click.option(
        "--live",
        metavar="HOST:PORT",
        default="127.0.0.1:8002",
        show_default=True,
        help="A page that shows what goes on, for who can reach this address; /metrics, too.",
    ),
    click.option("--no-live", is_flag=True, help="No such page."),
)


@click.command(
    epilog="""\b
Signals:
  TERM, Ctrl-C   take no new request, let running ones end, then stop; twice: at once
  HUP            read --tokens again; who may not publish any more is disconnected

\b
Exit status:
  0    drained
  1    it can't listen
  2    the command line, a certificate or the file of tokens is wrong
  130  stopped at once by a second Ctrl-C; 143 by a second TERM

\b
Examples:
  wirecore tunnel gateway
  wirecore tunnel gateway --tokens tokens.txt --access-log - --max-body-size 1000000
  wirecore tunnel gateway --route hello.example.org=hello --strip-route /api=hello
"""
)
@listen_option(8000)
@certificate_options("Serve https:// with these certificates, in PEM; its key may be there too.")
@click.option(
    "--server",
    "http_server",
    type=click.Choice(["auto", "uvicorn", "hypercorn"]),
    default="auto",
    show_default=True,
    help="What serves HTTP: uvicorn is faster, hypercorn has HTTP/2 as well. auto is uvicorn where "
    "it is installed, and hypercorn with --cert.",
)
@_publisher_options
@_route_options
@_limit_options
@_watching_options
@grace_option("requests")
@health_option
@log_level_option
def gateway(**options: Unpack[GatewayOptions]) -> int:
    """Take HTTP from everybody, and pass it on to publishers that have dialled in.

    Those are 'wirecore tunnel publish', or programs with wirecore_trio.rest. Of
    several of one name each request goes to the one with the fewest under way.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from ..serving import serve_until_stopped
    from .process import GatewayProcess
    from .setting_up import SetUp

    log_serving(options["log_level"])
    set_up = SetUp(options)
    process = GatewayProcess(set_up)
    return trio.run(
        partial(serve_until_stopped, process, set_up.place, process.tell, reload=set_up.reload)
    )
