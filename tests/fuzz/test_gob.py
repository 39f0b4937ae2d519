"""gob streams of any values in any cut, and damaged ones, through both backends.

Values come back as they went, however the stream is cut. Whatever comes instead: no exception
but the documented ones, both backends alike, and what is left of a stream after one value that
can't be read is read as if that had not been asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import gob_cases
from tests.gob_cases import KINDS, bare
from wirecore import gob
from wirecore._backend import Backend

if TYPE_CHECKING:
    from tests.fuzz.conftest import Mutated

FUZZ = settings.get_profile("wirecore-fuzz")

REGISTRY = gob_cases.registry()
LIMITS = gob.Limits(max_message_size=4096, max_depth=12, max_elements=200, max_types=30)

ANNOTATIONS: list[Any] = [Any, *KINDS.values(), gob_cases.Older]


def streams(pairs: list[tuple[str, Any]], backend: Backend | None = None) -> list[bytes]:
    """What an encoder makes of each value."""
    encoder = gob.Encoder(REGISTRY, backend=backend)
    return [encoder.encode(value, KINDS[name]) for name, value in pairs]


@st.composite
def whole_streams(draw: st.DrawFn) -> bytes:
    """What Go might send."""
    return b"".join(streams(draw(gob_cases.named_values())))


def take(decoder: gob.Decoder, annotation: Any) -> Any:
    """A value, or how the decoder refused it."""
    try:
        return decoder.decode(annotation)
    except (gob.GobValueError, gob.GobStreamError) as error:
        return type(error), str(error)


def broke(found: Any) -> bool:
    """Whether what :func:`take` gave ended the stream."""
    return isinstance(found, tuple) and found[:1] in (
        (gob.GobStreamError,),
        (gob.GobStreamLimitExceeded,),
    )


@FUZZ
@given(pairs=gob_cases.named_values(), data=st.data())
def test_values_come_back_in_any_cut(
    backends: tuple[Backend, Backend], pairs: list[tuple[str, Any]], data: st.DataObject
) -> None:
    stream = b"".join(streams(pairs, backends[0]))
    assert stream == b"".join(streams(pairs, backends[1]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8), "cuts"))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    for backend in backends:
        decoder = gob.Decoder(REGISTRY, backend=backend)
        waiting = pieces.copy()
        for name, value in pairs:
            while (found := decoder.decode(KINDS[name])) is gob.NEED_DATA:
                decoder.feed(waiting.pop(0))
            assert found == bare(value)
        decoder.finish()


@FUZZ
@given(data=st.data())
def test_whatever_comes(
    backends: tuple[Backend, Backend], mutated: Mutated, data: st.DataObject
) -> None:
    stream = data.draw(mutated(whole_streams()) | st.binary(max_size=60), "stream")
    half = data.draw(st.integers(0, len(stream)), "half")
    asked = data.draw(st.lists(st.sampled_from(range(len(ANNOTATIONS))), max_size=8), "asked")
    seen = []
    for backend in backends:
        decoder = gob.Decoder(REGISTRY, LIMITS, backend=backend)
        found = []
        for piece in (stream[:half], stream[half:]):
            decoder.feed(piece)
            found += [take(decoder, ANNOTATIONS[number]) for number in asked]
        found.append(decoder.buffered)
        seen.append(repr(found))
    assert seen[0] == seen[1]


@FUZZ
@given(pairs=gob_cases.named_values(), asked=st.sampled_from(ANNOTATIONS), data=st.data())
def test_a_value_of_another_type_leaves_the_rest(
    backends: tuple[Backend, Backend],
    pairs: list[tuple[str, Any]],
    asked: Any,
    data: st.DataObject,
) -> None:
    """In the middle of a stream one value is read as another type, passed over, or not known."""
    odd = data.draw(st.integers(0, len(pairs) - 1), "odd")
    names = data.draw(st.sampled_from([REGISTRY, gob.Registry()]), "names")
    for backend in backends:
        decoder = gob.Decoder(names, backend=backend)
        for number, (piece, (name, value)) in enumerate(
            zip(streams(pairs, backend), pairs, strict=True)
        ):
            decoder.feed(piece)
            if number == odd or names is not REGISTRY:
                assert not broke(take(decoder, asked))
                continue
            assert decoder.decode(KINDS[name]) == bare(value)
        assert decoder.decode() is gob.NEED_DATA
        decoder.finish()


@FUZZ
@given(pairs=gob_cases.named_values())
def test_what_is_passed_over_is_as_long_as_what_is_read(
    backends: tuple[Backend, Backend], pairs: list[tuple[str, Any]]
) -> None:
    for backend in backends:
        decoder = gob.Decoder(gob.Registry(), backend=backend)
        decoder.feed(b"".join(streams(pairs, backend)))
        for number, _ in enumerate(pairs):
            assert decoder.skip() is True if number % 2 else decoder.decode() is not gob.NEED_DATA
        assert decoder.skip() is gob.NEED_DATA
        decoder.finish()


@settings(FUZZ, max_examples=max(20, FUZZ.max_examples // 3))
@given(data=st.data())
def test_what_goes_on_as_it_came_is_read_as_if_it_had_come_at_once(
    backend: Backend, mutated: Mutated, data: st.DataObject
) -> None:
    """Whole or damaged: the same value, or the same error, over one stream or over three."""
    stream = data.draw(mutated(whole_streams()), "stream")
    asked = data.draw(st.sampled_from([str, Any, *KINDS.values()]), "asked")
    direct = gob.Decoder(REGISTRY, backend=backend)
    first, passing = gob.Decoder(backend=backend), gob.Encoder(backend=backend)
    last = gob.Decoder(REGISTRY, backend=backend)
    direct.feed(stream)
    first.feed(stream)
    while True:
        expected = take(direct, asked)
        raw = take(first, gob.Raw)
        if not isinstance(raw, gob.Raw):
            # A stream that breaks may do so in a value that direct reading has no use for.
            assert raw is expected or broke(raw)
            return
        if broke(expected):
            return
        try:
            last.feed(passing.encode(raw))
        except gob.UnsendableGob:
            assert isinstance(expected, tuple)
            return
        found = take(last, asked)
        assert repr(found) == repr(expected)
