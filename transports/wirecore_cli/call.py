"""``wirecore wsrpc call``: one call, or several, of one method."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from .failures import Failure
from .given import read_given, read_hex
from .logs import log_nothing
from .seconds import Seconds


@click.command(
    epilog="""\b
Exit status:
  0  answered
  1  the other end answered with an error
  2  the command line, a key, the data or the .proto file is wrong
  3  no connection: nobody there, a key refused, lost before the answer
  4  no answer in time

\b
Examples:
  wirecore wsrpc call 127.0.0.1:1337 Reverse --data hello
  echo hello | wirecore wsrpc call 127.0.0.1:1337 Reverse --data -
  wirecore wsrpc call 127.0.0.1:1337 Ping --data-hex 0a026869 --hex
  wirecore wsrpc call 127.0.0.1:1337 Ping --proto ping.proto -d '{"body": "hi"}'
  wirecore wsrpc call 127.0.0.1:1337 ping.Ping/Ping --proto ping.proto --json
"""
)
@click.argument("address")
@click.argument("method")
@click.option(
    "--key",
    "private",
    type=click.Path(path_type=Path),
    metavar="FILE",
    envvar="WIRECORE_KEY",
    show_envvar=True,
    help="Our private key; without it, the one of 'wirecore keygen'.",
)
@click.option(
    "--server-key",
    "server",
    metavar="HEX|FILE",
    envvar="WIRECORE_SERVER_KEY",
    show_envvar=True,
    help="The server's public key; without it, that of our own key.",
)
@click.option(
    "-d",
    "--data",
    metavar="TEXT|@FILE|-",
    help="The request: this text, a file's bytes, or standard input's. None: empty, or {}.",
)
@click.option("--data-hex", metavar="HEX", help="The request in hex digits.")
@click.option("--hex", "as_hex", is_flag=True, help="Show the answer's bytes in hex digits.")
@click.option(
    "--proto",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A .proto file that says what METHOD takes and gives: both are JSON then.",
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
    "--timeout",
    type=Seconds(min=0, min_open=True, max=86_400),
    default=10.0,
    show_default=True,
    metavar="S",
    help="Seconds for the connection, and for each answer.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Call so often, one call after the other.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="A JSON object a line for each call: method, milliseconds, and reply or reply_hex.",
)
def call(
    *,
    address: str,
    method: str,
    private: Path | None,
    server: str | None,
    data: str | None,
    data_hex: str | None,
    as_hex: bool,
    proto: Path | None,
    includes: tuple[Path, ...],
    timeout: float,
    count: int,
    as_json: bool,
) -> None:
    """Call METHOD at the server at ADDRESS, which is HOST:PORT.

    Bytes go in and come out, unless --proto names the messages. METHOD is a bare
    name; one that several services of the .proto file have is told apart as
    pkg.Service/Method or Service.Method.
    """
    if data is not None and data_hex is not None:
        raise click.UsageError("the request is given by --data or --data-hex, not by both")
    if includes and proto is None:
        raise click.UsageError("--proto-path is for what --proto names")
    if proto is not None and (as_hex or data_hex is not None):
        raise click.UsageError("with --proto the data are JSON: leave out --hex and --data-hex")

    # Late: trio and cryptography take longer to load than the help takes to be read.
    import trio

    from wirecore_trio.tls import public_key_of
    from wirecore_trio.wsrpc import ClientCredentials

    from .calling import make_calls
    from .key_files import read_private_key, read_public_key
    from .messages import Answers, message_codec, raw_codec

    log_nothing()
    key = read_private_key(private)
    public = (
        public_key_of(key) if server is None else read_public_key(server, option="--server-key")
    )
    if data_hex is not None:
        request: bytes | None = read_hex(data_hex, what="--data-hex")
    else:
        request = read_given(data, what="--data")
    codec = raw_codec(method) if proto is None else message_codec(method, proto, includes)
    answers = Answers(codec, as_hex=as_hex, as_json=as_json)
    calls = partial(
        make_calls,
        address,
        ClientCredentials(key, public),
        codec.method,
        codec.encode(request),
        count=count,
        patience=timeout,
        answered=answers.show,
    )
    try:
        trio.run(calls)
    except Failure as failure:
        if server is None and "list of allowed server keys" in str(failure):
            hint = "no --server-key was given, so that only the key of this client was expected"
            raise Failure(f"{failure}; {hint}", failure.status) from failure
        raise
