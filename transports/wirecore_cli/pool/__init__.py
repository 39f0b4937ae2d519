"""``wirecore pool``: pool servers, providers, and calls through a pool."""

from __future__ import annotations

import click

from .call import call
from .provide import provide
from .serve import serve
from .top import top


@click.group(
    epilog="""\b
Examples, all but the first in another terminal:
  wirecore pool serve
  wirecore pool provide wirecore_cli.example:Backend
  wirecore pool call Backend.Get '"object_id-1"'
  wirecore pool top --once
"""
)
def pool() -> None:
    """Providers behind NAT dial in to a pool, which calls them.

    Either end may as well be of wsrpcpool for Go: the bytes are the same.
    """


for each in (serve, provide, call, top):
    pool.add_command(each)
