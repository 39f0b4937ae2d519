"""Options that the commands of webwire's clients have alike."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import click

from ..options import in_order
from ..seconds import Seconds


class ConnectingOptions(TypedDict):
    """What :data:`connecting_options` gives to a command."""

    session: str | None
    timeout: float
    buffer_size: int
    subprotocol: str
    origin: str | None
    headers: tuple[str, ...]
    cafile: Path | None
    insecure: bool


class PayloadOptions(TypedDict):
    """What :data:`payload_options` gives to a command."""

    payload: str | None
    utf16: bool
    binary: bool
    data_hex: str | None


class SendingOptions(ConnectingOptions, PayloadOptions):
    """Both, of a command that sends a payload."""


def check_input(options: SendingOptions) -> None:
    """Raise UsageError where two things are to come from standard input."""
    if options["session"] == options["payload"] == "-":
        raise click.UsageError("standard input holds the session's key or the payload, not both")


#: Which server to connect to, and how.
connecting_options = in_order(
    click.option(
        "--session",
        metavar="KEY|@FILE|-",
        envvar="WIRECORE_SESSION",
        show_envvar=True,
        help="Restore this session first. Its key is a secret, which others see on a command "
        "line: better name a file.",
    ),
    click.option(
        "--timeout",
        type=Seconds(min=0, min_open=True, max=86_400),
        default=10.0,
        show_default=True,
        metavar="S",
        help="Seconds for the connection, and for each reply.",
    ),
    click.option(
        "--buffer-size",
        type=click.IntRange(min=32, max=2**32 - 1),
        default=8192,
        show_default=True,
        metavar="BYTES",
        help="The message buffer; the server must have the same.",
    ),
    click.option(
        "--subprotocol",
        default="",
        metavar="NAME",
        help="What is spoken inside of webwire; the server must say the same.",
    ),
    click.option("--origin", metavar="URL", help="The Origin to send; without it, none."),
    click.option(
        "-H",
        "--header",
        "headers",
        metavar="'NAME: VALUE'",
        multiple=True,
        help="A header field to send with the upgrade; as many as there are.",
    ),
    click.option(
        "--cafile",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="wss: trust the certificates in this file, in PEM, and no others.",
    ),
    click.option("--insecure", is_flag=True, help="wss: take any certificate, which is for tests."),
)

#: What to send.
payload_options = in_order(
    click.argument("payload", required=False),
    click.option("--utf16", is_flag=True, help="Send the text as UTF-16, and not as UTF-8."),
    click.option("--binary", is_flag=True, help="Send PAYLOAD's bytes as binary, and not as text."),
    click.option("--data-hex", metavar="HEX", help="A binary payload in hex digits."),
)
