"""``wirecore webwire request``: one request, or several, also at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Unpack

import click

from ..logs import log_nothing
from .options import SendingOptions, check_input, connecting_options, payload_options

_EPILOG = """\b
Exit status:
  0  answered
  1  the server answered with an error
  2  the command line, or what it names, is wrong
  3  no connection: nobody there, another protocol or set-up, lost before the reply
  4  no reply in time

\b
Examples:
  wirecore webwire request ws://127.0.0.1:8080/ echo hello
  echo hello | wirecore webwire request ws://127.0.0.1:8080/ echo -
  wirecore webwire request ws://127.0.0.1:8080/ echo --data-hex 00ff --hex
  wirecore webwire request ws://127.0.0.1:8080/ echo hello --count 1000 --concurrency 10 --json
  wirecore webwire request ws://127.0.0.1:8080/ login alice --save-session key
  wirecore webwire request ws://127.0.0.1:8080/ whoami --session @key
"""


@click.command(epilog=_EPILOG)
@click.argument("url")
@click.argument("name", default="", metavar="[NAME]")
@payload_options
@click.option("--hex", "as_hex", is_flag=True, help="Show the reply's bytes in hex digits.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="A JSON object a line for each: name, milliseconds, encoding, and reply or reply_hex.",
)
@click.option("--count", type=click.IntRange(min=1), default=1, metavar="N", help="Ask so often.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1, max=10_000),
    default=1,
    metavar="N",
    help="Requests that are under way at once; replies are shown as they come.",
)
@click.option(
    "--save-session",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the key of the session that we have then there, for --session @FILE.",
)
@connecting_options
def request(
    *,
    url: str,
    name: str,
    as_hex: bool,
    as_json: bool,
    count: int,
    concurrency: int,
    save_session: Path | None,
    **options: Unpack[SendingOptions],
) -> None:
    """Send the request NAME with PAYLOAD to the server at URL, and print the reply.

    URL begins with ws:// or wss://. PAYLOAD is this text, which goes as UTF-8, a
    file's bytes for @FILE, standard input's for -. Text replies are printed in
    UTF-8, whatever their encoding, and binary ones as they are.
    """
    # Late: trio takes longer to load than the help takes to be read.
    import trio

    from .asking import Requests, make_requests
    from .connecting import Server
    from .payloads import Replies, read_payload

    log_nothing()
    check_input(options)
    server = Server(url, options)
    payload = read_payload(options)
    requests = Requests(name, payload, count, concurrency)
    replies = Replies(name, as_hex, as_json)
    trio.run(partial(make_requests, server, requests, replies.show, save_session=save_session))
