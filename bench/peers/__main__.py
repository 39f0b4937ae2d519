"""The common command line of the Python peers.

A peer's module has ``serve(task)``, ``drive(task)`` or both, and ``PACKAGE``, the distribution
whose version is told (or ``VERSION``, that text itself; or neither); it imports its library at the
top. A server calls ``task.listening(port)`` and never returns; a driver returns its
:class:`bench.peers.load.Outcome`.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import threading
from importlib import import_module, metadata
from types import ModuleType

from bench.peers.load import CannotRun, Task, say


def parse() -> argparse.Namespace:
    """The arguments; README.md lists them."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("peer", help="a module of bench/peers")
    parser.add_argument("verb", choices=("serve", "drive"))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--warm-up", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--watch", type=int, default=0)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def version_of(peer: ModuleType) -> str:
    """What *peer* is measured with."""
    package = getattr(peer, "PACKAGE", "")
    if not package:
        return getattr(peer, "VERSION", "")
    return f"{package} {metadata.version(package)}"


def wait_for_end() -> None:
    """Returns when standard input is closed.

    Not through sys.stdin: a daemon thread that holds its lock makes the interpreter's exit fail.
    """
    while os.read(0, 4096):
        pass


def leave_with_parent() -> None:
    """Ends this process, whatever it does, once standard input is closed."""
    wait_for_end()
    os._exit(0)


def allow_many_files() -> None:
    """As many open files as the system lets this process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Runs the peer; exit status 3 where its library isn't installed, or limits are too low."""
    arguments = parse()
    allow_many_files()
    try:
        peer = import_module(f"bench.peers.{arguments.peer}")
    except ImportError as error:
        # A part of this project that doesn't import is broken, not missing.
        if (error.name or "").startswith(("bench", "wirecore")):
            raise
        say({"event": "missing", "needs": str(error)})
        return 3
    version = version_of(peer)
    task = Task(
        port=arguments.port,
        size=arguments.size,
        in_flight=arguments.in_flight,
        warm_up=arguments.warm_up,
        seconds=arguments.seconds,
        watch=arguments.watch,
        options=dict(option.split("=", 1) for option in arguments.option),
        version=version,
    )
    try:
        if arguments.verb == "serve":
            threading.Thread(target=leave_with_parent, daemon=True).start()
            peer.serve(task)
            return 0
        outcome = peer.drive(task)
    except CannotRun as error:
        say({"event": "missing", "needs": str(error)})
        return 3
    say({"event": "result", "version": version, **outcome.as_json()})
    wait_for_end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
