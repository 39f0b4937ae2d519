"""Values that go from one stream to another with their types, and are what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.wirecore.gob.go_types import Point, annotation_of, as_read, from_json, registry
from tests.wirecore.gob.test_golden import DECODING, STANDALONE, same
from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import LocalLimitExceeded
from wirecore.gob.schema import gob_type


@dataclass
class Around:
    v: Any


def busy_encoder(backend: Backend) -> gob.Encoder:
    """One on whose stream ids are taken, and long ones, so that all others are others there."""
    encoder = gob.Encoder(type_ids=gob.TypeIds(1 << 20), backend=backend)
    encoder.encode(Point(1, 2))
    return encoder


@pytest.mark.parametrize("stream", STANDALONE, ids=lambda stream: stream["name"])
def test_all_that_go_wrote_goes_on_as_it_came(backend: Backend, stream: dict[str, Any]) -> None:
    """From Go's stream to one of its own, to another with other ids, and there it is read."""
    names = registry()
    direct, first = gob.Decoder(names, backend=backend), gob.Decoder(backend=backend)
    passing, last = busy_encoder(backend), gob.Decoder(names, backend=backend)
    # What Point has defined there must not be missing here.
    last.feed(gob.Encoder(type_ids=gob.TypeIds(1 << 20), backend=backend).encode(Point(1, 2)))
    last.decode()
    for value in stream["values"]:
        data = bytes.fromhex(value["hex"])
        annotation = annotation_of(value["go_type"])
        direct.feed(data)
        first.feed(data)
        expected = direct.decode(annotation)
        raw = first.decode(gob.Raw)
        assert isinstance(raw, gob.Raw)
        assert same(gob.loads(raw.data, annotation, registry=names), expected)
        last.feed(passing.encode(raw, gob.Raw))
        assert same(last.decode(annotation), expected)
        assert last.buffered == first.buffered == 0
        # Whatever ids it went through, it is the same as if it had come at once.
        again = gob.Decoder(backend=backend)
        again.feed(gob.Encoder(backend=backend).encode(raw))
        assert again.decode(gob.Raw) == raw


@pytest.mark.parametrize("stream", STANDALONE, ids=lambda stream: stream["name"])
def test_all_that_is_written_alone_goes_into_a_stream(
    backend: Backend, stream: dict[str, Any]
) -> None:
    """A second time it brings no definitions: a stream doesn't grow by what it knows."""
    names = registry()
    passing, decoder = busy_encoder(backend), gob.Decoder(names, backend=backend)
    decoder.feed(gob.Encoder(type_ids=gob.TypeIds(1 << 20), backend=backend).encode(Point(1, 2)))
    decoder.decode()
    for value in stream["values"]:
        annotation = annotation_of(value["go_type"])
        given = from_json(value["value"], gob_type(annotation), names)
        raw = gob.Raw(gob.dumps(given, annotation, registry=names))
        once, twice = (passing.encode(raw, gob.Raw) for _ in range(2))
        for made in once, twice:
            decoder.feed(made)
            assert same(decoder.decode(annotation), as_read(given))
        assert once.endswith(twice)


@pytest.mark.parametrize("case", DECODING, ids=lambda case: case["name"])
def test_what_is_wrong_with_a_value_is_told_by_who_reads_it(
    backend: Backend, case: dict[str, Any]
) -> None:
    names = gob.Registry()
    annotation = annotation_of(case["into"])
    decoder = gob.Decoder(backend=backend)
    decoder.feed(bytes.fromhex(case["stream"]))
    for value in case.get("values", []):
        raw = decoder.decode(gob.Raw)
        assert isinstance(raw, gob.Raw)
        found = gob.loads(raw.data, annotation, registry=names)
        assert found == from_json(value, gob_type(annotation), names)
    if "error" not in case or ("EOF" in case["error"] and case["name"] != "zero-length message"):
        assert decoder.decode(gob.Raw) is gob.NEED_DATA
        return
    with pytest.raises(gob.GobError) as caught:
        gob.loads(decoder.decode(gob.Raw).data, annotation, registry=names)  # type: ignore[union-attr]
    assert str(caught.value) == case["error"]


def test_lengths_in_interfaces_are_those_of_the_new_ids(backend: Backend) -> None:
    """Go passes over what an interface holds by that length alone."""
    names = gob.Registry()
    names.register("A", Around)
    names.register("P", Point)
    raw = gob.Raw(gob.dumps(Around(Around(Point(300, -300))), Around, registry=names))
    made = busy_encoder(backend).encode(raw)
    point = bytes.fromhex("01fe025801fe025700")  # two fields, and the end
    inner = bytes.fromhex("010150fd200004") + bytes((len(point),)) + point + b"\0"
    outer = bytes.fromhex("010141fd200002") + bytes((len(inner),)) + inner + b"\0"
    assert made.endswith(outer)


def test_a_raw_value_that_is_none_is_not_sent(backend: Backend) -> None:
    names = registry()
    whole = gob.dumps([Point(1, 2), "text", 7], list[Any], registry=names)
    encoder = gob.Encoder(backend=backend)
    bad = [b"", b"\x00", b"\xff", whole[:-1], whole + whole, whole + b"\x01"]
    for data in bad:
        with pytest.raises(gob.UnsendableGob, match="that isn't one value"):
            encoder.encode(gob.Raw(data), gob.Raw)
    with pytest.raises(gob.UnsendableGob, match="nothing else"):
        encoder.encode(gob.Raw(whole), str)
    with pytest.raises(gob.UnsendableGob, match="nothing else"):
        encoder.encode("text", gob.Raw)
    with pytest.raises(TypeError, match="must be bytes, not str"):
        gob.Raw("text")  # type: ignore[arg-type]
    # The stream is as if nothing had been tried.
    decoder = gob.Decoder(names, backend=backend)
    decoder.feed(encoder.encode(gob.Raw(whole)))
    assert decoder.decode(list[Any]) == [Point(1, 2), "text", 7]


def test_every_damaged_byte_is_an_error_or_another_value(backend: Backend) -> None:
    names = registry()
    whole = gob.dumps([Point(1, 2), "text", 7], list[Any], registry=names)
    for at in range(len(whole)):
        for change in (0x01, 0x80, 0xFF):
            data = bytearray(whole)
            data[at] ^= change
            encoder = gob.Encoder(backend=backend)
            try:
                made = encoder.encode(gob.Raw(bytes(data)))
            except (gob.UnsendableGob, LocalLimitExceeded):
                continue
            decoder = gob.Decoder(names, backend=backend)
            decoder.feed(made)
            try:
                decoder.decode(list[Any])
            except gob.GobValueError:
                pass
            # The stream lives on: what was sent was one message.
            decoder.feed(encoder.encode("next"))
            assert decoder.decode(str) == "next"


def test_one_above_the_bounds_is_refused(backend: Backend) -> None:
    limits = gob.Limits(max_message_size=64)
    raw = gob.Raw(gob.dumps("x" * 100))
    with pytest.raises(LocalLimitExceeded, match="max_message_size"):
        gob.Encoder(limits=limits, backend=backend).encode(raw)
    many = gob.Raw(gob.dumps([Point(1, 2)] * 50, list[Point]))
    encoder = gob.Encoder(limits=limits, backend=backend)
    with pytest.raises(LocalLimitExceeded):
        encoder.encode(many)


def test_all_values_go_with_a_raw_one_or_none_does(backend: Backend) -> None:
    encoder = gob.Encoder(backend=backend)
    raw = gob.Raw(gob.dumps(Point(1, 2)))
    with pytest.raises(gob.UnsendableGob):
        encoder.encode_all((raw, gob.Raw), ("text", int))
    decoder = gob.Decoder(backend=backend)
    decoder.feed(encoder.encode_all((raw, gob.Raw), (raw, gob.Raw)))
    assert decoder.decode(Point) == decoder.decode(Point) == Point(1, 2)


def test_it_shows_no_value() -> None:
    raw = gob.Raw(gob.dumps("secret"))
    assert repr(raw) == f"<Raw, {len(raw.data)} bytes>"
    assert raw == gob.Raw(gob.dumps("secret"))
    assert raw != gob.Raw(gob.dumps("other"))
    assert len({raw, gob.Raw(gob.dumps("secret"))}) == 1
