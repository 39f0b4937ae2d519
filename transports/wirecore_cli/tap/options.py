"""The options of the tap."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import click

from ..options import in_order
from ..seconds import Seconds


class TapOptions(TypedDict):
    """How either side is secured, and how long dialling may take."""

    certificate: Path | None
    private: Path | None
    cafiles: tuple[Path, ...]
    target_certificate: Path | None
    target_private: Path | None
    server_key: str | None
    named: tuple[str, ...]
    listed: Path | None
    timeout: float


_FILE = click.Path(path_type=Path)

tls_options = in_order(
    click.option(
        "--cert",
        "certificate",
        type=_FILE,
        metavar="FILE",
        help="Speak wss to the clients, with this certificate chain in PEM.",
    ),
    click.option(
        "--key",
        "private",
        type=_FILE,
        metavar="FILE",
        help="The key of --cert, in PEM; with wsrpc:// the private key that clients see, "
        "by default the one of 'wirecore keygen'.",
    ),
    click.option(
        "--cafile",
        "cafiles",
        type=_FILE,
        metavar="FILE",
        multiple=True,
        help="wss: trust the certificates in this file, and no others, to be the target's.",
    ),
    click.option(
        "--target-cert",
        "target_certificate",
        type=_FILE,
        metavar="FILE",
        help="wss: the client certificate to show to the target, in PEM.",
    ),
    click.option(
        "--target-key",
        "target_private",
        type=_FILE,
        metavar="FILE",
        help="The key of --target-cert; with wsrpc:// the private key that the target sees, "
        "by default that of --key.",
    ),
    click.option(
        "--server-key",
        metavar="HEX|FILE",
        help="wsrpc: the target's public key; by default that of --target-key.",
    ),
    click.option(
        "--client",
        "named",
        metavar="HEX|FILE",
        multiple=True,
        help="wsrpc: the public key of a client that is let in; by default that of --key.",
    ),
    click.option(
        "--clients",
        "listed",
        type=_FILE,
        metavar="FILE",
        help="wsrpc: a file of clients, as 'wirecore wsrpc serve' takes it.",
    ),
    click.option(
        "--timeout",
        type=Seconds(min=0, min_open=True, max=86_400),
        default=10.0,
        show_default=True,
        metavar="S",
        help="Seconds for the connection to the target.",
    ),
)
