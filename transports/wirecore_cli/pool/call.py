"""``wirecore pool call``: a call through a pool, or of what a pool serves to providers."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click

from ..logs import log_nothing
from ..options import TrustOptions, trust_options
from ..seconds import Seconds
from .options import codec_option, control_option


class CallOptions(TrustOptions):
    """What the command gets besides what is called."""

    text: bool
    maps: bool
    timeout: float
    control: Path | None
    provider: str | None
    labels: tuple[str, ...]
    route: str | None
    idempotent: bool
    callback: str | None
    codec: str


@click.command(
    epilog="""\b
Exit status:
  0  answered
  1  the provider, or the pool, answered with an error
  2  the command line, or the argument, is wrong: nothing was sent
  3  no connection: no pool there, refused, or the provider was lost before it answered
  4  no provider took the call, or none answered, in time

\b
Examples:
  wirecore pool call Backend.Get '"object_id-1"'
  wirecore pool call Backend.Get object_id-1 --text
  wirecore pool call Backend.Add '{"a": 1, "b": 2}' --timeout 5
  echo '{"a": 1}' | wirecore pool call Backend.Add -
  wirecore pool call PoolSide.Notify '"event_id-1"' --callback ws://127.0.0.1:8080/cb
"""
)
@click.argument("method", metavar="SERVICE.METHOD")
@click.argument("argument", required=False)
@control_option
@click.option("--text", is_flag=True, help="ARGUMENT is this text, and no JSON.")
@click.option("--maps", is_flag=True, help="gob: send objects as maps, and not as structs.")
@click.option("--provider", metavar="NAME", help="Only the provider of this name gets the call.")
@click.option(
    "--label",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="Only a provider that has this label; all of them, where there are several.",
)
@click.option(
    "--route", metavar="KEY", help="Calls of one key go to one provider, while that is there."
)
@click.option("--idempotent", is_flag=True, help="If its provider is lost, call another one.")
@click.option(
    "--timeout",
    type=Seconds(min=0, min_open=True, max=86_400),
    default=10.0,
    show_default=True,
    metavar="S",
    help="Seconds for all of it, the wait for a provider too.",
)
@click.option(
    "--callback",
    metavar="URL",
    help="Call what a pool serves to providers at this ws:// or wss:// URL.",
)
@codec_option
@trust_options("pool")
def call(*, method: str, argument: str | None, **options: Unpack[CallOptions]) -> None:
    """Call SERVICE.METHOD of a provider with ARGUMENT, and print its result as JSON.

    ARGUMENT is JSON: as it stands, a file's for @FILE, standard input's for -; a
    negative number stands behind --.
    Over gob an object is a struct, whose fields are written as in Go (FirstName)
    or in Python (first_name); whole numbers are int, others float64.

    The call goes through the "wirecore pool serve" of this user, or that with
    the socket --control. With --callback it goes to a pool as that of a provider
    does; --codec, --token-file, --cafile, --cert and --key are for that.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from .calling import call_back, call_through, check_direction, read_argument

    log_nothing()
    check_direction(options)
    given = read_argument(argument, as_text=options["text"])
    url = options["callback"]
    if url is None:
        trio.run(call_through, method, given, options)
    else:
        trio.run(call_back, url, method, given, options)
