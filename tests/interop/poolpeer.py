"""The pool's Go peers: a pool, providers and callers, and what they are asked to do.

See ``go/poolpeer/main.go`` for their flags, commands and events, ``services.go`` there for Arith
and Echo, which every serving end has.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.interop.conftest import Event, PeerProcess, StartPeer

#: A method of Go's, an argument and its answer, for every kind of value that both codecs know.
#: Where an answer is left out it is the argument. 64-bit integers are exact, bytes are base64.
ECHOES: dict[str, list[Any]] = {
    "Bool": [True, False],
    "Int": [0, -1, 2**63 - 1, -(2**63)],
    "Int8": [-128, 127],
    "Int16": [-(2**15), 2**15 - 1],
    "Int32": [-(2**31), 2**31 - 1],
    "Int64": [-(2**63), 2**63 - 1],
    "Uint": [0, 2**64 - 1],
    "Uint8": [255],
    "Uint16": [2**16 - 1],
    "Uint32": [2**32 - 1],
    "Uint64": [2**64 - 1],
    "Float": [0, 0.1, -2.5, 1e300, 5e-324],
    "Float32": [1.5, -0.25],
    "Say": ["", "plain", "é, ✓, 🎈 <&> \u2028", "long " * 3000],
    "Bytes": ["AAEC/w=="],
    "Blob": [{"Data": "AAEC/w=="}],
    "Ints": [[1, -2, 3]],
    "Strings": [["a", "", "c"]],
    "Array": [[1, 0, -3]],
    "Map": [{"one": 1, "two": 2}],
    "Time": ["2024-02-29T12:34:56.789+05:30"],
    "Point": [{"X": 1, "Y": -2}, {"X": 0, "Y": 0}],
    "Tree": [
        {
            "Value": "root",
            "Left": {"Value": "leaf", "Left": None, "Right": None},
            "Right": {
                "Value": "",
                "Left": {"Value": "deep", "Left": None, "Right": None},
                "Right": None,
            },
        }
    ],
    "Rich": [
        {
            "B": True,
            "I": -5,
            "I8": -8,
            "I64": -(2**63),
            "U": 5,
            "U8": 8,
            "U64": 2**64 - 1,
            "F": 0.5,
            "F32": 0.25,
            "S": "text",
            "Bytes": "AAE=",
            "Ints": [1, 2],
            "Arr": [7, 8, 9],
            "M": {"a": 1},
            "Deep": {"b": [{"X": 1, "Y": 2}]},
            "In": {"X": 3, "Y": 4},
            "P": {"X": 5, "Y": 6},
            "Subs": [{"Value": "sub", "Left": None, "Right": None}],
            "T": "2024-02-29T12:34:56Z",
            "Any": "held",
            "a_tag": "tagged",
        }
    ],
}

#: What only gob knows, with the registered names of ``values.go``.
GOB_ECHOES: dict[str, list[Any]] = {
    "Float": ["NaN", "+Inf", "-Inf"],
    "Complex": [[1.5, -2]],
    "Complex64": [[0.5, 3]],
    "Box": [
        {"V": {"name": "peer.Point", "value": {"X": 1, "Y": 2}}},
        {"V": {"name": "peer.Celsius", "value": 36.5}},
        {"V": "text"},
        {"V": None},
    ],
    "Any": [
        {"name": "peer.Tree", "value": {"Value": "root", "Left": None, "Right": None}},
        {"name": "peer.Time", "value": "2024-02-29T12:34:56Z"},
        {"name": "peer.Points", "value": [{"X": 1, "Y": 2}]},
        {"name": "peer.AnyMap", "value": {"a": 1.5, "b": "text", "c": True}},
    ],
}


class GoError(Exception):
    """A call of the Go peer's that failed; *told*: the other end answered so."""

    def __init__(self, text: str, told: bool) -> None:
        super().__init__(text)
        self.told = told


class GoEnd:
    """A Go peer that runs, in any role."""

    def __init__(self, peer: PeerProcess) -> None:
        self.peer = peer
        self._numbers = itertools.count(1)

    async def command(self, do: str, **members: object) -> None:
        """Tell it to *do* that."""
        await self.peer.command(json.dumps({"do": do, **members}))

    async def begin(self, method: str, argument: object = None, **members: object) -> int:
        """Have it call *method*; the number that :meth:`answer` wants.

        *members*: ``kind`` and ``result``, the types' names, where the method isn't one of ours.
        """
        number = next(self._numbers)
        await self.command("call", id=number, method=method, argument=argument, **members)
        return number

    async def answer(self, number: int) -> Any:
        """How that call ended. Raises GoError where it failed."""
        event = await self.peer.wait_for("answer", id=number)
        if "error" in event:
            raise GoError(event["error"], event["told"])
        return event["value"]

    async def call(self, method: str, argument: object = None, **members: object) -> Any:
        """Have it call *method*; the answer. Raises GoError where the call failed."""
        return await self.answer(await self.begin(method, argument, **members))

    async def call_many(self, times: int, in_flight: int = 1) -> Event:
        """Have it multiply so often: "ok", "failed", "wrong", and "last_error" where one failed."""
        number = next(self._numbers)
        await self.command("call", id=number, times=times, in_flight=in_flight)
        return await self.peer.wait_for("answers", id=number)

    async def connected(self, count: int = 1) -> list[Event]:
        """Its next *count* connections."""
        return [await self.peer.wait_for("connected") for _ in range(count)]


class GoPool(GoEnd):
    """A pool that listens at *port*."""

    port: int
    scheme = "ws"

    def url(self, path: str = "/") -> str:
        """Where to dial."""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def go_pool(start: StartPeer, *flags: object) -> AsyncIterator[GoPool]:
    """A pool of Go's; *start* is the fixture ``pool_peer``. Leaving the block ends it."""
    async with start("pool", *flags) as peer:
        pool = GoPool(peer)
        _, pool.port = await peer.address()
        pool.scheme = "wss" if "--cert" in flags else "ws"
        yield pool


@asynccontextmanager
async def go_provider(start: StartPeer, url: str, *flags: object) -> AsyncIterator[GoEnd]:
    """A provider of Go's that dials *url*."""
    async with start("provider", "--url", url, *flags) as peer:
        yield GoEnd(peer)


@asynccontextmanager
async def go_caller(start: StartPeer, url: str, *flags: object) -> AsyncIterator[GoEnd]:
    """One that dials *url* to call the pool there."""
    async with start("caller", "--url", url, *flags) as peer:
        yield GoEnd(peer)


async def echo_everything(end: GoEnd, codec: str, only: Collection[str] = ()) -> None:
    """Have *end* send every kind of value, and see it come back as it was.

    *only*: those of these methods.
    """
    told = [ECHOES, GOB_ECHOES] if codec == "gob" else [ECHOES]
    for method, values in [pair for echoes in told for pair in echoes.items()]:
        for value in values if not only or method in only else ():
            assert await end.call(f"Echo.{method}", value) == value, method


async def check_errors(end: GoEnd, codec: str) -> None:
    """Have *end* make calls that fail, and see it live on."""
    misfit = "gob: type mismatch" if codec == "gob" else "json: cannot unmarshal"
    for method, argument, kind, text in [
        ("Arith.Divide", {"A": 1, "B": 0}, "", "divide by zero"),
        ("Echo.Fail", "no such thing", "", "no such thing"),
        ("Arith.NoSuch", "x", "say", "rpc: can't find method Arith.NoSuch"),
        ("NoService.Method", "x", "say", "rpc: can't find service NoService.Method"),
        ("Arith.Multiply", "no struct", "say", misfit),
    ]:
        with pytest.raises(GoError, match=text) as caught:
            await end.call(method, argument, kind=kind)
        assert caught.value.told
    assert await end.call("Echo.Fail", "") == ""  # an error without a text is none
    assert await end.call("Arith.Divide", {"A": 17, "B": 5}) == {"Quo": 3, "Rem": 2}


async def check_order(end: GoEnd) -> None:
    """Have *end* make two calls that are answered in the other order."""
    slow, quick = [await end.begin("Echo.Sleep", wait) for wait in (150, 0)]
    late = await end.peer.wait_for("answer", id=slow, value=150)
    early = await end.peer.wait_for("answer", id=quick, value=0)
    assert early["t_ms"] < late["t_ms"]


async def check_nothing(end: GoEnd, codec: str) -> None:
    """Have *end* call a method that returns None: any struct will do, and its client lives on."""
    zeros = {"point": {"X": 0, "Y": 0}, "quotient": {"Quo": 0, "Rem": 0}, "blob": {"Data": None}}
    if codec == "json":
        zeros |= {"map": {}, "any": {"name": "peer.AnyMap", "value": {}}}
    for result, zero in zeros.items():
        assert await end.call("Echo.Nothing", "", kind="say", result=result) == zero
    assert await end.call("Echo.Nothing", "", kind="say") is None  # a nil reply passes it over
    assert await end.call("Echo.Int", 5) == 5
