"""JSON-RPC as a pool and a provider in Go spoke it: read by us in both roles, written the same."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.wirecore.protocols.pool.go_types import Args, Blob, Quotient, Rich, annotation_of
from wirecore.errors import JsonStreamError, JsonValueError, UnsendableJson
from wirecore.protocols.pool import NEED_DATA, JsonCalling, JsonServing, Request, Response

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "pool-jsonrpc.json").read_text(encoding="utf-8")
)
SESSIONS: list[dict[str, Any]] = VECTORS["sessions"]
ODD: list[dict[str, Any]] = VECTORS["odd_input"]

by_name = pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session["name"])


def messages_of(session: dict[str, Any], side: str) -> list[bytes]:
    """What the caller ("calling") or the other end sent."""
    caller = "provider" if session["name"] == "callback" else "pool"
    return [
        bytes.fromhex(message["hex"])
        for message in session["messages"]
        if "hex" in message and (message["from"] == caller) == (side == "calling")
    ]


def as_sent(call: dict[str, Any], argument: Any) -> Any:
    """What the caller gave for *argument*, as that was read."""
    if argument == [] and call["arg"] is None:
        return None  # a nil slice
    return "bad utf-8: \udcff" if "bad utf-8" in str(argument) else argument


@by_name
def test_calls_are_read_and_written_again(session: dict[str, Any]) -> None:
    serving, calling = JsonServing(), JsonCalling()
    for number, (call, sent) in enumerate(
        zip(session["calls"], messages_of(session, "calling"), strict=True)
    ):
        serving.feed(sent)
        request = serving.next_request()
        assert request == Request(b"%d" % number, call["method"])
        annotation = annotation_of(call["arg_go_type"])
        argument = as_sent(call, serving.argument(annotation))
        assert calling.encode_request(number, call["method"], argument, annotation) == [sent]
    assert serving.next_request() is NEED_DATA
    serving.finish()


@by_name
def test_answers_are_read_and_written_again(session: dict[str, Any]) -> None:
    serving, calling = JsonServing(), JsonCalling()
    for number, (call, sent) in enumerate(
        zip(session["calls"], messages_of(session, "serving"), strict=True)
    ):
        calling.feed(sent)
        response = calling.next_response()
        request = Request(b"%d" % number, call["method"])
        if call.get("error_is_server_error"):
            assert response == Response(number, call["error"])
            calling.skip_result()
            assert serving.encode_error(request, call["error"]) == [sent]
            continue
        assert response == Response(number, None)
        annotation = annotation_of(call.get("reply_go_type", "interface{}"))
        result = calling.result(annotation)
        if "error" in call:  # the null that has killed the caller in Go
            assert result is None
            with pytest.raises(UnsendableJson, match="must not be None"):
                serving.encode_response(request, result, annotation)
            continue
        assert serving.encode_response(request, result, annotation) == [sent]
    assert calling.next_response() is NEED_DATA
    calling.finish()


def test_values_are_what_they_were() -> None:
    """The recorded values as Python's, told apart by type where JSON doesn't."""
    session = SESSIONS[0]
    calling = JsonCalling()
    calling.feed(b"".join(messages_of(session, "serving")))
    found = []
    for call in session["calls"]:
        response = calling.next_response()
        assert isinstance(response, Response)
        if response.error is None:
            found.append(calling.result(annotation_of(call["reply_go_type"])))
        else:
            calling.skip_result()
    zone = timezone(timedelta(hours=5, minutes=30))
    assert found[:2] == [42, Quotient(3, 2)]
    assert found[6:14] == [-(2**63), 2**64 - 1, 3.14159, 1e21, 1e20, 1e-7, 1e-6, 100.0]
    assert all(type(each) is float for each in found[8:14])
    assert found[14:19] == [
        True,
        [],
        {"<": 3, "a": 1, "b": 2},
        datetime(2024, 2, 29, 12, 34, 56, 789000, zone),
        Blob(b"\0\1\2\xff"),
    ]
    assert found[19] == {"l": [1, 2.5, "s", True], "n": None, "o": {}}
    rich = found[20]
    assert isinstance(rich, Rich)
    assert (rich.s, rich.i, rich.ints, rich.m, rich.mi) == ("text", -5, None, {"k": 1}, {-3: "m"})
    assert (rich.f32, rich.bytes_, rich.p_int, rich.arr) == (0.10000000149011612, b"\1", 7, [0] * 3)


# --- odd input ---

METHODS = {"Echo.Say": str, "Arith.Multiply": Args}

#: What ours does that Go's doesn't, and why.
DIFFERENT: dict[str, tuple[Any, str]] = {
    "null result": ("", "nothing is wrong with a null: it is the zero of what is asked for"),
    "no result member": ("", "as a null"),
    "result of a wrong type": (
        JsonValueError("json: cannot unmarshal number into Go value of type string"),
        "the call fails, but messages come whole: the next answer can be read",
    ),
}


def serve(serving: JsonServing) -> bytes:
    """What a service answers until the stream has no more: Echo.Say and Arith.Multiply."""
    answers = b""
    while (request := serving.next_request()) is not NEED_DATA:
        if request.method.count(".") != 1:
            serving.skip_argument()
            text = f"rpc: service/method request ill-formed: {request.method}"
            answers += b"".join(serving.encode_error(request, text))
            continue
        if request.method not in METHODS:
            serving.skip_argument()
            text = f"rpc: can't find method {request.method}"
            answers += b"".join(serving.encode_error(request, text))
            continue
        try:
            found = serving.argument(METHODS[request.method])
        except JsonValueError as error:
            answers += b"".join(serving.encode_error(request, str(error)))
        else:
            answers += b"".join(serving.encode_response(request, found, METHODS[request.method]))
    return answers


@pytest.mark.parametrize(
    "case", [case for case in ODD if case["side"] == "serving"], ids=lambda case: case["name"]
)
def test_odd_requests(case: dict[str, Any]) -> None:
    serving = JsonServing()
    serving.feed(case["in"].encode())
    if case["then"] == "closed":
        # What came before the fault is answered: each piece alone, as a session reads on.
        good = case["out"].encode()
        if good:
            request = serving.next_request()
            assert request is not NEED_DATA
            assert serving.encode_response(request, serving.argument(str), str) == [good]
        for _ in range(2):
            with pytest.raises(JsonStreamError):
                serving.next_request()
        return
    # Go answers in any order.
    assert sorted(serve(serving).splitlines()) == sorted(case["out"].encode().splitlines())
    serving.finish()


def answers_of(calling: JsonCalling) -> tuple[dict[int, Any], JsonStreamError | None]:
    """The first answer to each call: result, Response or error; and what has ended the stream."""
    answers: dict[int, Any] = {}
    try:
        while (response := calling.next_response()) is not NEED_DATA:
            if response.error is not None:
                calling.skip_result()
                answers.setdefault(response.seq, response)
                continue
            try:
                answers.setdefault(response.seq, calling.result(str))
            except JsonValueError as error:
                answers.setdefault(response.seq, error)
    except JsonStreamError as error:
        return answers, error
    return answers, None


@pytest.mark.parametrize(
    "case", [case for case in ODD if case["side"] == "calling"], ids=lambda case: case["name"]
)
def test_odd_answers(case: dict[str, Any]) -> None:
    calling = JsonCalling()
    assert calling.encode_request(0, "Echo.Say", "x", str) == [case["request"].encode()]
    calling.feed(case["in"].encode())
    expected, _ = DIFFERENT.get(case["name"], (None, ""))
    answers, fault = answers_of(calling)
    if fault is not None:
        # The client in Go has ended there, too.
        assert case["next_call"] == "connection is shut down"
        assert str(fault) == case["error"] or case["name"] == "not json"
        with pytest.raises(JsonStreamError):
            calling.next_response()
        return
    if isinstance(expected, JsonValueError):
        assert str(answers[0]) == str(expected)
        assert case["error"] == f"reading body {expected}"
    elif expected is not None:
        assert answers[0] == expected
    elif case.get("error_is_server_error"):
        assert answers[0] == Response(0, case["error"])
    else:
        assert answers[0] == case["result"]
        assert case["next_call"] == "sent, the connection lives"
