"""Options that several commands take: for servers of any protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click

from .logs import LEVELS
from .seconds import Seconds

C = TypeVar("C", bound=Callable[..., Any])


class ServingOptions(TypedDict):
    """What :func:`serving_options` gives to a command."""

    listen: str
    grace: float
    health: str | None
    app_dir: Path
    log_level: str


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


def serving_options(what_runs: str) -> Callable[[C], C]:
    """The options of every server; *what_runs* are its calls or handlers."""
    return in_order(
        click.option(
            "--grace",
            type=Seconds(min=0, max=86_400),
            default=30.0,
            show_default=True,
            metavar="S",
            help=f"Seconds that running {what_runs} get to end.",
        ),
        click.option(
            "--health",
            metavar="HOST:PORT",
            help="Answer plain HTTP there: /healthz, /livez, and /readyz, which fails while it "
            "drains.",
        ),
        click.option(
            "--app-dir",
            type=click.Path(path_type=Path, exists=True, file_okay=False),
            default=".",
            show_default=True,
            metavar="DIR",
            help="Where modules are looked for first.",
        ),
        click.option(
            "--log-level",
            type=click.Choice(LEVELS, case_sensitive=False),
            default="info",
            show_default=True,
            help="What is logged, on standard error.",
        ),
    )
