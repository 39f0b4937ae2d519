"""net/rpc over gob in both roles: recorded sessions byte for byte, any cut, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.wirecore.gob.go_types import TYPES, Args, Blob, Quotient, Request, registry
from tests.wirecore.gob.test_golden_sessions import SESSIONS, used_before, value_of
from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import (
    GobStreamError,
    GobStreamLimitExceeded,
    GobValueError,
    InvalidState,
    InvalidStream,
    InvalidValue,
    LocalLimitExceeded,
    UnsendableGob,
)
from wirecore.protocols import pool
from wirecore.protocols.pool import NEED_DATA, GobCalling, GobServing, Response
from wirecore.protocols.pool.bufio import cut_as_bufio
from wirecore.protocols.pool.gob import InvalidRequest, RequestHeader, ResponseHeader

CALLBACK = "callback"


def caller_of(session: dict[str, Any]) -> str:
    return "provider" if session["name"] == CALLBACK else "pool"


def messages_of(session: dict[str, Any], side: str) -> list[str]:
    """The WebSocket messages of the caller ("calling"), or of the other end."""
    return [
        message["hex"]
        for message in session["messages"]
        if message.get("opcode") == "binary"
        and (message["from"] == caller_of(session)) == (side == "calling")
    ]


def reply_of(call: dict[str, Any], names: gob.Registry) -> tuple[Any, Any]:
    return value_of(call["reply_go_type"], call["reply"], names)


@pytest.mark.parametrize(
    "session",
    [each for each in SESSIONS if each["name"] in ("calls", "large", "pings_11s", CALLBACK)],
    ids=lambda session: session["name"],
)
def test_recorded_sessions_are_written_write_by_write(
    backend: Backend, session: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of types are of the whole process, which had used net/rpc's own types before, too.

    The first session's calls come before the others.
    """
    for name, kind in (
        ("Request", RequestHeader),
        ("Response", ResponseHeader),
        ("struct{}", InvalidRequest),
    ):
        monkeypatch.setitem(TYPES, name, kind)
    names, ids = registry(), used_before()
    first = SESSIONS[0]
    runs = [first] if session is first else [first, session]
    for run in runs:
        calling = GobCalling(names, type_ids=ids, backend=backend)
        serving = GobServing(names, type_ids=ids, backend=backend)
        asked: list[str] = []
        answered: list[str] = []
        for number, call in enumerate(run["calls"]):
            argument, annotation = value_of(call["arg_go_type"], call["arg"], names)
            pieces = calling.encode_request(number, call["method"], argument, annotation)
            asked += [piece.hex() for piece in pieces]
            request = pool.Request(number, call["method"])
            if "error" in call:
                pieces = serving.encode_error(request, call["error"])
            else:
                pieces = serving.encode_response(request, *reply_of(call, names))
            answered += [piece.hex() for piece in pieces]
    assert asked == messages_of(session, "calling")
    assert answered == messages_of(session, "serving")


@pytest.mark.parametrize("cut", [1, 7, 100_000])
@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session["name"])
def test_recorded_sessions_are_read_in_any_cut(
    backend: Backend, session: dict[str, Any], cut: int
) -> None:
    names = registry()
    caller = caller_of(session)
    server = "provider" if caller == "pool" else "pool"
    if cut == 1 and session["name"] == "large":
        cut = 1000
    serving = GobServing(names, backend=backend)
    requests = Fed(serving, session[f"stream_from_{caller}"], cut)
    calls: dict[int, dict[str, Any]] = {}
    for number, call in enumerate(session["calls"]):
        request = requests.take(serving.next_request)
        calls[request.id] = call
        if session["name"] == "concurrent":
            assert requests.take(serving.skip_argument) is True
            continue
        assert request == pool.Request(number, call["method"])
        argument, annotation = value_of(call["arg_go_type"], call["arg"], names)
        found = requests.take(lambda wanted=annotation: serving.argument(wanted))
        if session["name"] == "large":
            assert found == argument
    assert requests.take(serving.next_request) is NEED_DATA
    serving.finish()

    calling = GobCalling(names, backend=backend)
    answers = Fed(calling, session[f"stream_from_{server}"], cut)
    for _ in session["calls"]:
        response = answers.take(calling.next_response)
        call = calls.pop(response.seq)
        if not call.get("error_is_server_error"):
            assert response.error is None
        if session["name"] == "concurrent" or response.error is not None:
            assert response.error == call.get("error")
            assert answers.take(calling.skip_result) is True
            continue
        reply, annotation = reply_of(call, names)
        found = answers.take(lambda wanted=annotation: calling.result(wanted))
        if isinstance(reply, int | str | bool | Quotient | Blob | datetime):
            assert found == reply
    assert answers.take(calling.next_response) is NEED_DATA
    calling.finish()


class Fed:
    """An end of a connection that gets its stream in pieces, whenever it asks for more."""

    def __init__(self, end: GobCalling | GobServing, stream: str, cut: int) -> None:
        self._end = end
        self._data = bytes.fromhex(stream)
        self._cut = cut

    def take(self, ask: Any) -> Any:
        while (found := ask()) is NEED_DATA and self._data:
            self._end.feed(self._data[: self._cut])
            self._data = self._data[self._cut :]
        return found


# --- how a buffered writer cuts ---


def framed(size: int) -> bytes:
    """A gob message of that many bytes with its length."""
    if size <= 0x80:
        return bytes((size - 1,)) + bytes(size - 1)
    for width in (1, 2, 3):
        body = size - 1 - width
        if body < 1 << 8 * width:
            return bytes((0x100 - width,)) + body.to_bytes(width, "big") + bytes(body)
    raise AssertionError


@pytest.mark.parametrize(
    ("sizes", "writes"),
    [
        ([10], [10]),
        ([4096], [4096]),
        ([4097], [4097]),
        ([10, 4086], [4096]),
        ([10, 4087], [4096, 1]),
        ([10, 4086, 1], [4096, 1]),
        ([10, 4086 + 4096], [4096, 4096]),
        ([10, 4086 + 4097], [4096, 4097]),
        ([10, 4086 + 5000, 7], [4096, 5000, 7]),
        ([10, 4086 + 4096, 7], [4096, 4096, 7]),
        ([10, 4086 + 4000, 97], [4096, 4096, 1]),
        ([5000, 4096], [5000, 4096]),
        ([4096, 5000], [4096, 5000]),
        ([70_000, 3], [70_000, 3]),
    ],
)
def test_writes_are_cut_as_go_cuts_them(sizes: list[int], writes: list[int]) -> None:
    stream = b"".join(framed(size) for size in sizes)
    pieces = cut_as_bufio(stream)
    assert b"".join(pieces) == stream
    assert [len(piece) for piece in pieces] == writes


# --- what can't be sent ---


def test_a_failed_call_has_sent_nothing(backend: Backend) -> None:
    """Not the definition of the header's type either, which the next call brings."""
    calling, untouched = GobCalling(backend=backend), GobCalling(backend=backend)
    for bad, annotation in ((Args("x", 2), Args), (1 << 70, int), (None, int), (print, Any)):  # type: ignore[arg-type]
        with pytest.raises((UnsendableGob, gob.InvalidGobType)):
            calling.encode_request(0, "Arith.Multiply", bad, annotation)
    expected = untouched.encode_request(0, "Arith.Multiply", Args(7, 6), Args)
    assert calling.encode_request(0, "Arith.Multiply", Args(7, 6), Args) == expected
    for seq, method in ((-1, "A.B"), (1 << 64, "A.B"), ("x", "A.B"), (0, None)):
        with pytest.raises(UnsendableGob):
            calling.encode_request(seq, method, Args(1, 2), Args)  # type: ignore[arg-type]
    again = untouched.encode_request(1, "Arith.Multiply", Args(7, 6), Args)
    assert calling.encode_request(1, "Arith.Multiply", Args(7, 6), Args) == again


def test_an_answer_that_cannot_be_sent_leaves_room_for_an_error(backend: Backend) -> None:
    serving = GobServing(limits=gob.Limits(max_message_size=200), backend=backend)
    request = pool.Request(3, "A.B")
    with pytest.raises(LocalLimitExceeded):
        serving.encode_response(request, "x" * 300, str)
    with pytest.raises(UnsendableGob):
        serving.encode_response(request, None, int | None)
    calling = GobCalling(backend=backend)
    calling.feed(b"".join(serving.encode_error(request, "")))
    calling.feed(b"".join(serving.encode_error(request, "a\ud800b \udcff")))
    assert calling.next_response() == Response(3, "unspecified error")
    assert calling.skip_result() is True
    assert calling.next_response() == Response(3, "a?b ?")
    assert calling.skip_result() is True


def test_none_is_an_empty_list_where_go_has_a_nil_one(backend: Backend) -> None:
    serving, calling = GobServing(backend=backend), GobCalling(backend=backend)
    request = pool.Request(0, "A.B")
    for annotation, empty in ((list[int] | None, []), (dict[str, int] | None, {}), (bytes, b"")):
        calling.feed(b"".join(serving.encode_response(request, None, annotation)))
        assert calling.next_response() == Response(0, None)
        assert calling.result(annotation) == empty


# --- what can't be read ---


def test_an_argument_of_another_type_is_passed_over(backend: Backend) -> None:
    calling, serving = GobCalling(backend=backend), GobServing(backend=backend)
    for number, argument in enumerate(["text", Args(2, 3)]):
        for piece in calling.encode_request(number, "Arith.Multiply", argument):
            serving.feed(piece)
    assert serving.next_request() == pool.Request(0, "Arith.Multiply")
    with pytest.raises(GobValueError, match="got non-struct") as caught:
        serving.argument(Args)
    assert isinstance(caught.value, InvalidValue)
    assert serving.next_request() == pool.Request(1, "Arith.Multiply")
    assert serving.argument(Args) == Args(2, 3)


@dataclass
class Other:
    x: int


@pytest.mark.parametrize("value", [5, "text", Other(1), [1]])
def test_a_value_that_is_no_header_ends_the_stream(backend: Backend, value: Any) -> None:
    for end in (GobServing(backend=backend), GobCalling(backend=backend)):
        end.feed(gob.dumps(value))
        ask = end.next_request if isinstance(end, GobServing) else end.next_response
        for _ in range(2):
            with pytest.raises(GobStreamError) as caught:
                ask()
            assert isinstance(caught.value, InvalidStream)
        with pytest.raises(GobStreamError):
            end.finish()


def test_a_header_that_passes_a_bound_ends_the_stream(backend: Backend) -> None:
    serving = GobServing(limits=gob.Limits(max_elements=1), backend=backend)
    serving.feed(gob.dumps(Request("A.B", 1)))
    with pytest.raises(GobStreamLimitExceeded):
        serving.next_request()


def test_a_stream_that_ends_early(backend: Backend) -> None:
    whole = b"".join(GobCalling(backend=backend).encode_request(0, "A.B", "text"))
    for size in range(len(whole) + 1):
        serving = GobServing(backend=backend)
        serving.feed(whole[:size])
        if serving.next_request() is not NEED_DATA:
            serving.argument(str)
        if size in (0, len(whole)):
            serving.finish()
        else:
            with pytest.raises(GobStreamError, match="unexpected EOF"):
                serving.finish()


def test_headers_and_values_take_turns(backend: Backend) -> None:
    calling, serving = GobCalling(backend=backend), GobServing(backend=backend)
    with pytest.raises(InvalidState, match="no request"):
        serving.argument(str)
    with pytest.raises(InvalidState, match="no response"):
        calling.skip_result()
    (piece,) = calling.encode_request(0, "A.B", "text")
    serving.feed(piece)
    serving.next_request()
    with pytest.raises(InvalidState, match="argument of the last request"):
        serving.next_request()
    with pytest.raises(gob.InvalidGobType):
        serving.argument(set)
    assert serving.argument(str) == "text"
    with pytest.raises(InvalidState):
        serving.skip_argument()
