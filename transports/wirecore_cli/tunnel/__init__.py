"""``wirecore tunnel``: web applications behind NAT, and the gateway that leads to them."""

from __future__ import annotations

import click

from .gateway import gateway
from .publish import publish


@click.group(
    epilog="""\b
Examples, all but the first in another terminal:
  wirecore tunnel gateway
  wirecore tunnel publish wirecore_cli.example:app --name hello
  curl -s http://127.0.0.1:8000/hello/world
"""
)
def tunnel() -> None:
    """Web applications behind NAT dial out to a gateway, which passes requests on to them."""


for each in (publish, gateway):
    tunnel.add_command(each)
