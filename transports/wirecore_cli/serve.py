"""``wirecore wsrpc serve``: serves what a module holds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Unpack

import click

from .logs import log_serving
from .options import ServingOptions, listen_option, serving_options


@click.command(
    epilog="""\b
Signals:
  TERM, Ctrl-C   take no new call, let running ones end, then stop; twice: stop at once
  HUP            read --clients again; who isn't listed any more is disconnected

\b
Exit status:
  0    drained
  1    it can't listen
  2    the command line, a key or a service is wrong
  130  stopped at once by a second Ctrl-C; 143 by a second TERM

\b
Examples:
  wirecore wsrpc serve wirecore_cli.example:Ping
  wirecore wsrpc serve wirecore_cli.example:Ping wirecore_cli.example:handlers
  wirecore wsrpc serve shop:Shop --listen 127.0.0.1:1337 --key server --clients clients.txt
  wirecore wsrpc serve wirecore_cli.example:Ping --health 127.0.0.1:1338
"""
)
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@listen_option(1337)
@click.option(
    "--key",
    "private",
    type=click.Path(path_type=Path),
    metavar="FILE",
    envvar="WIRECORE_KEY",
    show_envvar=True,
    help="The server's private key; without it, the one of 'wirecore keygen'.",
)
@click.option(
    "--client",
    "named",
    metavar="HEX|FILE",
    multiple=True,
    help="The public key of a client that is let in; as many as there are.",
)
@click.option(
    "--clients",
    "listed",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file of clients: a public key in hex on each line, comments behind a #.",
)
@click.option("--inline", is_flag=True, help="Run plain functions in the reader: never block.")
@serving_options("calls")
def serve(
    *,
    services: tuple[str, ...],
    private: Path | None,
    named: tuple[str, ...],
    listed: Path | None,
    inline: bool,
    **options: Unpack[ServingOptions],
) -> int:
    """Serve each SERVICE of a MODULE to the clients that are let in.

    A SERVICE is a service object, its class if it takes no arguments, a function
    that makes one, or a dict of functions on bytes by their methods' names.
    A MODULE may be a file, as ./shop.py. Without --client and --clients, who has
    the server's own key is let in: for a try of both ends with one key.
    """
    # Late: trio and cryptography take longer to load than the help takes to be read.
    import trio

    from wirecore_trio.tls import public_key_of
    from wirecore_trio.wsrpc import Server, ServerCredentials

    from .key_files import ClientList, read_private_key, read_public_key
    from .letting_in import read_again, tell_clients
    from .services import load_services, register
    from .serving import Place, serve_until_stopped

    log_serving(options["log_level"])
    place = Place(options)
    key = read_private_key(private)
    if not named and listed is None:
        clients = ClientList([public_key_of(key)], None)
    else:
        clients = ClientList([read_public_key(each, option="--client") for each in named], listed)
    credentials = ServerCredentials(key, [])
    server = Server(credentials)
    methods = [
        name
        for reference, service in load_services(services, options["app_dir"])
        for name in register(server, reference, service, inline=inline)
    ]
    # After all that may be wrong: it warns of our own key among the clients'.
    credentials.replace(clients.read())
    return trio.run(
        partial(
            serve_until_stopped,
            server,
            place,
            partial(tell_clients, credentials=credentials, methods=methods),
            reload=None if clients.file is None else partial(read_again, credentials, clients),
        )
    )
