"""Options that several commands take, whatever the protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click

from .logs import LEVELS
from .seconds import Seconds

C = TypeVar("C", bound=Callable[..., Any])


class PlaceOptions(TypedDict):
    """Where a server listens, and how it ends."""

    listen: str
    grace: float
    health: str | None


class ServingOptions(PlaceOptions):
    """What :func:`serving_options` gives to a command."""

    app_dir: Path
    log_level: str


class TrustOptions(TypedDict):
    """What :func:`trust_options` gives to a command."""

    cafiles: tuple[Path, ...]
    certificate: Path | None
    private: Path | None
    token_file: Path | None


def in_order(*options: Callable[[C], C]) -> Callable[[C], C]:
    """All of *options* as one decorator: the help shows them in this order."""

    def decorate(command: C) -> C:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def listen_option(port: int) -> Callable[[C], C]:
    """Where a server listens; *port* is the default one."""
    return click.option(
        "--listen",
        default=f"127.0.0.1:{port}",
        show_default=True,
        metavar="HOST:PORT",
        help="Where; port 0 is a free one.",
    )


def grace_option(what_runs: str) -> Callable[[C], C]:
    """How long it may take to stop; *what_runs* are calls, handlers or requests."""
    return click.option(
        "--grace",
        type=Seconds(min=0, max=86_400),
        default=30.0,
        show_default=True,
        metavar="S",
        help=f"Seconds that running {what_runs} get to end.",
    )


health_option = click.option(
    "--health",
    metavar="HOST:PORT",
    help="Answer plain HTTP there: /healthz, /livez, and /readyz, which fails while it drains.",
)

app_dir_option = click.option(
    "--app-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=".",
    show_default=True,
    metavar="DIR",
    help="Where modules are looked for first.",
)

log_level_option = click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="info",
    show_default=True,
    help="What is logged, on standard error.",
)


def serving_options(what_runs: str) -> Callable[[C], C]:
    """The options of every server of what a module holds; *what_runs* are its calls or handlers."""
    return in_order(grace_option(what_runs), health_option, app_dir_option, log_level_option)


def certificate_options(told: str, prefix: str = "") -> Callable[[C], C]:
    """``--cert``, which does what *told* says, and ``--key``; with *prefix*, ``--PREFIX-cert``."""
    names = (prefix + "-", prefix + "_") if prefix else ("", "")
    return in_order(
        click.option(
            f"--{names[0]}cert",
            f"{names[1]}certificate",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help=told,
        ),
        click.option(
            f"--{names[0]}key",
            f"{names[1]}private",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help=f"The key of --{names[0]}cert, in PEM.",
        ),
    )


def trust_options(whom: str) -> Callable[[C], C]:
    """What a client that dials *whom* shows to it, and whom it trusts."""
    return in_order(
        click.option(
            "--token-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help=f"A file that holds the secret that the {whom} asks for, and that others can't "
            "read.",
        ),
        click.option(
            "--cafile",
            "cafiles",
            type=click.Path(path_type=Path),
            metavar="FILE",
            multiple=True,
            help="wss: trust the certificates in this file, in PEM, and no others; as many as "
            "needed.",
        ),
        certificate_options(
            "wss: the client certificate to show, in PEM; its key may be there too."
        ),
    )
