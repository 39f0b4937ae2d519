"""Options that several commands of pools have alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import click

from ..options import C, in_order


class TrustOptions(TypedDict):
    """What :data:`trust_options` gives to a command."""

    cafiles: tuple[Path, ...]
    certificate: Path | None
    private: Path | None
    token_file: Path | None


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


def certificate_options(told: str) -> Callable[[C], C]:
    """``--cert``, which does what *told* says, and ``--key``."""
    return in_order(
        click.option(
            "--cert", "certificate", type=click.Path(path_type=Path), metavar="FILE", help=told
        ),
        click.option(
            "--key",
            "private",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The key of --cert, in PEM.",
        ),
    )


#: What a provider shows to a pool, and whom it trusts.
trust_options = in_order(
    click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A file that holds the secret that the pool asks for, and that others can't read.",
    ),
    click.option(
        "--cafile",
        "cafiles",
        type=click.Path(path_type=Path),
        metavar="FILE",
        multiple=True,
        help="wss: trust the certificates in this file, in PEM, and no others; as many as needed.",
    ),
    certificate_options("wss: the client certificate to show, in PEM; its key may be there too."),
)
