"""The command that starts a peer: a Python module of ``bench/peers``, or a Go program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[2]

#: Peers with this prefix are libraries that the program in bench/peers/go knows, but for those of
#: GO_PROGRAMS.
GO = "go/"

#: Peers that are Go programs of their own: the folder of each.
GO_PROGRAMS = {"go/pool": ROOT / "tests" / "interop" / "go" / "poolpeer"}

Verb = Literal["serve", "drive"]


class PeerMissing(Exception):
    """The peer can't run here since something it needs isn't installed."""


def command(peer: str, verb: Verb, options: Mapping[str, str], figures: Sequence[str]) -> list[str]:
    """The argument list that starts *peer* as *verb*; *figures* are arguments too.

    Raises PeerMissing where a Go program can't be built.
    """
    extra = [f"--option={key}={value}" for key, value in options.items()]
    if peer in GO_PROGRAMS:
        return [go_program(GO_PROGRAMS[peer]), verb, *figures, *extra]
    if peer.startswith(GO):
        return [
            go_program(ROOT / "bench" / "peers" / "go"),
            peer.removeprefix(GO),
            verb,
            *figures,
            *extra,
        ]
    return [sys.executable, "-m", "bench.peers", peer, verb, *figures, *extra]


@cache
def go_program(source: Path) -> str:
    """The Go program in *source*, built into a cache folder that git ignores, once a run.

    Raises PeerMissing without Go, or where its modules can't be had.
    """
    target = ROOT / ".cache" / "bench" / source.name
    go = shutil.which("go")
    if go is None:
        raise PeerMissing("Go isn't installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    built = subprocess.run(
        [go, "build", "-o", str(target), "."],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        raise PeerMissing(f"go build failed: {built.stderr.strip()[-500:]}")
    return str(target)
