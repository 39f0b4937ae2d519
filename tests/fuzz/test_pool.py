"""The pool's codecs on calls in any cut, and on damaged streams of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import InvalidStream, InvalidValue
from wirecore.protocols.pool import (
    NEED_DATA,
    GobCalling,
    GobServing,
    JsonCalling,
    JsonServing,
    ServingCodec,
)

if TYPE_CHECKING:
    from tests.fuzz.conftest import Mutated

FUZZ = settings.get_profile("wirecore-fuzz")
LIMITS = gob.Limits(max_message_size=2048, max_depth=6, max_elements=60)

VALUES = st.one_of(
    st.tuples(st.text(max_size=12), st.just(str)),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.just(int)),
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.just(float)),
    st.tuples(st.lists(st.binary(max_size=5), max_size=4), st.just(list[bytes])),
    st.tuples(st.dictionaries(st.text(max_size=4), st.booleans(), max_size=3), st.just(Any)).map(
        lambda pair: (pair[0], dict[str, bool])
    ),
)
CALLS = st.lists(st.tuples(st.text(max_size=8), VALUES), max_size=6)
ANNOTATIONS: list[Any] = [Any, str, int, float, list[bytes], dict[str, bool]]


def encoded(calling: GobCalling | JsonCalling, calls: list[tuple[str, tuple[Any, Any]]]) -> bytes:
    return b"".join(
        piece
        for number, (method, (value, annotation)) in enumerate(calls)
        for piece in calling.encode_request(number, method, value, annotation)
    )


def pieces_of(data: st.DataObject, stream: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8), "cuts"))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@FUZZ
@given(calls=CALLS, data=st.data())
def test_calls_come_in_any_cut(
    backends: tuple[Backend, Backend], calls: list[tuple[str, tuple[Any, Any]]], data: st.DataObject
) -> None:
    ends: list[tuple[GobCalling | JsonCalling, ServingCodec]] = [
        (GobCalling(backend=each), GobServing(backend=each)) for each in backends
    ]
    for calling, serving in [*ends, (JsonCalling(), JsonServing())]:
        waiting = pieces_of(data, encoded(calling, calls))
        for method, (value, annotation) in calls:
            while (request := serving.next_request()) is NEED_DATA:
                serving.feed(waiting.pop(0))
            assert request.method == method
            while (found := serving.argument(annotation)) is NEED_DATA:
                serving.feed(waiting.pop(0))
            assert found == value
        for piece in waiting:
            serving.feed(piece)
        assert serving.next_request() is NEED_DATA
        serving.finish()


def outcome(serving: ServingCodec, pieces: list[bytes], asked: list[int]) -> list[Any]:
    """All that came of a stream, up to what has ended it."""
    found: list[Any] = []
    turn = 0
    try:
        for piece in pieces:
            serving.feed(piece)
            while True:
                if turn % 2 == 0:
                    request = serving.next_request()
                    if request is NEED_DATA:
                        break
                    found.append(request)
                else:
                    try:
                        value = serving.argument(ANNOTATIONS[asked[turn // 2 % len(asked)]])
                    except InvalidValue as error:
                        value = (type(error), str(error))
                    if value is NEED_DATA:
                        break
                    found.append(value)
                turn += 1
    except InvalidStream:
        found.append("broken")
    return found


@FUZZ
@given(calls=CALLS, data=st.data())
def test_damaged_streams(
    backends: tuple[Backend, Backend],
    mutated: Mutated,
    calls: list[tuple[str, tuple[Any, Any]]],
    data: st.DataObject,
) -> None:
    """No exception but those of streams and values, and the same in one piece as in many."""
    asked = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=6), "asked")
    stream = data.draw(mutated(st.just(encoded(JsonCalling(), calls))), "JSON")
    whole = outcome(JsonServing(LIMITS), [stream], asked)
    cut = outcome(JsonServing(LIMITS), pieces_of(data, stream), asked)
    # What can't become JSON may be seen at once, or only where its brackets match.
    assert repr(cut) == repr(whole) or "broken" in whole or repr(cut) == repr([*whole, "broken"])
    stream = data.draw(mutated(st.just(encoded(GobCalling(), calls))), "gob")
    seen = [
        repr(outcome(GobServing(limits=LIMITS, backend=each), [stream], asked)) for each in backends
    ]
    assert seen[0] == seen[1]
