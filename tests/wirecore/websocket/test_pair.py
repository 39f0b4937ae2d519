"""Both ends ours, in memory: from the request to the close, on every mix of backends."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecore._backend import Backend
from wirecore.errors import RemoteLimitExceeded
from wirecore.events import Message
from wirecore.session import Heartbeat, Limits
from wirecore.websocket import (
    ClientHandshake,
    Connection,
    DeflateOffer,
    DeflateParameters,
    ServerHandshake,
)


def take(connection: Connection, limit: int = 1 << 16) -> bytes:
    """All that waits to be sent."""
    data = b""
    while chunk := bytes(connection.outbox.take(limit)):
        connection.outbox.sent(len(chunk))
        data += chunk
    return data


def move(
    source: Connection, target: Connection, cuts: Sequence[int] = (), now: float = 0.0
) -> list[Message]:
    """Carry what *source* has to send to *target*, in pieces of the sizes *cuts* in turn."""
    data = take(source)
    sizes = cycle(cuts or (len(data) or 1,))
    found: list[Message] = []
    while data:
        size = next(sizes)
        found += target.receive(data[:size], now)
        data = data[size:]
    return found


def shake_hands(
    compression: DeflateOffer | None = None, step: int = 1 << 16
) -> DeflateParameters | None:
    """A whole opening handshake, in pieces of *step* bytes; what was agreed on compression."""
    client = ClientHandshake(
        host="example.com", target="/a?b", subprotocols=["v2", "v1"], compression=compression
    )
    server = ServerHandshake()
    wire = client.request()
    requests = [server.receive(wire[at : at + step]) for at in range(0, len(wire), step)]
    request = requests[-1]
    assert request is not None
    assert request.problem is None
    assert request.subprotocols == ("v2", "v1")
    wire = server.accept(subprotocol="v1", compression=compression or DeflateOffer())
    answers = [client.receive(wire[at : at + step]) for at in range(0, len(wire), step)]
    accepted = answers[-1]
    assert accepted is not None
    assert accepted.subprotocol == server.accepted.subprotocol == "v1"
    assert accepted.headers == server.accepted.headers
    assert accepted.deflate == server.accepted.deflate
    assert client.leftover == server.leftover == b""
    return accepted.deflate


def pair(
    backends: tuple[Backend, Backend],
    deflate: DeflateParameters | None = None,
    fragment_size: int = 0,
) -> tuple[Connection, Connection]:
    """A client and a server."""
    client, server = (
        Connection(client=index == 0, deflate=deflate, fragment_size=fragment_size, backend=backend)
        for index, backend in enumerate(backends)
    )
    return client, server


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
def test_opening_handshakes(step: int) -> None:
    assert shake_hands(step=step) is None
    assert shake_hands(DeflateOffer(), step=step) == DeflateParameters()


@pytest.mark.parametrize(
    "offer",
    [
        None,
        DeflateOffer(threshold=0),
        DeflateOffer(server_no_context_takeover=True, client_no_context_takeover=True),
        DeflateOffer(server_max_window_bits=9, client_max_window_bits=10, level=1, mem_level=1),
    ],
)
@pytest.mark.parametrize("fragment_size", [0, 512, 4096])
def test_messages_both_ways_and_a_close(
    backend: Backend,
    backends: tuple[Backend, Backend],
    offer: DeflateOffer | None,
    fragment_size: int,
) -> None:
    deflate = shake_hands(offer)
    assert (deflate is None) is (offer is None)
    for other in backends:
        client, server = pair((backend, other), deflate, fragment_size)
        dice = random.Random(1)
        messages: list[Message] = ["", b"", "ä€😀" * 100, dice.randbytes(70_000), b"x" * 200_000]
        for source, target in ((client, server), (server, client)):
            for message in messages:
                source.send(message)
            assert move(source, target) == messages
            source.send_all(messages)
            assert move(source, target, [1 << 12, 1, 3]) == messages
        token = client.ping()
        move(client, server)
        move(server, client)
        assert client.pongs == [token]
        server.close(1001, "bye")
        move(server, client)
        assert not client.finished
        move(client, server)
        assert server.finished
        client.receive_eof(0.0)
        assert client.closed_error().reason == "bye"
        assert server.closed_error().clean


def test_both_close_at_once(backends: tuple[Backend, Backend]) -> None:
    client, server = pair(backends)
    client.close(1000)
    server.close(1001)
    to_server, to_client = take(client), take(server)
    server.receive(to_server, 0.0)
    client.receive(to_client, 0.0)
    assert server.finished
    assert not client.finished
    assert (server.closed_error().code, client.closed_error().code) == (1000, 1001)
    assert take(client) == take(server) == b""


def test_two_heartbeats_keep_each_other_alive(backends: tuple[Backend, Backend]) -> None:
    client, server = (
        Connection(client=index == 0, heartbeat=Heartbeat(18, 20), backend=backend)
        for index, backend in enumerate(backends)
    )
    now = 0.0
    client.start(now)
    server.start(now)
    for _ in range(100):
        now = min(client.next_deadline(), server.next_deadline())
        client.expire(now)
        server.expire(now)
        move(client, server, now=now)
        move(server, client, now=now)
        move(client, server, now=now)
    assert now == 1800
    assert not client.finished
    assert not server.finished
    # Nothing goes through any more: both give up 20 s after the last pong.
    for end in (client, server):
        end.expire(1818)
        assert not end.finished
        end.expire(1820)
        assert end.finished


def test_a_bomb_is_stopped_at_the_limit(backend: Backend) -> None:
    deflate = DeflateParameters()
    client = Connection(client=True, deflate=deflate, backend=backend)
    limits = Limits(max_frame_size=1 << 16, max_message_size=1 << 20)
    server = Connection(client=False, deflate=deflate, limits=limits, backend=backend)
    client.send(bytes(1 << 20))
    assert move(client, server) == [bytes(1 << 20)]
    client.send(bytes((1 << 20) + 1))
    assert move(client, server) == []
    assert server.failure is not None
    assert (server.failure.code, server.failure.limit) == (1009, "max_message_size")
    move(server, client)
    error = client.closed_error()
    assert (error.code, error.clean) == (1009, True)
    assert isinstance(server.closed_error().__cause__, RemoteLimitExceeded)


def test_the_largest_limits_there_are(backend: Backend) -> None:
    deflate = DeflateParameters(threshold=0)
    client = Connection(client=True, deflate=deflate, backend=backend)
    limits = Limits((1 << 63) - 1, (1 << 63) - 1, (1 << 63) - 1)
    server = Connection(client=False, deflate=deflate, limits=limits, backend=backend)
    client.send_all(["Hello", ""])
    assert move(client, server) == ["Hello", ""]


def test_a_limit_that_fragments_pass_together(backend: Backend) -> None:
    client = Connection(client=True, fragment_size=10, backend=backend)
    limits = Limits(max_frame_size=10, max_message_size=25)
    server = Connection(client=False, limits=limits, backend=backend)
    client.send(bytes(25))
    assert move(client, server) == [bytes(25)]
    client.send(bytes(26))
    assert move(client, server) == []
    assert server.failure is not None
    assert (server.failure.figure, server.failure.bound) == (26, 25)


MESSAGES = st.text(max_size=300) | st.binary(max_size=300)


@given(
    compiled=st.booleans(),
    batches=st.lists(
        st.lists(st.tuples(st.booleans(), MESSAGES, st.integers(0, 2)), max_size=4), max_size=3
    ),
    cuts=st.lists(st.integers(1, 200), max_size=3),
    fragment_size=st.sampled_from([0, 1, 7]),
    deflate=st.none()
    | st.builds(
        DeflateParameters,
        st.booleans(),
        st.booleans(),
        st.integers(8, 15),
        st.integers(8, 15),
        threshold=st.integers(0, 50),
    ),
)
def test_whatever_is_sent_arrives_however_it_is_cut(
    backends: tuple[Backend, Backend],
    compiled: bool,
    batches: list[list[tuple[bool, Message, int]]],
    cuts: list[int],
    fragment_size: int,
    deflate: DeflateParameters | None,
) -> None:
    client, server = pair(backends if compiled else backends[::-1], deflate, fragment_size)
    tokens = []
    for batch in batches:
        for source, target in ((client, server), (server, client)):
            sent = []
            for by_hand, message, pings in batch:
                sent.append(message)
                if by_hand:
                    half = len(message) // 2
                    source.send_fragment(message[:half], last=False)
                    if source is client:
                        tokens += [client.ping() for _ in range(pings)]
                    source.send_fragment(message[half:], last=True)
                else:
                    source.send(message)
            assert move(source, target, cuts) == sent
    move(server, client, cuts)
    assert client.pongs == tokens
    client.close(1000, "done")
    move(client, server, cuts)
    move(server, client, cuts)
    assert server.finished
    assert server.closed_error().reason == "done"
    assert client.closed_error().clean


@given(
    data=st.binary(max_size=80),
    cuts=st.lists(st.integers(1, 80), max_size=6),
    client=st.booleans(),
    deflate=st.none() | st.just(DeflateParameters()),
    closing=st.booleans(),
)
def test_any_bytes_leave_a_connection_in_order(
    backends: tuple[Backend, Backend],
    data: bytes,
    cuts: list[int],
    client: bool,
    deflate: DeflateParameters | None,
    closing: bool,
) -> None:
    """Both backends, whole and cut: same messages, same state, as much to send."""
    outcomes = []
    for backend in backends:
        for sizes in ([len(data) or 1], cuts or [1]):
            connection = Connection(client=client, deflate=deflate, backend=backend)
            if closing:
                connection.close()
            found, rest, turn = [], data, 0
            while rest:
                size = sizes[turn % len(sizes)]
                found += connection.receive(rest[:size], float(turn))
                rest, turn = rest[size:], turn + 1
            sent = take(connection)
            outcomes.append(
                (found, connection.state, connection.failure, connection.close_received, len(sent))
            )
            connection.receive_eof(0.0)
            assert connection.finished
            assert connection.closed_error().code
    assert all(outcome == outcomes[0] for outcome in outcomes)
