"""Callers of HTTP/2, on hypercorn and through the gateway on it: uvicorn doesn't speak it."""

from __future__ import annotations

import socket
from dataclasses import replace

import h2.config
import h2.connection
import h2.events
import pytest

from tests.transports.rest.torture.answers import answering
from tests.transports.rest.torture.callers import Answer, Outcome
from tests.transports.rest.torture.compare import normalised
from tests.transports.rest.torture.conftest import Plain
from tests.transports.rest.torture.recorder import PATIENCE, Field, Script, read_and_answer
from tests.transports.rest.torture.servers import GatewayPlace, Place
from tests.transports.rest.torture.test_over_sockets import nothing_left

# uvicorn has no HTTP/2.
pytestmark = pytest.mark.parametrize("gateway", ["hypercorn"], indirect=True)

_HEAD: list[Field] = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":authority", b"torture.example"),
]


def observe(place: Place, fields: list[Field], body: list[bytes], script: Script) -> Outcome:
    """Send a request, and read its answer."""
    place.recorder.journal.take()
    place.recorder.script = script
    config = h2.config.H2Configuration(header_encoding=None)
    connection = h2.connection.H2Connection(config)
    with socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE) as caller:
        connection.initiate_connection()
        connection.send_headers(1, fields, end_stream=not body)
        for at, piece in enumerate(body):
            connection.send_data(1, piece, end_stream=at == len(body) - 1)
        answer = Answer(0, ())
        over = False
        while not over:
            caller.sendall(connection.data_to_send())
            for event in connection.receive_data(caller.recv(65_536)):
                if isinstance(event, h2.events.ResponseReceived):
                    told = [(bytes(name), bytes(value)) for name, value in event.headers]
                    answer.status = int(told[0][1])
                    answer.fields = tuple(told[1:])
                elif isinstance(event, h2.events.DataReceived):
                    answer.body += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, h2.events.StreamEnded):
                    answer.whole = over = True
                elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                    over = True
        return Outcome(list(place.recorder.journal.take()), [answer])


CASES: dict[str, tuple[list[Field], list[bytes], Script]] = {
    "get": ([(b":path", b"/a?b=%20")], [], read_and_answer),
    "fields": (
        [(b":path", b"/a"), (b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3"), (b"x-e", b"")],
        [],
        read_and_answer,
    ),
    "body": ([(b":path", b"/a"), (b"content-length", b"6")], [b"one", b"two"], read_and_answer),
    "body without a length": ([(b":path", b"/a")], [b"one", b"two"], read_and_answer),
    "a long answer": ([(b":path", b"/a")], [], answering(200, pieces=(bytes(100_000),) * 10)),
    "fields of an answer": (
        [(b":path", b"/a")],
        [],
        answering(200, (b"Set-Cookie", b"a"), (b"set-cookie", b"b")),
    ),
    "204": ([(b":path", b"/a")], [], answering(204)),
    "te": ([(b":path", b"/a"), (b"te", b"trailers")], [], read_and_answer),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_request(name: str, plain: Plain, gateway: GatewayPlace) -> None:
    fields, body, script = CASES[name]
    there = normalised(observe(plain("hypercorn"), [*_HEAD, *fields], body, script), gateway=False)
    here = normalised(observe(gateway, [*_HEAD, *fields], body, script), gateway=True)
    assert there == here
    assert here.requests[0].http_version == "2"  # which Via tells
    assert nothing_left(gateway)


def test_a_cookie_in_crumbs_is_one_for_who_speaks_http_1(
    plain: Plain, gateway: GatewayPlace
) -> None:
    """RFC 9113 section 8.2.3: browsers send it so; hypercorn leaves it so."""
    crumbs: list[Field] = [(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]
    request = [*_HEAD, (b":path", b"/a"), *crumbs]
    there = normalised(observe(plain("hypercorn"), request, [], read_and_answer), gateway=False)
    here = normalised(observe(gateway, request, [], read_and_answer), gateway=True)
    headers = [field for field in there.requests[0].headers if field[0] != b"cookie"]
    joined = replace(there.requests[0], headers=(*headers, (b"cookie", b"a=1; b=2")))
    assert here == Outcome([joined], there.answers)
