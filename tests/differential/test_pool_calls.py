"""Calls of net/rpc by both backends: the same bytes out, and the same of any bytes that come in.

What is compiled has a faster way for what is usual, which must give what the long way gives.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import InvalidStream, InvalidValue, LocalError
from wirecore.protocols.pool import (
    NEED_DATA,
    GobCalling,
    GobServing,
    Incoming,
    JsonCalling,
    JsonServing,
    PoolCall,
    Request,
)

LIMITS = gob.Limits(max_message_size=300, max_depth=5, max_elements=24)
METHODS = ["A.Get", "A.Put", "A.Del", "", "Ä.Get", 'A."<&', "B.None"]


@dataclass
class Pair:
    """Usual."""

    number: int
    text: str = "none"


@dataclass
class Mixed:
    """Of everything."""

    small: Annotated[int, gob.INT8] = 0
    big: Annotated[int, gob.UINT64] = 0
    real: float = 0.0
    sure: bool = False
    texts: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    pair: Pair | None = None
    odd: bytes = b""


class Refusing(Pair):
    """Doesn't take everything."""

    def __init__(self, number: int, text: str = "") -> None:
        if number < 0:
            raise ValueError("below 0")
        super().__init__(number, text)


Refusing = dataclass(init=False)(Refusing)  # type: ignore[misc]

texts = st.text(max_size=6) | st.sampled_from(["a<b", 'say "x"', "\\", "\u2028", "ä", "\udc80"])
numbers = st.integers(-(2**63), 2**64) | st.integers(-3, 300)
reals = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 1e21, 1e-7, 0.1])
pairs = st.builds(Pair, numbers, texts)
mixed = st.builds(
    Mixed,
    st.integers(-130, 130),
    numbers,
    reals,
    st.booleans(),
    st.lists(texts, max_size=3),
    st.dictionaries(texts, numbers, max_size=2),
    st.none() | pairs,
    st.binary(max_size=3),
)
values = st.one_of(
    st.tuples(pairs, st.sampled_from([Any, Pair])),
    st.tuples(mixed, st.sampled_from([Any, Mixed])),
    st.tuples(numbers, st.sampled_from([Any, int, float, Pair])),
    st.tuples(texts, st.sampled_from([Any, str, Annotated[str, gob.Name("x.Y")]])),
    st.tuples(st.lists(pairs, max_size=3), st.just(list[Pair])),
    st.tuples(st.none(), st.sampled_from([Any, list[int], Pair | None, str])),
)
read_as = st.sampled_from([Any, Pair, Mixed, Refusing, int, str, list[Pair], dict[str, Any], set])

Call = namedtuple("Call", "method value annotation")
calls = st.lists(st.builds(lambda m, v: Call(m, *v), st.sampled_from(METHODS), values), max_size=6)


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """What changes, takes out or puts in a few bytes of a stream; mostly none."""
    changes = draw(
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2), st.binary(max_size=2)))
        if draw(st.integers(0, 2)) == 0
        else st.just([])
    )

    def apply(stream: bytes) -> bytes:
        made = bytearray(stream)
        for at, size, put in changes[:3]:
            place = at % (len(made) + 1)
            made[place : place + size] = put
        return bytes(made)

    return apply


def outcome(work: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except (InvalidStream, InvalidValue, LocalError) as error:
        return type(error), str(error)


@dataclass
class Found:
    """What serves a method."""

    argument: Any


def served(codec: Any, pieces: list[bytes], kinds: list[Any]) -> list[Any]:
    """All that comes of the requests in *pieces*, as a session takes them."""

    def find(method: str) -> Any:
        return method if method == "B.None" else Found(kinds[sum(map(ord, method)) % len(kinds)])

    seen: list[Any] = []
    arrived = left = 0
    for piece in pieces:
        codec.feed(piece)
        arrived += len(piece)
        left += len(piece)
        while True:
            incoming: list[Incoming] = []
            left, target = codec.take_requests(find, incoming, 3, left)
            seen += [tuple(each) for each in incoming]
            if len(incoming) == 3:
                continue
            request = outcome(codec.next_request)
            if request is NEED_DATA:
                break
            if type(request) is not Request:
                return [*seen, request]
            target = find(request.method) if target is None else target
            kind = target if isinstance(target, str) else target.argument
            while (
                argument := outcome(codec.skip_argument)
                if isinstance(target, str)
                else outcome(codec.argument, kind)
            ) is NEED_DATA:
                return [*seen, request, "more is to come"]
            if isinstance(argument, tuple) and argument[:1] != () and argument[0] in BROKEN:
                return [*seen, argument]
            size, left = left - codec.buffered, codec.buffered
            seen.append((request, target, argument, size))
    return [*seen, codec.buffered]


BROKEN = (gob.GobStreamError, gob.GobStreamLimitExceeded)
CODECS = {"gob": (GobCalling, GobServing), "json": (JsonCalling, JsonServing)}


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=150)
@given(calls, st.lists(read_as, min_size=1, max_size=4), damage(), st.integers(1, 400))
def test_requests(
    backends: tuple[Backend, Backend],
    name: str,
    made: list[Call],
    kinds: list[Any],
    damaged: Callable[[bytes], bytes],
    cut: int,
) -> None:
    senders = [CODECS[name][0](limits=LIMITS, backend=backend) for backend in backends]
    stream = b""
    for seq, call in enumerate(made * 2):
        one, other = [outcome(each.encode_request, seq, *call) for each in senders]
        assert one == other
        stream += b"".join(one) if type(one) is list else b""
    stream = damaged(stream)
    pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    one, other = [
        served(CODECS[name][1](limits=LIMITS, backend=backend), pieces, kinds)
        for backend in backends
    ]
    assert repr(one) == repr(other)  # as a nan isn't equal to itself


def answered(codec: Any, table: Any, pieces: list[bytes]) -> list[Any]:
    """All that comes of the answers in *pieces*, as a session takes them."""
    seen: list[Any] = []
    for piece in pieces:
        codec.feed(piece)
        while True:
            answers: list[Any] = []
            codec.take_answers(table, answers, 3)
            seen += [(each.call.call_id, each.value, each.error) for each in answers]
            if len(answers) == 3:
                continue
            response = outcome(codec.next_response)
            if response is NEED_DATA:
                break
            if not hasattr(response, "seq"):
                return [*seen, response]
            call = table.get(response.seq)
            if call is None or response.error is not None:
                value = outcome(codec.skip_result)
            else:
                value = outcome(codec.result, call.annotation)
                if isinstance(value, tuple) and value[:1] and value[0] in UNREAD:
                    value = outcome(codec.skip_result)
            if value is NEED_DATA or (
                isinstance(value, tuple) and value[:1] and value[0] in BROKEN
            ):
                return [*seen, response, value]
            table.answer(response.seq)
            seen.append((response.seq, value, response.error))
    return [*seen, len(table), table.late, table.unknown, table.duplicate]


UNREAD = (gob.InvalidGobType,)


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=150)
@given(calls, st.lists(read_as, min_size=1, max_size=4), damage(), st.integers(1, 400))
def test_answers(
    backends: tuple[Backend, Backend],
    name: str,
    made: list[Call],
    kinds: list[Any],
    damaged: Callable[[bytes], bytes],
    cut: int,
) -> None:
    senders = [CODECS[name][1](limits=LIMITS, backend=backend) for backend in backends]
    stream = b""
    for seq, (method, value, annotation) in enumerate(made * 2):
        request = Request(b"%d" % seq if name == "json" else seq, method)
        one, other = [outcome(each.encode_response, request, value, annotation) for each in senders]
        assert one == other
        if type(one) is not list:
            one, other = [outcome(each.encode_error, request, "it failed") for each in senders]
            assert one == other
        stream += b"".join(one)
    stream = damaged(stream)
    pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    outcomes = []
    for backend in backends:
        seqs = iter(range(100))
        table: Any = backend.calls.CallTable(seqs.__next__, max_pending=100)
        for at in range(2 * len(made)):
            call = PoolCall(kinds[at % len(kinds)])
            call.call_id = table.open(call)
        codec = CODECS[name][0](limits=LIMITS, backend=backend)
        outcomes.append(repr(answered(codec, table, pieces)))
    assert outcomes[0] == outcomes[1]
