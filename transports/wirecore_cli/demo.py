"""``wirecore demo``: the story of examples/ping, wherever wirecore is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .failures import Failure
from .seconds import Seconds


@click.command(
    epilog="""\b
Examples:
  wirecore demo --seconds 1
"""
)
@click.option(
    "--seconds",
    type=Seconds(0, 3600),
    default=3.0,
    show_default=True,
    help="How long there are calls, before the crash and after it.",
)
def demo(*, seconds: float) -> int:
    """Show a server, three clients, a crash and a comeback.

    Alice and Bob may come in, and Charlie may not. Calls go both ways, the
    server is killed and starts again, and the clients come back. All of it is
    real: a process each, sockets, TLS. The exit status is 0 only if everything
    went as it should.
    """
    import subprocess  # late, as all that only one command needs

    # The programs import each other by bare names, from their own folder.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    command = [sys.executable, str(programs() / "demo.py"), "--seconds", str(seconds)]
    with subprocess.Popen(command, env=environment) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Ctrl-C went to the whole story, which ends by itself, and says so.
            return process.wait()


def programs() -> Path:
    """The folder of the demo's programs. They stand once, in examples/ping; a build adds them."""
    here = Path(__file__).parent
    for folder in (here / "ping", here.parents[1] / "examples" / "ping"):
        if (folder / "demo.py").is_file():
            return folder
    raise Failure("the demo's programs are missing from this installation: install wirecore anew")
