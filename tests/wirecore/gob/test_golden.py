"""What Go's encoder wrote, written by us byte for byte and read by us.

The bytes are those of tests/vectors/pool-gob.json. All of `standalone` was written by one process
of Go, so its types have their ids, and their names, in the order of their first use: encoders
that share their ids write the same, with two exceptions. Pairs of a map go in any order in Go;
and beside a type that encodes itself Go defines those of its exported fields, which no reader
needs.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.wirecore.gob.go_types import Userinfo, annotation_of, as_read, from_json, registry
from wirecore import gob
from wirecore._backend import Backend
from wirecore.gob.schema import gob_type

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "pool-gob.json").read_text(encoding="utf-8")
)
STANDALONE: list[dict[str, Any]] = VECTORS["standalone"]
DECODING: list[dict[str, Any]] = VECTORS["decoding"]

#: Pairs of its maps stand in another order.
MANY_PAIRS = {"map_many"}

#: Defined in Go beside url.URL, which has an exported field of that type.
USERINFO = "14fff10301010855736572696e666f01fff2000000"

#: A datetime has no nanoseconds.
TOO_FINE = ("56.000000001", "59.999999999")


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, where nan is nan and -0.0 isn't 0.0."""
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other) and type(one) is type(other)


def test_all_is_written_as_go_wrote_it(backend: Backend) -> None:
    ids = gob.TypeIds(64)
    names = registry()
    for stream in STANDALONE:
        encoder = gob.Encoder(names, type_ids=ids, backend=backend)
        for value in stream["values"]:
            annotation = annotation_of(value["go_type"])
            made = encoder.encode(
                from_json(value["value"], gob_type(annotation), names), annotation
            ).hex()
            if value["go_type"].startswith("*url.URL"):
                assert value["hex"].count(USERINFO) == 1
                ids.id_of(gob_type(Userinfo))
                assert made == value["hex"].replace(USERINFO, "")
            elif stream["name"] in MANY_PAIRS:
                assert sorted(made) == sorted(value["hex"])
            elif not any(part in json.dumps(value["value"]) for part in TOO_FINE):
                assert made == value["hex"], (stream["name"], value["go_type"])


@pytest.mark.parametrize("stream", STANDALONE, ids=lambda stream: stream["name"])
@pytest.mark.parametrize("cut", [1, 7, 100_000])
def test_all_is_read_that_go_wrote(backend: Backend, stream: dict[str, Any], cut: int) -> None:
    names = registry()
    decoder = gob.Decoder(names, backend=backend)
    data = bytes.fromhex("".join(value["hex"] for value in stream["values"]))
    cut = max(cut, len(data) // 1000)
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    for value in stream["values"]:
        annotation = annotation_of(value["go_type"])
        expected = as_read(from_json(value["value"], gob_type(annotation), names))
        while (found := decoder.decode(annotation)) is gob.NEED_DATA:
            decoder.feed(pieces.pop(0))
        assert same(found, expected)
    assert pieces == []
    decoder.finish()


@pytest.mark.parametrize("stream", STANDALONE, ids=lambda stream: stream["name"])
def test_all_is_passed_over_and_read_without_types(
    backend: Backend, stream: dict[str, Any]
) -> None:
    decoder = gob.Decoder(backend=backend)
    skipping = gob.Decoder(backend=backend)
    for value in stream["values"]:
        for each in (decoder, skipping):
            each.feed(bytes.fromhex(value["hex"]))
        found = decoder.decode()
        assert found is not gob.NEED_DATA
        expected = value["value"]
        if isinstance(expected, bool | str) or type(expected) is int:
            assert found == expected
        assert skipping.skip() is True
        assert decoder.buffered == skipping.buffered == 0


@pytest.mark.parametrize("case", DECODING, ids=lambda case: case["name"])
def test_what_goes_where(backend: Backend, case: dict[str, Any]) -> None:
    """Values and errors are Go's."""
    names = gob.Registry()
    annotation = annotation_of(case["into"])
    decoder = gob.Decoder(names, backend=backend)
    decoder.feed(bytes.fromhex(case["stream"]))
    for value in case.get("values", []):
        assert decoder.decode(annotation) == from_json(value, gob_type(annotation), names)
    if "error" not in case:
        assert decoder.decode(annotation) is gob.NEED_DATA
        decoder.finish()
    elif "EOF" in case["error"] and case["name"] != "zero-length message":
        assert decoder.decode(annotation) is gob.NEED_DATA
        if case["error"] == "EOF":
            decoder.finish()
        else:
            with pytest.raises(gob.GobStreamError, match=f"^{case['error']}$"):
                decoder.finish()
    else:
        with pytest.raises(gob.GobError) as caught:
            decoder.decode(annotation)
        assert str(caught.value) == case["error"]
