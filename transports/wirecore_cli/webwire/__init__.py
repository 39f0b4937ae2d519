"""``wirecore webwire``: both ends of webwire."""

from __future__ import annotations

import click

from .listen import listen
from .request import request
from .serve import serve
from .signal import signal


@click.group(
    epilog="""\b
Examples, all but the first in another terminal:
  wirecore webwire serve wirecore_cli.chat:server
  wirecore webwire request ws://127.0.0.1:8080/ echo hello
  wirecore webwire listen ws://127.0.0.1:8080/
  wirecore webwire signal ws://127.0.0.1:8080/ chat 'hello, all'
"""
)
def webwire() -> None:
    """Requests, signals and sessions of webwire, and servers of it.

    The server may as well be of webwire-go: the bytes are the same.
    """


for each in (request, signal, listen, serve):
    webwire.add_command(each)
