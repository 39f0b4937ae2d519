"""``wirecore webwire signal``: sends a signal, to which nothing comes back."""

from __future__ import annotations

from typing import Unpack

import click

from ..logs import log_nothing
from .options import SendingOptions, check_input, connecting_options, payload_options


@click.command(
    epilog="""\b
Exit status:
  0  sent; whether anybody took it isn't known
  1  the server refused the session
  2  the command line, or what it names, is wrong
  3  no connection: nobody there, another protocol or set-up
  4  no answer in time about the session

\b
Examples:
  wirecore webwire signal ws://127.0.0.1:8080/ chat 'hello, all'
  echo '{"text": "hi"}' | wirecore webwire signal ws://127.0.0.1:8080/ chat -
  wirecore webwire signal ws://127.0.0.1:8080/ chat hi --utf16
"""
)
@click.argument("url")
@click.argument("name")
@payload_options
@click.option("--count", type=click.IntRange(min=1), default=1, metavar="N", help="Send so often.")
@connecting_options
def signal(*, url: str, name: str, count: int, **options: Unpack[SendingOptions]) -> None:
    """Send the signal NAME with PAYLOAD to the server at URL.

    URL begins with ws:// or wss://; NAME may be '' where there is a PAYLOAD. That
    is this text, which goes as UTF-8, a file's bytes for @FILE, standard input's
    for -.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from .asking import send_signals
    from .connecting import Server
    from .payloads import read_payload

    log_nothing()
    check_input(options)
    server = Server(url, options)
    trio.run(send_signals, server, name, read_payload(options), count)
