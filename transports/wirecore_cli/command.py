"""The root of the command line; every error below it is told in one line, with a status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from wirecore import __version__

from .demo import demo
from .failures import Status, describe
from .info import info
from .keygen import keygen
from .pool import pool
from .settings import Settings
from .tap import tap
from .terminal import tell_failure
from .tunnel import tunnel
from .webwire import webwire
from .wsrpc import wsrpc


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  wirecore info
  wirecore keygen --out server
  wirecore wsrpc call --help
  wirecore webwire request --help
  wirecore pool call --help
  wirecore tunnel publish --help

\b
Set NO_COLOR for a terminal without colours. Completion in bash; zsh and fish alike:
  eval "$(_WIRECORE_COMPLETE=bash_source wirecore)"
""",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and all logging.")
@click.pass_context
def wirecore(context: click.Context, *, debug: bool) -> None:
    """RPC and messaging over WebSocket: keys, servers and calls from the command line."""
    context.ensure_object(Settings).debug = debug


for each in (info, keygen, demo, wsrpc, webwire, pool, tunnel, tap):
    wirecore.add_command(each)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line *arguments* (None: the process's own); the exit status."""
    settings = Settings()
    # A shell can start it with any of these closed.
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  # for as long as it runs
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        tell_failure("standard output is closed, and nothing can be told")
        return Status.FAILED
    try:
        status: object = wirecore.main(
            args=arguments, prog_name="wirecore", standalone_mode=False, obj=settings
        )
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Status.USAGE
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:  # noqa: BLE001
        # Whatever it is, one line says it.
        if settings.debug:
            traceback.print_exception(error)
        text, failed = describe(error)
        tell_failure(text)
        return failed
    return status if isinstance(status, int) else 0
