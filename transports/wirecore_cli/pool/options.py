"""Options that several commands of pools have alike."""

from __future__ import annotations

from pathlib import Path

import click

codec_option = click.option(
    "--codec",
    type=click.Choice(["gob", "json"]),
    default="gob",
    show_default=True,
    help="What is spoken: net/rpc over gob, or JSON-RPC 1.0; both ends must agree.",
)

control_option = click.option(
    "--control",
    type=click.Path(path_type=Path),
    metavar="SOCKET",
    envvar="WIRECORE_POOL",
    show_envvar=True,
    help="The Unix socket of the 'wirecore pool serve'; without it, the one of this user.",
)
