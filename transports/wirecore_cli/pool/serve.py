"""``wirecore pool serve``: a pool server, with a socket for who may make calls through it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

import click

from ..logs import log_serving
from ..options import (
    ServingOptions,
    certificate_options,
    in_order,
    listen_option,
    serving_options,
)
from .options import codec_option, control_option


class _PoolOptions(TypedDict):
    """The options below, as the command gets them."""

    paths: tuple[str, ...]
    callbacks: tuple[str, ...]
    codec: str
    balancing: str
    tokens: Path | None
    certificate: Path | None
    private: Path | None
    client_cas: tuple[Path, ...]
    control: Path | None
    metrics: str | None


class _Options(_PoolOptions, ServingOptions):
    """All options of the command."""


_pool_options = in_order(
    click.option(
        "--path",
        "paths",
        metavar="[CODEC:]PATH[=SERVICE,...]",
        multiple=True,
        default=("/pool",),
        show_default=True,
        help="Where providers connect, those of these services or, without any, of all others.",
    ),
    click.option(
        "--callbacks",
        metavar="[CODEC:]PATH=MODULE:OBJECT",
        multiple=True,
        help="Where providers call what the pool serves: the marked methods of this object.",
    ),
    codec_option,
    click.option(
        "--balancing",
        type=click.Choice(["longest-waiting", "least-outstanding"]),
        default="longest-waiting",
        show_default=True,
        help="Who gets a call: the provider that has waited longest, or that has the fewest.",
    ),
    click.option(
        "--tokens",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Who may connect: a line NAME SECRET for each provider; others can't read the file.",
    ),
    certificate_options(
        "Serve wss:// with the certificates in this file, in PEM; its key may be there too."
    ),
    click.option(
        "--client-ca",
        "client_cas",
        type=click.Path(path_type=Path),
        metavar="FILE",
        multiple=True,
        help="Providers must show a certificate of one of the CAs in this file, in PEM.",
    ),
    control_option,
    click.option(
        "--metrics",
        metavar="HOST:PORT",
        help="Answer plain HTTP there: /metrics, in the format of OpenMetrics.",
    ),
)


@click.command(
    epilog="""\b
Signals:
  TERM, Ctrl-C   take no new provider and no new call, let calls end, then stop; twice: at once
  HUP            read --tokens again; whose token is gone is disconnected

\b
Exit status:
  0    drained
  1    it can't listen
  2    the command line, a certificate, a file of tokens or an object is wrong
  130  stopped at once by a second Ctrl-C; 143 by a second TERM

\b
Examples:
  wirecore pool serve
  wirecore pool serve --path / --path json:/files=Filesystem,Backup --tokens tokens.txt
  wirecore pool serve --callbacks /cb=wirecore_cli.example:PoolSide
"""
)
@listen_option(8080)
@_pool_options
@serving_options("calls")
def serve(**options: Unpack[_Options]) -> int:
    """Let providers connect, and call them for who asks on the control socket.

    That is for "wirecore pool call" and "wirecore pool top": whoever can open it
    calls every method of every provider, and sees who is connected. It is a
    Unix socket that only this user (and root) can open; --control names another
    place for it, and --control none leaves it out. Without --tokens and
    --client-ca anybody who reaches --listen may be a provider.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from wirecore_trio import pool

    from ..serving import Place, address_of, serve_until_stopped
    from ..trust import server_context
    from .control import control_pool
    from .paths import bind, read_callbacks, read_path
    from .process import PoolProcess, Told
    from .reaching import control_socket
    from .secrets import TokenFile, read_tokens

    log_serving(options["log_level"])
    place = Place(options)
    metrics = options["metrics"]
    metrics_at = None if metrics is None else address_of(metrics, "--metrics")
    codec = options["codec"]
    paths = [read_path(each, codec) for each in options["paths"]]
    callbacks = [read_callbacks(each, codec) for each in options["callbacks"]]
    tokens = options["tokens"]
    known = None if tokens is None else pool.Tokens(read_tokens(tokens))
    context = server_context(options["certificate"], options["private"], options["client_cas"])
    balancing = options["balancing"].replace("-", "_")
    server = pool.PoolServer(
        pool.PoolOptions(balancing=balancing),  # type: ignore[arg-type]  # one of these words
        tokens=known,
    )
    bind(server, paths, callbacks, options["app_dir"])
    codecs = {name: each.codec for each in paths for name in each.names or ("",)}
    process = PoolProcess(
        server, control_pool(server, codecs), control_socket(options["control"]), metrics_at
    )
    told = Told(process, paths, callbacks, "ws" if context is None else "wss")
    reload = None
    if tokens is not None and known is not None:
        reload = partial(TokenFile(tokens, known).read_again, server)
    return trio.run(
        partial(
            serve_until_stopped,
            process,
            place,
            told.tell,
            reload=reload,
            keywords={"ssl_context": context},
        )
    )
