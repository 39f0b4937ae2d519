"""The example's session: the specification's own examples, and what it leaves to common sense."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from session import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    OVERLOADED,
    Answer,
    Fault,
    JsonRpc,
    Received,
    Request,
)

from tests.examples.jsonrpc2.pairs import Raw, answers, pair_of, serve, take
from wirecore import Call, InvalidState, LocalLimitExceeded, NotConnected
from wirecore._backend import Backend
from wirecore.testing import Ends, check_calls, check_session

# --- the examples of jsonrpc.org/specification, section 7 ---------------------------------------

ERRORS = {
    -32700: "Parse error",
    -32600: "Invalid Request",
    -32601: "Method not found",
}


def error(code: int, id_: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": ERRORS[code]}, "id": id_}


def result(value: Any, id_: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "result": value, "id": id_}


EXAMPLES: list[tuple[str, Any]] = [
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        result(19, 1),
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        result(-19, 2),
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", '
        '"params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        result(19, 3),
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", '
        '"params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        result(19, 4),
    ),
    ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', error(-32601, "1")),
    ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', error(-32700)),
    ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', error(-32600)),
    (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},'
        '{"jsonrpc": "2.0", "method"',
        error(-32700),
    ),
    ("[]", error(-32600)),
    ("[1]", [error(-32600)]),
    ("[1,2,3]", [error(-32600)] * 3),
    (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},'
        '{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},'
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},'
        '{"foo": "boo"},'
        '{"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},'
        '{"jsonrpc": "2.0", "method": "get_data", "id": "9"}]',
        [
            result(7, "1"),
            result(19, "2"),
            error(-32600),
            error(-32601, "5"),
            result(["hello", 5], "9"),
        ],
    ),
    (
        '[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},'
        '{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]',
        None,
    ),
]


def in_any_order(answer: Any) -> Any:
    return sorted(map(json.dumps, answer)) if isinstance(answer, list) else answer


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_the_examples_of_the_specification(backend: Backend, text: str, expected: Any) -> None:
    raw = Raw(backend)
    serve(raw.session, raw.send(text))
    said = [in_any_order(answer) for answer in raw.said()]
    assert said == ([] if expected is None else [in_any_order(expected)])


# --- requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("id_", [0, -1, 1.5, 10**30, "", "ünï", "\ud800", None])
def test_ids_of_any_kind_come_back_as_they_are(backend: Backend, id_: Any) -> None:
    raw = Raw(backend)
    serve(raw.session, raw.send(json.dumps({"jsonrpc": "2.0", "method": "get_data", "id": id_})))
    [answer] = raw.said()
    assert answer == result(["hello", 5], id_)
    assert type(answer["id"]) is type(id_)


@pytest.mark.parametrize(
    "text",
    [
        '{"jsonrpc": "2.0", "method": "m", "id": true}',
        '{"jsonrpc": "2.0", "method": "m", "id": [1]}',
        '{"jsonrpc": "2.0", "method": "m", "id": 1, "params": null}',
        '{"jsonrpc": "2.0", "method": "m", "id": 1, "params": 5}',
        '{"jsonrpc": "1.0", "method": "m", "id": 1}',
        '{"method": "m", "id": 1}',
        '{"jsonrpc": "2.0", "id": 1}',
        '{"jsonrpc": "2.0", "method": null, "id": 1}',
        '"text"',
        "null",
    ],
)
def test_what_is_no_request_is_said_to_be_none(backend: Backend, text: str) -> None:
    raw = Raw(backend)
    assert raw.send(text) == []
    assert raw.said() == [error(INVALID_REQUEST)]


@pytest.mark.parametrize(
    "text", ["{", "NaN", "[1e999]", "-Infinity", b"\xff\xfe\xfd", "[" * 100_000]
)
def test_what_is_no_json_is_said_to_be_none(backend: Backend, text: str | bytes) -> None:
    raw = Raw(backend)
    assert raw.send(text) == []
    assert raw.said() == [error(-32700)]


def test_a_request_is_answered_once(backend: Backend) -> None:
    raw = Raw(backend)
    [request] = raw.send('{"jsonrpc": "2.0", "method": "m", "id": 1}')
    assert isinstance(request, Request)
    with pytest.raises(TypeError):
        raw.session.reply(request, object())
    with pytest.raises(ValueError, match="not JSON compliant"):
        raw.session.reply(request, float("nan"))
    raw.session.reply_fault(request, Fault(INTERNAL_ERROR, data={"why": "no JSON"}))
    with pytest.raises(InvalidState):
        raw.session.reply(request, 1)
    [answer] = raw.said()
    assert answer["error"] == {
        "code": -32603,
        "message": "Internal error",
        "data": {"why": "no JSON"},
    }


def test_too_many_requests_are_refused(backend: Backend) -> None:
    raw = Raw(backend, max_requests=2)
    request = '{"jsonrpc": "2.0", "method": "get_data", "id": 1}'
    notification = '{"jsonrpc": "2.0", "method": "get_data"}'
    taken = raw.send(f"[{request}, {notification}, {request}, {notification}]")
    assert len(taken) == 2
    assert raw.send(request) == []
    [answer] = raw.said()
    assert answer["error"]["code"] == OVERLOADED
    serve(raw.session, taken)
    [batch] = raw.said()
    assert sorted("error" in answer for answer in batch) == [False, True]
    assert len(raw.send(request)) == 1, "there is room again"


@pytest.mark.parametrize("entry", ["1", "[]"])
def test_a_batch_too_long_to_be_looked_at_is_no_request(backend: Backend, entry: str) -> None:
    raw = Raw(backend)
    assert raw.send(f"[{','.join([entry] * 10_001)}]") == []
    [answer] = raw.said()
    assert (answer["id"], answer["error"]["code"]) == (None, INVALID_REQUEST)
    assert len(raw.send('{"jsonrpc": "2.0", "method": "get_data", "id": 1}')) == 1


def test_a_peer_that_doesnt_read_its_answers_is_cut(backend: Backend) -> None:
    from wirecore.session import Limits
    from wirecore.websocket import Connection

    peer = Connection(client=True, backend=backend)
    limits = Limits(max_queued_bytes=1000)
    session = JsonRpc(Connection(client=False, limits=limits, backend=backend))
    session.start(0.0)
    for _ in range(100):
        if not session.stage.finished:
            peer.send("?")
            session.receive(take(peer), 0.0)
    assert session.stage.finished
    assert session.outbox.pending < 2000


# --- calls --------------------------------------------------------------------------------------


def test_calls_both_ways_at_once(backend: Backend) -> None:
    client, server = pair_of(backend)()
    calls = [Call() for _ in range(4)]
    client.call(calls[0], "subtract", [5, 3], 0.0)
    client.call(calls[1], "nonsense", None, 0.0)
    client.call_batch(
        [(calls[2], "sum", [1, 2]), (None, "update", None), (calls[3], "get_data", None)], 0.0
    )
    back = Call()
    server.call(back, "sum", [1], 0.0)
    serve_in_order(server, server.receive(take(client), 0.0))
    received = client.receive(take(server), 0.0)
    serve_in_order(client, received)
    assert answers(received) == [
        (calls[0], 2, None),
        (calls[1], None, -32601),
        (calls[2], 3, None),
        (calls[3], ["hello", 5], None),
    ]
    assert answers(server.receive(take(client), 0.0)) == [(back, 1, None)]


def test_answers_find_their_calls(backend: Backend) -> None:
    client, server = pair_of(backend)()
    sound, wrong, forgotten = (Call() for _ in range(3))
    client.call(sound, "subtract", {"minuend": 5, "subtrahend": 3}, 0.0)
    client.call(wrong, "nonsense", None, 0.0)
    client.call(forgotten, "get_data", None, 0.0)
    client.forget(forgotten)
    serve(server, server.receive(take(client), 0.0))
    found = answers(client.receive(take(server), 0.0))
    assert sorted(found, key=lambda item: item[0].call_id) == [
        (sound, 2, None),
        (wrong, None, -32601),
    ]
    assert client.stray == 1
    assert client.lost() == []


@pytest.mark.parametrize(
    "answer",
    [
        '{"jsonrpc": "2.0", "result": 5, "id": true}',
        '{"jsonrpc": "2.0", "result": 5, "id": 1.0}',
        '{"jsonrpc": "2.0", "result": 5, "id": "1"}',
        '{"jsonrpc": "2.0", "result": 5, "id": [1]}',
        '{"jsonrpc": "2.0", "result": 5}',
        '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
    ],
)
def test_an_answer_to_nothing_is_counted_and_never_answered(backend: Backend, answer: str) -> None:
    raw = Raw(backend)
    raw.session.call(Call(), "m", None, 0.0)
    raw.said()
    assert raw.send(answer) == []
    assert raw.said() == []
    assert raw.session.stray == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ('"error": {"code": 7, "message": "no", "data": [1]}', 7),
        ('"error": {"code": 7}', INTERNAL_ERROR),
        ('"error": "no"', INTERNAL_ERROR),
        ('"error": null', INTERNAL_ERROR),
        ('"result": 5, "error": {"code": 7, "message": "no"}', 7),
    ],
)
def test_an_answer_with_a_fault(backend: Backend, answer: str, code: int) -> None:
    raw = Raw(backend)
    call = Call()
    raw.session.call(call, "m", None, 0.0)
    [asked] = raw.said()
    [item] = raw.send(f'{{"jsonrpc": "2.0", {answer}, "id": {asked["id"]}}}')
    assert isinstance(item, Answer)
    assert item.fault is not None
    assert (item.call, item.fault.code) == (call, code)


def test_a_call_that_cant_be_made_leaves_nothing_behind(backend: Backend) -> None:
    client, _ = pair_of(backend, max_calls=2)()
    with pytest.raises(TypeError):
        client.call(Call(), "m", [object()], 0.0)
    with pytest.raises(InvalidState, match="at least one"):
        client.call_batch([], 0.0)
    with pytest.raises(LocalLimitExceeded, match="max_pending_calls"):
        client.call_batch([(Call(), "m", None) for _ in range(3)], 0.0)
    assert client.outbox.pending == 0
    assert client.lost() == []
    client.close()
    with pytest.raises(NotConnected):
        client.call(Call(), "m", None, 0.0)


# --- the contract, and what it is made of -------------------------------------------------------


def call(session: Any, now: float) -> Call:
    made = Call()
    session.call(made, "subtract", [5, 3], now)
    return made


def described(received: Received) -> Iterator[object]:
    for item in received:
        if isinstance(item, Answer):
            yield "answer", item.call.call_id, item.result, item.fault and item.fault.code
        else:
            yield "request", item.method, item.params, item.notification


def serve_in_order(session: JsonRpc, received: Received) -> None:
    for item in received:
        if isinstance(item, Request):
            serve(session, [item])


def conversation(ends: Ends[JsonRpc, JsonRpc]) -> None:
    for end in ends.client, ends.server:
        session = end.session
        end.react = partial(serve_in_order, session)
        call(session, ends.now)
        session.call_batch([(None, "update", [1]), (Call(), "nonsense", None)], ends.now)
    ends.settle()


def nonsense(ends: Ends[JsonRpc, JsonRpc]) -> None:
    ends.client.session.outbox.put(b"\x81\x83\0\0\0\0[1]")
    ends.client.session.outbox.put(b"\x81\x81\0\0\0\0{")
    ends.settle()


def test_it_is_a_session(backend: Backend) -> None:
    check_session(
        pair_of(backend), [conversation, nonsense], describe=described, kind=itemgetter(0)
    )


def test_it_knows_what_became_of_its_calls(backend: Backend) -> None:
    check_calls(pair_of(backend), call)


def test_it_is_one_pure_file_of_less_than_300_lines(example: Path) -> None:
    text = (example / "session.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 300
    assert "trio" not in text.partition('"""\n')[2]


@pytest.mark.parametrize("name", ["session.py", "peer.py", "serve.py", "call.py"])
def test_the_public_api_is_enough(example: Path, name: str) -> None:
    """No name with a leading underscore is imported, or asked of an object of the library's."""
    tree = ast.parse((example / name).read_text(encoding="utf-8"))
    used: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            used += [node.module or "", *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            assert ast.unparse(node.value) == "self" or node.attr.endswith("__"), ast.unparse(node)
    parts = [part for module in used for part in module.split(".")]
    assert not [part for part in parts if part.startswith("_") and part != "__future__"]
