"""What is told of golden bytes: the calls of each protocol, which is found by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.tap.observing import (
    Piece,
    behind_upgrade,
    cut,
    frame,
    message,
    observe,
    told,
    upgrade,
    vectors,
)
from tests.wirecore.protocols.rest.recorded import payload
from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.events import Close
from wirecore.protocols.pool import PROTOCOL as POOL_V1
from wirecore.protocols.rest import PROTOCOL as REST_V1
from wirecore.protocols.rest import RequestHead, ResponseHead, frames, messages
from wirecore.protocols.webwire import PROTOCOL as WEBWIRE_V1
from wirecore.protocols.wsrpc import PROTOCOL as WSRPC_V1
from wirecore.session.fields import write_fields
from wirecore_cli.tap.records import OTHER, Record, Sender
from wirecore_py.envelope import encode_request


def of_kinds(records: list[Record], *kinds: str) -> list[Record]:
    return [each for each in records if each.told.kind in kinds]


# --- wsrpc ----------------------------------------------------------------------------------------


def recorded_wsrpc(name: str) -> list[Piece]:
    [session] = [each for each in vectors("wsrpc")["sessions"] if each["name"] == name]
    connection = session["connections"][0]
    pieces: list[Piece] = [
        ("client", connection["upgrade_request"].encode()),
        ("server", connection["upgrade_response"].encode()),
    ]
    return pieces + [
        (each["from"], bytes.fromhex(each["raw"])) for each in connection["frames"] if "raw" in each
    ]


def test_wsrpc_between_originals(backend: Backend) -> None:
    records = observe(recorded_wsrpc("both_directions_40s"), backend=backend)
    assert not of_kinds(records, "problem")
    asked = of_kinds(records, "request")
    answered = of_kinds(records, "response", "error")
    assert len(asked) >= len(answered) > 10  # some are never answered
    by_id = {each.told.fields["id"]: each for each in asked}
    for each in answered:
        request = by_id[each.told.fields["id"]]
        assert each.sender == OTHER[request.sender or "client"]
        assert each.told.fields["method"] == request.told.fields["method"]
        assert each.told.took == pytest.approx(each.seconds - request.seconds)
    assert told(asked)[:3] == [
        ("client", "request", "Ping  1: ping"),
        ("server", "request", "Ping  1: from server"),
        ("server", "request", "Gnip  1: Gnip"),
    ]
    [failed] = [each for each in answered if each.told.fields.get("error") == "boom"]
    assert failed.told.summary == "Fail  boom"


@pytest.mark.parametrize("envelope", vectors("wsrpc")["envelopes"], ids=lambda each: each["name"])
def test_every_envelope_of_wsrpc(envelope: dict[str, Any], backend: Backend) -> None:
    decoded = envelope["decoded"]
    piece = message("client", bytes.fromhex(envelope["hex"]))
    [record] = behind_upgrade([piece], protocol="wsrpc", backend=backend)
    if decoded["kind"] in ("none", "unparsable"):
        assert record.told.kind == "problem"
        return
    fields = record.told.fields
    assert fields["id"] == decoded["call_id"]
    if decoded["kind"] == "request":
        assert (record.told.kind, fields["method"]) == ("request", decoded["method"])
    else:
        assert fields.get("error", "") == decoded["error"]
        assert record.told.kind == ("error" if decoded["error"] else "response")
    assert record.told.size == len(decoded["payload"]) // 2


# --- webwire --------------------------------------------------------------------------------------


def recorded_webwire(session: dict[str, Any]) -> Iterator[list[Piece]]:
    for connection in session["connections"]:
        if " 101 " not in connection["http"]["response"]:
            continue
        pieces: list[Piece] = [
            ("client", connection["http"]["request"].encode()),
            ("server", connection["http"]["response"].encode()),
        ]
        for each in connection["messages"]:
            if each.get("opcode") in ("text", "binary", "continuation"):
                opcode = Opcode[each["opcode"].upper()]
                data = bytes.fromhex(each["hex"])
                pieces.append(frame(each["from"], opcode, data, fin=each.get("fin", True)))
        yield pieces


def test_webwire_between_originals() -> None:
    [session] = [e for e in vectors("webwire")["sessions"] if e["name"] == "go client: requests"]
    [pieces] = recorded_webwire(session)
    records = observe(pieces)
    assert told(records)[2:5] == [
        (
            "server",
            "accept-conf",
            "version 2.0  read timeout 60000 ms  buffer 8192 B",
        ),
        ("client", "request", "echo  id 1  hex 62696e00ff"),
        ("server", "reply", "echo  id 1  hex 62696e00ff"),
    ]
    assert {each.protocol for each in records[2:]} <= {"webwire", "websocket"}
    assert not of_kinds(records, "problem")


def test_all_that_webwire_has_is_told_without_a_fault() -> None:
    seen = set()
    for session in vectors("webwire")["sessions"]:
        for pieces in recorded_webwire(session):
            for record in observe(pieces, protocol="webwire"):
                seen.add(record.told.kind)
                assert "fault" not in record.told.summary
    assert {"request", "reply", "reply-error", "signal", "session-created"} <= seen
    assert {"session-closed", "restore-session", "close-session", "heartbeat"} <= seen


@pytest.mark.parametrize("each", vectors("webwire")["messages"], ids=lambda each: each["hex"][:40])
def test_every_message_of_webwire(each: dict[str, Any], backend: Backend) -> None:
    piece = message("client", bytes.fromhex(each["hex"]))
    [record] = behind_upgrade([piece], protocol="webwire", backend=backend)
    if each["go_parser"] == "reject":
        assert record.told.kind == "problem"
        return
    fields, decoded = record.told.fields, each["decoded"]
    assert record.told.kind != "problem"
    if "encoding" in decoded and "encoding" in fields:
        assert fields["encoding"] == decoded["encoding"]
    if decoded.get("name") and each["kind"] in ("request", "signal"):
        assert fields["name"] == bytes.fromhex(decoded["name"]).decode()


def test_keys_of_sessions_are_masked() -> None:
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"
    session = b'{"k":"%b","c":"2020-01-02T03:04:05Z","l":"2020-01-02T03:04:05Z"}' % key.encode()
    pieces = [
        message("server", b"\x15" + session),
        message("client", b"\x20" + (7).to_bytes(8, "little") + key.encode()),
        message("server", b"\xc0" + (7).to_bytes(8, "little") + session),
    ]
    for record in behind_upgrade(pieces, protocol="webwire"):
        assert key not in str(record)
        assert "[masked, 33-64]" in record.told.summary
    for record in behind_upgrade(pieces, protocol="webwire", show_secrets=True):
        assert key in str(record.told.fields)


# --- pool -----------------------------------------------------------------------------------------


def recorded_pool(codec: str, name: str) -> list[Piece]:
    [session] = [each for each in vectors(f"pool-{codec}")["sessions"] if each["name"] == name]
    pieces: list[Piece] = [
        ("client", session["upgrade_request"].encode()),
        ("server", session["upgrade_response"].encode()),
    ]
    for each in session["messages"]:
        if each.get("opcode") in ("binary", "text"):
            sender: Sender = "client" if each["from"] == "provider" else "server"
            opcode = Opcode[each["opcode"].upper()]
            pieces.append(frame(sender, opcode, bytes.fromhex(each["hex"])))
    return pieces


@pytest.mark.parametrize("name", ["calls", "out_of_order", "large", "callback"])
def test_gob_between_originals(name: str, backend: Backend) -> None:
    [session] = [each for each in vectors("pool-gob")["sessions"] if each["name"] == name]
    records = observe(recorded_pool("gob", name), backend=backend)
    assert not of_kinds(records, "problem")
    calls = of_kinds(records, "call")
    answers = of_kinds(records, "reply", "error")
    methods = [each["method"] for each in session["calls"]]
    assert sorted(each.told.fields["method"] for each in calls) == sorted(methods)
    # A provider that calls back is the WebSocket's client nevertheless.
    assert {each.sender for each in calls} == {"client" if name == "callback" else "server"}
    assert len(answers) == len(calls)
    assert all(each.told.took is not None for each in answers)
    errors = sorted(each["error"] for each in session["calls"] if each.get("error"))
    assert sorted(e.told.fields["error"] for e in of_kinds(answers, "error")) == errors


def test_arguments_and_results_of_gob() -> None:
    records = observe(recorded_pool("gob", "calls"))
    first = [each.told for each in records if each.told.fields.get("seq") == 0]
    assert [(each.kind, each.fields["value"]) for each in first] == [
        ("call", {"A": 7, "B": 6}),
        ("reply", 42),
    ]
    assert first[0].summary == 'Arith.Multiply  seq 0  {"A": 7, "B": 6}'


@pytest.mark.parametrize("name", ["calls", "large", "null_result_slice", "callback"])
def test_json_rpc_between_originals(name: str) -> None:
    [session] = [each for each in vectors("pool-jsonrpc")["sessions"] if each["name"] == name]
    records = observe(recorded_pool("jsonrpc", name))
    assert not of_kinds(records, "problem")
    calls = of_kinds(records, "call")
    assert {each["method"] for each in session["calls"]} == {
        each.told.fields["method"] for each in calls
    }
    answers = of_kinds(records, "reply", "error")
    assert answers
    assert all(each.told.took is not None for each in answers)


@given(
    st.sampled_from(["gob", "jsonrpc"]), st.lists(st.integers(0, 1 << 16), min_size=1, max_size=40)
)
def test_calls_may_be_cut_anywhere_into_messages(codec: str, places: list[int]) -> None:
    pieces = recorded_pool(codec, "calls")
    streams: dict[Sender, bytes] = {"client": b"", "server": b""}
    for sender in streams:
        key = "stream_from_" + ("provider" if sender == "client" else "pool")
        session = vectors(f"pool-{codec}")["sessions"][0]
        if key in session:
            streams[sender] = bytes.fromhex(session[key])
        else:
            texts = [e["text"] for e in session["messages"] if e.get("text")]
            mine = [t for t in texts if ('"method"' in t) == (sender == "server")]
            streams[sender] = "".join(mine).encode()
    cut_up = [
        message(sender, piece)
        for sender in ("server", "client")
        for piece in cut(streams[sender], places)
    ]
    protocol = "pool-gob" if codec == "gob" else "pool-json"
    whole = of_kinds(observe(pieces, protocol=protocol), "call", "reply", "error")
    found = of_kinds(behind_upgrade(cut_up, protocol=protocol), "call", "reply", "error")
    key_of = lambda each: (each.sender, each.told.kind, each.told.summary)  # noqa: E731
    assert sorted(map(key_of, found)) == sorted(map(key_of, whole))


def test_what_a_pools_own_ends_say_besides_calls() -> None:
    records = observe(
        [
            *upgrade(subprotocol=POOL_V1),
            *recorded_pool("gob", "calls")[2:6],
            message("client", '{"leave": true}'),
        ]
    )
    assert told(records)[-1] == ("client", "control", "wants no more calls")
    assert [each.told.kind for each in records[2:-1]] == ["call", "reply", "call", "reply"]


@pytest.mark.parametrize(
    ("subprotocol", "call", "kind"),
    [
        (WEBWIRE_V1, b"\x7f" + bytes(8) + b"\x01ax", "request"),
        (WSRPC_V1, encode_request("a", "7", b"x"), "request"),
        (POOL_V1, b'{"method":"A.B","params":["x"],"id":7}\n', "call"),
    ],
)
def test_what_our_own_ends_say_goes_with_a_call(subprotocol: str, call: bytes, kind: str) -> None:
    said = write_fields(7, {"traceparent": "00-0af7651916cd43dd"}).decode()
    pieces = [message("client", said), message("client", call)]
    records = observe([*upgrade(subprotocol=subprotocol), *pieces])
    assert told(records)[-2][:2] == ("client", "control")
    assert "traceparent" in told(records)[-2][2]
    assert told(records)[-1][:2] == ("client", kind)
    # Where nothing was agreed it is none of the protocol's.
    if subprotocol != POOL_V1:
        protocol = subprotocol.split(".")[1]
        records = observe([*upgrade(), *pieces], protocol=protocol)
        assert [each.told.kind for each in records[2:]] == ["problem", kind]


def test_a_stream_that_breaks_is_told_once_and_shown_as_bytes_then(backend: Backend) -> None:
    pieces = recorded_pool("gob", "calls")[2:4]
    bad = message("server", b"\x03\x04\x00\x00")
    records = behind_upgrade([*pieces, bad, bad, pieces[1]], protocol="pool-gob", backend=backend)
    assert [each.told.kind for each in records] == ["call", "reply", "problem", "binary", "problem"]


# --- REST -----------------------------------------------------------------------------------------


def recorded_rest(name: str) -> list[Piece]:
    [scenario] = [each for each in vectors("rest")["scenarios"] if each["name"] == name]
    return [
        frame(
            "client" if each["dir"] == "c2s" else "server",
            Opcode[each["kind"].upper()],
            payload(each),
        )
        for each in scenario["trace"]
        if each["kind"] in ("text", "binary") and each["conn"] == 1
    ]


@pytest.mark.parametrize("serving", ["server", "client"])
def test_rest_between_originals(serving: Sender) -> None:
    records = behind_upgrade(recorded_rest(f"call/{serving}/post_json"))
    kinds = [each.told.kind for each in records]
    assert kinds[:4] == ["metadata", "connection-id", "ack", "request"]
    assert kinds[4] == "response"
    request, response = records[3], records[4]
    assert (request.sender, response.sender) == (OTHER[serving], serving)
    assert request.told.fields["method"] == "POST"
    assert response.told.fields["status"] == 201
    assert response.told.took == pytest.approx(0.001)
    assert records[-1].told.fields["end"] is True


RECORDED_REST = [
    each["name"]
    for each in vectors("rest")["scenarios"]
    if each["name"].startswith(("call/", "seq/"))
]


@pytest.mark.parametrize("name", RECORDED_REST)
def test_every_exchange_of_rest(name: str) -> None:
    records = behind_upgrade(recorded_rest(name))
    assert not [each for each in records if "fault" in each.told.summary]
    requests = of_kinds(records, "request")
    responses = of_kinds(records, "response")
    [scenario] = [each for each in vectors("rest")["scenarios"] if each["name"] == name]
    statuses = [int(each["status"][:3]) for each in scenario["results"] if "status" in each]
    if of_kinds(records, "problem"):
        # What the originals do themselves, and no reader of HTTP can follow.
        assert not statuses or len(responses) <= len(requests)
        return
    assert [each.told.fields["status"] for each in responses][: len(statuses)] == statuses


def frames_of_rest() -> list[Piece]:
    """Two exchanges at once, one of which is a WebSocket within."""
    get = RequestHead(b"GET", b"/status", [(b"Host", b"x")])
    ws = RequestHead(b"GET", b"/chat", [(b"Host", b"x")], b"wss")
    text = messages.encode_message("hello there")
    return [
        *upgrade(subprotocol=REST_V1),
        message("client", '{"Type":"ClientHandshakeMetaData","Meta":{"name":"a","token":"abc"}}\n'),
        message("server", '{"Type":"ServerHandshakeConnectionID","ConnectionID":"id-1"}\n'),
        message("client", '{"Type":"ClientHandshakeAckFrame"}\n'),
        message("server", frames.encode_request(2, get, end=True)),
        message("client", frames.encode_request(1, ws, end=False)),
        message("server", frames.encode_response(1, ResponseHead(101, ()), end=False)),
        message("client", frames.encode_response(2, ResponseHead(200, ()), b"fine", end=False)),
        message("client", frames.encode_data(2, b" day", end=True)),
        message("client", frames.encode_data(1, text[:8], end=False)),
        message("client", frames.encode_data(1, text[8:], end=False)),
        message("server", frames.encode_window(1, 1000)),
        message(
            "server",
            frames.encode_data(
                1,
                messages.encode_message(b"\x00") + messages.encode_close(Close(1000, "bye")),
                end=True,
            ),
        ),
        message("client", frames.encode_reset(1, "enough")),
    ]


def test_the_multiplexed_wire_of_rest() -> None:
    assert told(observe(frames_of_rest()))[2:] == [
        ("client", "metadata", '{"name": "a", "token": "[masked, 1-8]"}'),
        ("server", "connection-id", "id-1"),
        ("client", "ack", ""),
        ("server", "request", "2  GET /status  (end)"),
        ("client", "request", "1  GET /chat"),
        ("server", "response", "1  101  GET /chat"),
        ("client", "response", "2  200  GET /status  fine"),
        ("client", "data", "2  day  (end)"),
        ("client", "part", "1  of a message"),
        ("client", "message", "1  hello there"),
        ("server", "window", "1  1000 more bytes"),
        ("server", "message", "1  hex 00"),
        ("server", "message", "1  close 1000 bye  (end)"),
        ("client", "reset", "1  enough"),
    ]


# --- finding the protocol -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        ("hello", "websocket"),
        (b"\x00\x01", "websocket"),
        ('{"jsonrpc": "2.0", "method": "x", "params": [], "id": 1}', "websocket"),
        ('{"method":"A.B","params":[1],"id":0}\n', "pool"),
        (b'{"method":"A.B","params":[1],"id":0}\n', "pool"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "rest"),
        (b"\x12\x0a\x0a\x04Ping\x12\x02id", "wsrpc"),
        (b"\x12\x06\x0a\x04Ping", "websocket"),  # no id: who knows what it is
        (b"\x17\x02\x00\x60\xea\x00\x00\x00\x20\x00\x00", "websocket"),  # not from a server
    ],
)
def test_what_the_first_message_is_of(data: Any, protocol: str) -> None:
    [record] = behind_upgrade([message("client", data)])
    assert record.protocol == protocol


def test_a_fault_in_a_decoder_ends_what_is_shown_and_nothing_else() -> None:
    def fail(method: str, answer: bool, payload: bytes) -> Any:
        raise RuntimeError("a\nfault")

    data = bytes.fromhex(vectors("wsrpc")["envelopes"][0]["hex"])
    records = behind_upgrade([message("client", data)] * 3, protocol="wsrpc", values=fail)
    [record] = records
    assert record.told.kind == "problem"
    assert r"RuntimeError: a\nfault" in record.told.summary


@given(
    st.binary(max_size=400), st.sampled_from(["wsrpc", "webwire", "pool-gob", "pool-json", "rest"])
)
def test_nothing_that_comes_is_a_fault_of_the_taps(data: bytes, protocol: str) -> None:
    for subprotocol in ("", POOL_V1, REST_V1, WEBWIRE_V1, WSRPC_V1):
        pieces: list[Piece] = upgrade(subprotocol=subprotocol)
        for sender in OTHER:
            pieces += [message(sender, data), frame(sender, Opcode.TEXT, data)]
        for record in observe(pieces, protocol=protocol):
            assert "fault of the tap" not in record.told.summary


@given(st.binary(max_size=300))
def test_no_head_is_a_fault_of_the_taps(data: bytes) -> None:
    cases: list[list[Piece]] = [
        [("client", data), ("server", data)],
        [("server", data)],
        [upgrade()[0], ("server", b"HTTP/1.1 " + data)],
        [*upgrade(), ("client", data), ("server", data)],
    ]
    for pieces in cases:
        for record in observe(pieces):
            assert "fault of the tap" not in record.told.summary
