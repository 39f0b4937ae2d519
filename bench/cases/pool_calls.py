"""Calls of a pool to its providers: two integers to a quotient and its remainder.

The original's wire at both ends, in gob and in JSON. Go's is net/rpc over gorilla, its dispatch as
the original's (``tests/interop/go/poolpeer``); a Go program goes to all the cores it gets, so every
contender runs unpinned. A connection takes any number of calls at once, as the original's do, and
each call that is under way is made by a task of its own (in Go: by a goroutine); with "submit" one
task makes all of them, and takes them from a ``Done`` as they end.

"inline" handlers run in the provider's reader, "async" ones each in a task, as Go's in goroutines.
"direct" is the same call over one connection without a pool, its handler inline: what dispatch
costs is the difference. "bare calls" have no protocol at all: what a task for each caller costs on
trio, where each waits in its loop.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import COMPILED, pair
from bench.harness.model import Contender, Goal, Load, Row

CODECS = ("gob", "json")


def _ours(name: str, peer: str, mode: str) -> Contender:
    return replace(Contender(name, peer, peer, serve={"mode": mode}), environment=COMPILED)


INLINE = _ours("wirecore inline", "wirecore_pool", "inline")
SUBMIT = replace(INLINE, name="wirecore submit", drive={"calling": "submit"})
ASYNC = _ours("wirecore async", "wirecore_pool", "async")
DIRECT = _ours("wirecore direct", "wirecore_callbacks", "inline")
GO = pair("Go net/rpc", "go/pool")
BARE = pair("bare calls on trio", "raw_calls")


def rows() -> list[Row]:
    """One call under way over one connection, 64 over three; 64 to 1, 10 and 100 providers."""
    return [
        *(_calls(codec, *load) for load in ((1, 1, 0.8), (64, 3, 1.5)) for codec in CODECS),
        *(_providers(codec, number) for number in (1, 10, 100) for codec in CODECS),
    ]


def _calls(codec: str, in_flight: int, connections: int, floor: float) -> Row:
    plural = "s" if connections > 1 else ""
    return Row(
        name=f"pool_call/{in_flight}-{codec}",
        title=f"a pool's calls in {codec}, {in_flight} in flight over {connections} "
        f"connection{plural}",
        unit="calls/s",
        load=_load(codec, in_flight, connections),
        contenders=(INLINE, SUBMIT, ASYNC, DIRECT, GO, BARE),
        goals=(
            Goal(INLINE.name, GO.name, floor, None),
            Goal(SUBMIT.name, GO.name, floor, None),
            Goal(INLINE.name, DIRECT.name, 0.5, None),
            Goal(BARE.name, GO.name, None, None),
            Goal(INLINE.name, BARE.name, None, None),
        ),
        placement="free",
    )


def _providers(codec: str, number: int) -> Row:
    """Each provider is a connection; all are in one process."""
    return Row(
        name=f"pool_providers/{number}-{codec}",
        title=f"a pool's calls in {codec} to {number} provider{'s' if number > 1 else ''}, "
        "64 in flight",
        unit="calls/s",
        load=_load(codec, 64, number),
        contenders=(INLINE, ASYNC, GO),
        placement="free",
    )


def _load(codec: str, in_flight: int, connections: int) -> Load:
    options = {"codec": codec, "connections": str(connections)}
    return Load(in_flight=in_flight, options=options)
