"""Requests that nobody should write, answered as Go's net/rpc/jsonrpc answers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.errors import InvalidStream, InvalidValue
from wirecore.protocols.pool import JsonServing
from wirecore.protocols.pool.codec import Incoming


@dataclass
class Pair:
    a: int
    b: str


@dataclass
class Method:
    argument: Any


METHODS = {"T.Pair": Method(Pair), "T.Int": Method(int)}

#: Each asked of a Go 1.26 server, whose answer is beside it; "": it closed the connection.
ANSWERS = [
    # Of names that are repeated, in any letter case, the last counts; a null leaves what was.
    (
        '{"method":"T.Pair","params":[{"A":1,"a":2,"B":"x","B":"y"}],"id":1}',
        '{"id":1,"result":{"A":2,"B":"y"},"error":null}',
    ),
    ('{"method":"T.Pair","params":[{"a":2,"A":1}],"id":1}', '{"id":1,"result":{"A":1,"B":""}'),
    ('{"method":"T.Pair","params":[{"A":1,"A":null}],"id":1}', '{"id":1,"result":{"A":1,"B":""}'),
    (
        '{"method":"T.None","Method":"T.Int","params":[3],"PARAMS":[4],"id":1,"Id":2}',
        '{"id":2,"result":4,"error":null}',
    ),
    ('{"method":"T.Int","method":null,"params":[1],"id":5}', '{"id":5,"result":1,"error":null}'),
    ('{"method":"T.Int","params":[1],"id":5,"id":null}', '{"id":null,"result":1,"error":null}'),
    (
        '{"method":"T.Int","params":[1],"params":null,"id":5}',
        '{"id":5,"result":null,"error":"jsonrpc: request body missing params"}',
    ),
    # Arguments that aren't one.
    ('{"method":"T.Int","params":[],"id":1}', '{"id":1,"result":0,"error":null}'),
    ('{"method":"T.Int","params":[7,"x"],"id":1}', '{"id":1,"result":7,"error":null}'),
    ('{"method":"T.Int","params":[null],"id":1}', '{"id":1,"result":0,"error":null}'),
    (
        '{"method":"T.Int","id":1}',
        '{"id":1,"result":null,"error":"jsonrpc: request body missing params"}',
    ),
    (
        '{"method":"T.Int","params":{"a":1},"id":1}',
        '{"id":1,"result":null,"error":"json: cannot unmarshal object into Go value of type '
        '[1]interface {}"}',
    ),
    # Any id comes back, without its spaces.
    ('{"method":"T.Int","params":[1]}', '{"id":null,"result":1,"error":null}'),
    ('{"method":"T.Int","params":[1],"id":1.50}', '{"id":1.50,"result":1,"error":null}'),
    ('{"method":"T.Int","params":[1],"id":1e3}', '{"id":1e3,"result":1,"error":null}'),
    ('{"method":"T.Int","params":[1],"id":true}', '{"id":true,"result":1,"error":null}'),
    (
        '{"method":"T.Int","params":[1],"id":{"a": [1, 2], "b":null}}',
        '{"id":{"a":[1,2],"b":null},"result":1,"error":null}',
    ),
    (
        '{"method":"T.Int","params":[1],"id":"\\u00e9<&"}',
        '{"id":"\\u00e9\\u003c\\u0026","result":1,"error":null}',
    ),
    (
        '{"method":"T.Int","params":[1],"id":123456789012345678901234567890}',
        '{"id":123456789012345678901234567890,"result":1,"error":null}',
    ),
    # No method, or no request.
    ("{}", '{"id":null,"result":null,"error":"none of that name: \'\'"}'),
    ("null", '{"id":null,"result":null,"error":"none of that name: \'\'"}'),
    ('{"method":5,"params":[1],"id":5}', ""),
    ("[]", ""),
    ('"x"', ""),
]


def find(name: str) -> Method | str:
    return METHODS.get(name, f"none of that name: {name!r}")


def answer(serving: JsonServing, size: int) -> bytes:
    """What one request is answered, as a session does it."""
    incoming: list[Incoming] = []
    serving.take_requests(find, incoming, 1, size)
    if incoming:
        [(request, method, argument, _)] = incoming
        return b"".join(serving.encode_response(request, argument, method.argument))
    request = serving.next_request()  # type: ignore[assignment]
    found = find(request.method)
    if isinstance(found, str):
        serving.skip_argument()
        return b"".join(serving.encode_error(request, found))
    try:
        argument = serving.argument(found.argument)
    except InvalidValue as error:
        return b"".join(serving.encode_error(request, str(error)))
    return b"".join(serving.encode_response(request, argument, found.argument))


@pytest.mark.parametrize(("asked", "answered"), ANSWERS)
def test_what_go_answers(backend: Backend, asked: str, answered: str) -> None:
    serving = JsonServing(backend=backend)
    data = asked.encode() + b"\n"
    serving.feed(data)
    if answered:
        assert answer(serving, len(data)).decode().startswith(answered)
    else:
        with pytest.raises(InvalidStream):
            answer(serving, len(data))
