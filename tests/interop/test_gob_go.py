"""Go's encoding/gob reads what we write and writes what we read, value for value, byte for byte."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests import gob_cases
from tests.gob_cases import KINDS, Holder, Older, Point, Tree, bare
from wirecore import gob
from wirecore._backend import Backend

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer

Pairs = list[tuple[str, Any]]
Run = Callable[..., bytes]

SETTINGS = settings(
    max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.fixture(scope="session")
def through_go(gob_peer_program: Path) -> Run:
    """``through_go(stream, *flags)``: what the peer makes of it."""

    def run(stream: bytes, *flags: str) -> bytes:
        done = subprocess.run(
            [str(gob_peer_program), *flags],
            input=stream,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


def write(backend: Backend, pairs: Pairs) -> bytes:
    """A stream of names and values, with the ids that a new process of Go gives."""
    encoder = gob.Encoder(gob_cases.registry(), type_ids=gob.TypeIds(64), backend=backend)
    return b"".join(
        encoder.encode(name) + encoder.encode(value, KINDS[name]) for name, value in pairs
    )


def read(backend: Backend, stream: bytes) -> Pairs:
    decoder = gob.Decoder(gob_cases.registry(), backend=backend)
    decoder.feed(stream)
    pairs: Pairs = []
    while (name := decoder.decode(str)) is not gob.NEED_DATA:
        pairs.append((name, decoder.decode(KINDS[name])))
    decoder.finish()
    return pairs


@SETTINGS
@given(pairs=gob_cases.named_values())
def test_values_go_through_go_and_come_back(
    backend: Backend, through_go: Run, pairs: Pairs
) -> None:
    found = read(backend, through_go(write(backend, pairs)))
    assert found == [(name, bare(value)) for name, value in pairs]


@settings(SETTINGS, max_examples=20)
@given(pairs=gob_cases.named_values())
def test_go_reads_what_was_put_into_the_stream_as_it_is(
    backend: Backend, through_go: Run, pairs: Pairs
) -> None:
    encoder = gob.Encoder(backend=backend)
    names = gob_cases.registry()
    stream = b"".join(
        encoder.encode(name)
        + encoder.encode(gob.Raw(gob.dumps(value, KINDS[name], registry=names)))
        for name, value in pairs
    )
    assert read(backend, through_go(stream)) == [(name, bare(value)) for name, value in pairs]


@SETTINGS
@given(pairs=gob_cases.named_values(1))
def test_go_writes_the_same_bytes(backend: Backend, through_go: Run, pairs: Pairs) -> None:
    """Where no map has two pairs, of which Go takes any first."""
    stream = write(backend, pairs)
    assert through_go(stream) == stream


def test_go_saw_what_we_meant(backend: Backend, through_go: Run) -> None:
    pairs: Pairs = [
        ("int", -(2**63)),
        ("float64", 0.1),
        ("Point", Point(1, -2)),
        ("Tree", Tree("root", Tree("leaf"))),
        ("counts", {"one": 1, "two": 2}),
        ("texts", ["a", "", "c"]),
        ("any", gob.Named("peer.Celsius", 36.6)),
    ]
    decoder = gob.Decoder(backend=backend)
    decoder.feed(through_go(write(backend, pairs), "-show"))
    shown = []
    while (name := decoder.decode(str)) is not gob.NEED_DATA:
        shown.append((name, decoder.decode(str)))
    assert shown[:3] == [
        ("int", "-9223372036854775808"),
        ("float64", "0.1"),
        ("Point", "{X:1 Y:-2}"),
    ]
    assert str(shown[3][1]).startswith("{Value:root Left:0x")
    assert str(shown[3][1]).endswith("Right:<nil>}")
    assert shown[4:6] == [("counts", "map[one:1 two:2]"), ("texts", "[a  c]")]


def test_types_that_share_a_field(backend: Backend, through_go: Run) -> None:
    """What Go reads into a type that has other fields, and what we read of what it wrote."""
    encoder = gob.Encoder(backend=backend)
    stream = encoder.encode("Older") + encoder.encode(Point(1, 2))
    decoder = gob.Decoder(backend=backend)
    decoder.feed(through_go(stream))
    assert decoder.decode(str) == "Older"
    # Go's has all three fields, so what it leaves out is zero, and no default.
    assert decoder.decode(Older) == Older(2, 0, "")


# --- net/rpc ----------------------------------------------------------------------------------


@dataclass
class Request:
    service_method: str
    seq: Annotated[int, gob.UINT64]


@dataclass
class Response:
    service_method: str
    seq: Annotated[int, gob.UINT64]
    error: str


@dataclass
class Args:
    a: int
    b: int


@dataclass
class Quotient:
    quo: int
    rem: int


#: Method, argument and its type, and the reply and its type, or the error.
CALLS: list[tuple[str, Any, Any, Any, Any]] = [
    ("Arith.Multiply", Args(-7, 6), Args, -42, int),
    ("Arith.Divide", Args(17, 5), Args, Quotient(3, 2), Quotient),
    ("Arith.Divide", Args(17, 0), Args, "divide by zero", None),
    ("Arith.Multiply", "two numbers", str, "non-struct", None),
    ("Arith.Multiply", Point(1, 2), Point, "no fields matched compiling decoder for Args", None),
    ("Arith.Nothing", 1, int, "rpc: can't find method Arith.Nothing", None),
    ("Echo.Any", [Point(1, 2)], Any | None, [Point(1, 2)], Any | None),
    ("Echo.Any", gob.Named("peer.Celsius", 36.6), Any | None, 36.6, Any | None),
    ("Echo.Holder", Holder(1, Point(3, 4)), Holder, Holder(1, Point(3, 4)), Holder),
    ("Arith.Multiply", Args(0, 0), Args, 0, int),
]


def test_gos_rpc_answers_our_calls(backend: Backend, through_go: Run) -> None:
    """Headers and arguments on one stream; what Go can't read is an error, and it reads on."""
    names = gob_cases.registry()
    names.register("peer.Points", list[Point])
    encoder = gob.Encoder(names, backend=backend)
    stream = b""
    for number, (method, argument, annotation, _, _) in enumerate(CALLS):
        stream += encoder.encode(Request(method, number))
        stream += encoder.encode(argument, annotation)
    decoder = gob.Decoder(names, backend=backend)
    decoder.feed(through_go(stream, "-rpc"))
    answered = set()
    for _ in CALLS:
        header = decoder.decode(Response)
        assert isinstance(header, Response)
        method, _, _, expected, annotation = CALLS[header.seq]
        assert header.service_method == method
        answered.add(header.seq)
        if annotation is None:
            assert expected in header.error
            assert decoder.skip() is True
        else:
            assert header.error == ""
            assert decoder.decode(annotation) == expected
    assert answered == set(range(len(CALLS)))
    assert decoder.decode() is gob.NEED_DATA
    decoder.finish()


@pytest.mark.parametrize("operation", ["encode", "decode"])
def test_the_benchmarks_peer_counts_whole_passes(
    echo_peer: StartPeer, run: Callable[..., None], operation: str
) -> None:
    async def story() -> None:
        timing = ("--warm-up", 0.01, "--seconds", 0.05)
        async with echo_peer("gob", "drive", "--option", f"op={operation}", *timing) as go:
            for event in ("begin", "end"):
                await go.wait_for(event)
            result = await go.wait_for("result", checked=64)
            assert result["count"] > 0
            assert result["count"] % 64 == 0
            assert result["version"].startswith("encoding/gob, go")

    run(story)
