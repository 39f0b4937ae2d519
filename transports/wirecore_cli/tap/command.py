"""``wirecore tap``: a proxy that shows what goes through it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import click

from ..failures import Failure, Status
from ..logs import log_warnings
from .options import TapOptions, tls_options

if TYPE_CHECKING:
    from .sinks import Sink

#: What the decoders are called; ``guessing`` has the same.
_PROTOCOLS = ("auto", "wsrpc", "webwire", "pool-gob", "pool-json", "rest", "raw")


@click.command(
    epilog="""\b
Exit status:
  0  stopped by Ctrl-C or SIGTERM, or after --count connections
  1  it can't listen, or what it shows can't be written
  2  the command line, a key, a certificate or the .proto file is wrong

\b
Examples, the clients being told to dial port 8000:
  wirecore tap 8000 ws://127.0.0.1:8080
  wirecore tap 8000 wss://example.com --rewrite-host --json traffic.jsonl
  wirecore tap 8000 ws://127.0.0.1:8080 --protocol webwire --verbose
  wirecore tap 8000 wsrpc://127.0.0.1:1337 --proto ping.proto
"""
)
@click.argument("listen", metavar="LISTEN")
@click.argument("target", metavar="TARGET")
@click.option(
    "--protocol",
    type=click.Choice(_PROTOCOLS),
    default="auto",
    show_default=True,
    help="What the messages are of; auto sees it in the first of them.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show all that was decoded, below each line.")
@click.option(
    "--json",
    "json_file",
    metavar="FILE|-",
    help="Write a JSON object a line to this file, too; -: to standard output, and nothing else.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=0, max=64 << 20),
    default=1024,
    show_default=True,
    metavar="N",
    help="Bytes of each payload that are shown.",
)
@click.option(
    "--binary",
    type=click.Choice(("hex", "base64")),
    default="hex",
    show_default=True,
    help="How bytes are shown that aren't text.",
)
@click.option("--show-secrets", is_flag=True, help="Show tokens, passwords, keys and cookies.")
@click.option(
    "--proto",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="wsrpc: a .proto file that says what methods take and give.",
)
@click.option(
    "-I",
    "--proto-path",
    "includes",
    type=click.Path(path_type=Path),
    metavar="DIR",
    multiple=True,
    help="Where --proto and what it imports are looked for; without it, in FILE's folder.",
)
@click.option(
    "--max-message",
    type=click.IntRange(min=1, max=1 << 31),
    default=16 << 20,
    show_default=True,
    metavar="N",
    help="Bytes of a message that is decoded; longer ones go on unseen.",
)
@click.option(
    "--rewrite-host",
    is_flag=True,
    help="Have upgrade requests name the target in Host, and in Origin where they have one.",
)
@click.option(
    "--count", type=click.IntRange(min=1), metavar="N", help="End after so many connections."
)
@tls_options
def tap(
    *,
    listen: str,
    target: str,
    protocol: str,
    verbose: bool,
    json_file: str | None,
    max_bytes: int,
    binary: Literal["hex", "base64"],
    show_secrets: bool,
    proto: Path | None,
    includes: tuple[Path, ...],
    max_message: int,
    rewrite_host: bool,
    count: int | None,
    **options: Unpack[TapOptions],
) -> None:
    """Listen at LISTEN, pass each connection on to TARGET, and show what goes over it.

    LISTEN is a port of this machine, or HOST:PORT; TARGET is ws://HOST:PORT,
    wss://HOST:PORT or wsrpc://HOST:PORT. Bytes go through unchanged, in both
    directions; each frame is shown on a line, decoded by its protocol: wsrpc,
    webwire, a pool's calls in gob or JSON, HTTP in WebSocket. Secrets are masked
    unless asked for. wsrpc's ends trust keys: the clients must list the tap's as
    the server's, and the target as a client's.
    """
    if includes and proto is None:
        raise click.UsageError("--proto-path is for what --proto names")
    if proto is not None and protocol not in ("auto", "wsrpc"):
        raise click.UsageError("--proto says what messages of wsrpc are")

    # Late: trio and cryptography take longer to load than the help takes to be read.
    import trio

    from .masking import Masker
    from .places import read_places
    from .protos import ProtoValues
    from .running import How, Tap
    from .showing import Showing

    log_warnings()
    listening, dialling = read_places(listen, target, options)
    if listening.place.credentials is not None and protocol == "auto":
        protocol = "wsrpc"
    values = None
    if proto is not None:
        from ..proto import load_schema

        values = ProtoValues(load_schema(proto, includes))
    showing = Showing(Masker(show_secrets=show_secrets), max_bytes=max_bytes, binary=binary)
    how = How(showing, protocol, values, max_message, rewrite_host, count)
    descriptor = None if json_file in (None, "-") else _open(str(json_file))
    try:
        sinks = _sinks(descriptor, to_stdout=json_file == "-", verbose=verbose)
        trio.run(Tap(listening, dialling, how, sinks).run)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _sinks(descriptor: int | None, *, to_stdout: bool, verbose: bool) -> list[Sink]:
    from ..terminal import console
    from .sinks import Sink
    from .writers import Lines, json_lines

    stdout = sys.stdout.fileno()
    if to_stdout:
        return [Sink(stdout, json_lines, "standard output")]
    lines = Lines(verbose=verbose, console=console(), encoding=sys.stdout.encoding or "utf-8")
    sinks = [Sink(stdout, lines, "standard output")]
    if descriptor is not None:
        sinks.append(Sink(descriptor, json_lines, "the file of --json"))
    return sinks


def _open(file: str) -> int:
    """*file* to write to, which nobody else can read: what goes over connections is private."""
    from ..files import SECRET

    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, SECRET)
    except OSError as error:
        text = f"--json: {file} can't be written: {error.strerror}"
        raise Failure(text, Status.USAGE) from None
