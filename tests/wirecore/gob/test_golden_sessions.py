"""net/rpc over gob, as a pool and a provider in Go spoke it: read by us, and written the same.

Both ends were one process, so types have ids in the order of their first use in all that it
wrote before: what stands alone, what was to be decoded, and then these sessions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.wirecore.gob.go_types import (
    ABC,
    TYPES,
    Args,
    Inner,
    Nothing,
    Request,
    Response,
    ServiceArgs,
    Userinfo,
    annotation_of,
    as_read,
    from_json,
    registry,
)
from wirecore import gob
from wirecore._backend import Backend
from wirecore.gob.schema import gob_type

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "pool-gob.json").read_text(encoding="utf-8")
)
SESSIONS: list[dict[str, Any]] = [
    session for session in VECTORS["sessions"] if "stream_from_pool" in session
]

#: What was encoded for the cases of `decoding`, after what stands alone.
ENCODED_THEN = ("XU", "X8Only", "F64", "A2", "S", "Str", "Bs", "I8s", "MI")

#: The first sessions' streams are written again here; in the others answers overtake each other.
WRITTEN = "calls"


def value_of(go_type: str, value: Any, names: gob.Registry) -> tuple[Any, Any]:
    """A value of the vectors and its annotation."""
    if go_type.removeprefix("*") == "interface{}":
        return from_json(value, gob_type(Any), names), Any | None
    annotation = annotation_of(go_type)
    return from_json(value, gob_type(annotation), names), annotation


def used_before() -> gob.TypeIds:
    """Ids as they stood when the sessions began."""
    ids = gob.TypeIds(64)
    names = registry()
    for stream in VECTORS["standalone"]:
        encoder = gob.Encoder(names, type_ids=ids)
        for value in stream["values"]:
            encoder.encode(*value_of(value["go_type"], value["value"], names))
            if value["go_type"].startswith("*url.URL"):
                ids.id_of(gob_type(Userinfo))
    for name in ENCODED_THEN:
        ids.id_of(gob_type(TYPES[name]))
    return ids


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session["name"])
def test_the_calls_are_read(backend: Backend, session: dict[str, Any]) -> None:
    names = registry()
    asking, answering = "pool", "provider"
    if session["name"] == "callback":
        asking, answering = answering, asking
    requests = gob.Decoder(names, backend=backend)
    requests.feed(bytes.fromhex(session[f"stream_from_{asking}"]))
    arguments: dict[int, dict[str, Any]] = {}
    for call in session["calls"]:
        request = requests.decode(Request)
        assert isinstance(request, Request)
        arguments[request.seq] = call
        if session["name"] != "calls":
            assert requests.skip() is True
            continue
        assert request.service_method == call["method"]
        expected, annotation = value_of(call["arg_go_type"], call["arg"], names)
        found = requests.decode(annotation)
        assert found == as_read(expected)
    assert requests.decode() is gob.NEED_DATA
    requests.finish()

    answers = gob.Decoder(names, backend=backend)
    answers.feed(bytes.fromhex(session[f"stream_from_{answering}"]))
    for _ in session["calls"]:
        answer = answers.decode(Response)
        assert isinstance(answer, Response)
        call = arguments.pop(answer.seq)
        if session["name"] != "calls":
            assert answers.skip() is True
        elif answer.error:
            assert answer.error == call["error"]
            assert answers.decode(Nothing) == Nothing()
        else:
            expected, annotation = value_of(call["reply_go_type"], call["reply"], names)
            assert answers.decode(annotation) == as_read(expected)
    assert answers.decode() is gob.NEED_DATA
    answers.finish()


def test_the_calls_are_written_as_go_wrote_them(backend: Backend) -> None:
    session = next(each for each in SESSIONS if each["name"] == WRITTEN)
    names = registry()
    ids = used_before()
    pool = gob.Encoder(names, type_ids=ids, backend=backend)
    provider = gob.Encoder(names, type_ids=ids, backend=backend)
    asked = answered = b""
    for number, call in enumerate(session["calls"]):
        asked += pool.encode(Request(call["method"], number))
        asked += pool.encode(*value_of(call["arg_go_type"], call["arg"], names))
        answered += provider.encode(Response(call["method"], number, call.get("error", "")))
        if "error" in call:
            answered += provider.encode(Nothing())
            continue
        # A Go method fills a reply that it is given a pointer to.
        value, annotation = value_of(call["reply_go_type"], call["reply"], names)
        answered += provider.encode(value, annotation | None)
    assert asked.hex() == session["stream_from_pool"]
    assert answered.hex() == session["stream_from_provider"]


def test_a_service_reads_arguments_of_another_type(backend: Backend) -> None:
    """What a Go service says of a text where two numbers should be, and of a number too many."""
    decoder = gob.Decoder(backend=backend)
    decoder.feed(gob.dumps("text"))
    with pytest.raises(gob.GobValueError) as caught:
        decoder.decode(ServiceArgs)
    refused = next(each for each in SESSIONS[0]["calls"] if "non-struct" in each.get("error", ""))
    assert str(caught.value) == refused["error"]
    decoder.feed(gob.dumps(ABC(1, 2, 3)))
    assert decoder.decode(Args) == Args(1, 2)
    assert gob_type(Inner).text == "svc.Inner"
