"""``wirecore wsrpc``: both ends of wsrpc."""

from __future__ import annotations

import click

from .call import call
from .serve import serve


@click.group(
    epilog="""\b
Examples, the last one in another terminal:
  wirecore keygen
  wirecore wsrpc serve wirecore_cli.example:Ping
  wirecore wsrpc call 127.0.0.1:1337 Ping --hex
"""
)
def wsrpc() -> None:
    """Call wsrpc services, and serve them.

    Both ends have a private key and list the other's public key. For a try,
    both take the one that "wirecore keygen" makes, and accept it.
    """


wsrpc.add_command(call)
wsrpc.add_command(serve)
