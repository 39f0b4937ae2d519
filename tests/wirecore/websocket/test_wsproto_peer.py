"""wsproto as the peer, in both roles: what it sends we understand, and the other way round."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from wirecore._backend import Backend
from wirecore.errors import UpgradeRejected
from wirecore.events import Message
from wirecore.websocket import (
    ClientHandshake,
    Connection,
    DeflateOffer,
    ServerHandshake,
)


class Peer:
    """A wsproto connection, and what it made of all it received."""

    def __init__(self, role: ConnectionType) -> None:
        self.ws = WSConnection(role)
        self.events: list[Event] = []
        self._text: list[str] = []
        self._binary: list[bytes] = []
        self.messages: list[Message] = []

    def receive(self, data: bytes) -> None:
        self.ws.receive_data(data)
        for event in self.ws.events():
            self.events.append(event)
            if isinstance(event, TextMessage):
                self._text.append(event.data)
                if event.message_finished:
                    self.messages.append("".join(self._text))
                    self._text.clear()
            elif isinstance(event, BytesMessage):
                self._binary.append(bytes(event.data))
                if event.message_finished:
                    self.messages.append(b"".join(self._binary))
                    self._binary.clear()

    def last(self) -> Event:
        """The last event."""
        return self.events[-1]

    def send(self, messages: Iterable[Message]) -> bytes:
        return b"".join(
            self.ws.send(
                TextMessage(message) if isinstance(message, str) else BytesMessage(message)
            )
            for message in messages
        )


def take(connection: Connection) -> bytes:
    data = b""
    while chunk := bytes(connection.outbox.take(1 << 16)):
        connection.outbox.sent(len(chunk))
        data += chunk
    return data


def open_as_server(
    backend: Backend, ours: DeflateOffer | None, theirs: PerMessageDeflate | None
) -> tuple[Connection, Peer]:
    """Our server and wsproto's client, open."""
    peer = Peer(ConnectionType.CLIENT)
    request = Request(
        host="example.com",
        target="/chat?room=1",
        subprotocols=["v2", "v1"],
        extensions=[] if theirs is None else [theirs],
        extra_headers=[(b"X-Extra", b"1")],
    )
    handshake = ServerHandshake()
    asked = handshake.receive(peer.ws.send(request))
    assert asked is not None
    assert asked.problem is None
    assert (asked.path, asked.query, asked.host) == ("/chat", "room=1", "example.com")
    assert list(asked.subprotocols) == ["v2", "v1"]
    assert asked.header(b"x-extra") == b"1"
    peer.receive(handshake.accept(subprotocol="v1", headers=[("X-Too", "2")], compression=ours))
    (accepted,) = peer.events
    assert isinstance(accepted, AcceptConnection)
    assert accepted.subprotocol == "v1"
    assert (b"x-too", b"2") in accepted.extra_headers
    deflate = handshake.accepted.deflate
    assert (deflate is not None) is bool(accepted.extensions)
    return Connection(client=False, deflate=deflate, backend=backend), peer


def open_as_client(
    backend: Backend, ours: DeflateOffer | None, theirs: PerMessageDeflate | None
) -> tuple[Connection, Peer]:
    """Our client and wsproto's server, open."""
    peer = Peer(ConnectionType.SERVER)
    handshake = ClientHandshake(
        host="example.com", target="/chat?room=1", subprotocols=["v2", "v1"], compression=ours
    )
    peer.receive(handshake.request())
    (asked,) = peer.events
    assert isinstance(asked, Request)
    assert (asked.host, asked.target) == ("example.com", "/chat?room=1")
    assert list(asked.subprotocols) == ["v2", "v1"]
    answer = AcceptConnection(subprotocol="v1", extensions=[] if theirs is None else [theirs])
    accepted = handshake.receive(peer.ws.send(answer))
    assert accepted is not None
    assert accepted.subprotocol == "v1"
    both = ours is not None and theirs is not None
    assert (accepted.deflate is not None) is both
    return Connection(client=True, deflate=accepted.deflate, backend=backend), peer


Role: TypeAlias = Callable[
    [Backend, DeflateOffer | None, PerMessageDeflate | None], tuple[Connection, Peer]
]

ROLES = pytest.mark.parametrize("role", [open_as_server, open_as_client])

OFFERS = pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (None, None),
        (DeflateOffer(), None),
        (None, PerMessageDeflate()),
        (DeflateOffer(threshold=0), PerMessageDeflate()),
        (DeflateOffer(threshold=100, server_max_window_bits=12), PerMessageDeflate()),
        (
            DeflateOffer(server_no_context_takeover=True, client_no_context_takeover=True),
            PerMessageDeflate(),
        ),
        (
            DeflateOffer(client_max_window_bits=10),
            PerMessageDeflate(client_max_window_bits=9, server_max_window_bits=11),
        ),
        (DeflateOffer(), PerMessageDeflate(server_no_context_takeover=True)),
    ],
)


def fresh(theirs: PerMessageDeflate | None) -> PerMessageDeflate | None:
    """wsproto keeps a connection's state in the extension: each needs one of its own."""
    if theirs is None:
        return None
    return PerMessageDeflate(
        client_no_context_takeover=theirs.client_no_context_takeover,
        client_max_window_bits=theirs.client_max_window_bits,
        server_no_context_takeover=theirs.server_no_context_takeover,
        server_max_window_bits=theirs.server_max_window_bits,
    )


@ROLES
@OFFERS
def test_messages_pings_and_close(
    backend: Backend,
    role: Role,
    ours: DeflateOffer | None,
    theirs: PerMessageDeflate | None,
) -> None:
    connection, peer = role(backend, ours, fresh(theirs))
    dice = random.Random(7)
    messages: list[Message] = [
        "",
        "",
        "ä€😀" * 50,
        b"",
        dice.randbytes(70_000),
        "x" * 100_000,
        b"y",
    ]
    for _ in range(2):
        connection.send_all(messages)
        peer.receive(take(connection))
        assert peer.messages == messages
        peer.messages.clear()
        assert connection.receive(peer.send(messages), 0.0) == messages

    token = connection.ping()
    peer.receive(take(connection))
    assert peer.last() == Ping(token)
    connection.receive(peer.ws.send(Ping(b"theirs").response()), 0.0)
    assert connection.pongs == []
    connection.receive(peer.ws.send(Pong(token)), 0.0)
    assert connection.pongs == [token]
    connection.receive(peer.ws.send(Ping(b"theirs")), 0.0)
    peer.receive(take(connection))
    assert peer.last() == Pong(b"theirs")

    connection.close(4000, "enough")
    peer.receive(take(connection))
    closed = peer.last()
    assert closed == CloseConnection(code=4000, reason="enough")
    assert isinstance(closed, CloseConnection)
    connection.receive(peer.ws.send(closed.response()), 0.0)
    assert connection.closed_error().clean
    assert peer.ws.state is ConnectionState.CLOSED


@ROLES
def test_the_peer_closes(backend: Backend, role: Role) -> None:
    connection, peer = role(backend, None, None)
    connection.receive(peer.ws.send(CloseConnection(code=1001, reason="bye")), 0.0)
    peer.receive(take(connection))
    assert peer.last() == CloseConnection(code=1001, reason="")
    assert peer.ws.state is ConnectionState.CLOSED
    error = connection.closed_error()
    assert (error.code, error.reason, error.clean) == (1001, "bye", True)


@ROLES
def test_the_peer_breaks_a_rule(backend: Backend, role: Role) -> None:
    connection, peer = role(backend, None, None)
    wrong = peer.send(["fine"]) + b"\xf3"
    assert connection.receive(wrong, 0.0) == ["fine"]
    assert connection.receive(b"", 0.0) == []
    assert connection.finished
    peer.receive(take(connection))
    closed = peer.last()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1002


@ROLES
def test_fragments_compressed_and_not(backend: Backend, role: Role) -> None:
    for ours, theirs in ((None, None), (DeflateOffer(), PerMessageDeflate())):
        connection, peer = role(backend, ours, theirs)
        for _ in range(2):
            connection.send_fragment("one, " * 30, last=False)
            connection.send_fragment("two, " * 30, last=False)
            connection.send_fragment("three", last=True)
        peer.receive(take(connection))
        whole = "one, " * 30 + "two, " * 30 + "three"
        assert peer.messages == [whole, whole]
        wire = peer.ws.send(TextMessage("one, ", message_finished=False))
        ping = peer.ws.send(Ping(b"between"))
        wire += ping + peer.ws.send(TextMessage("two", message_finished=True))
        assert connection.receive(wire, 0.0) == ["one, two"]


def test_our_client_is_refused() -> None:
    peer = Peer(ConnectionType.SERVER)
    handshake = ClientHandshake(host="example.com")
    peer.receive(handshake.request())
    refusal = RejectConnection(status_code=403, headers=[(b"content-length", b"2")], has_body=True)
    assert handshake.receive(peer.ws.send(refusal)) is None
    with pytest.raises(UpgradeRejected, match="status 403") as caught:
        handshake.receive(peer.ws.send(RejectData(data=b"no")))
    assert caught.value.body == b"no"


def test_our_server_refuses() -> None:
    peer = Peer(ConnectionType.CLIENT)
    handshake = ServerHandshake()
    wire = peer.ws.send(Request(host="example.com", target="/"))
    request = handshake.receive(wire.replace(b"Version: 13", b"Version: 12"))
    assert request is not None
    assert request.problem is not None
    peer.receive(handshake.respond(request.problem))
    refusal = peer.events[0]
    assert isinstance(refusal, RejectConnection)
    assert refusal.status_code == 426
    assert (b"sec-websocket-version", b"13") in refusal.headers


def test_our_request_is_theirs_but_for_key_and_user_agent() -> None:
    theirs = WSConnection(ConnectionType.CLIENT).send(
        Request(host="example.com", target="/a?b", subprotocols=["v2", "v1"])
    )
    ours = ClientHandshake(
        host="example.com", target="/a?b", subprotocols=["v2", "v1"], user_agent=None
    ).request()
    key = re.compile(rb"(?<=Sec-WebSocket-Key: )[A-Za-z0-9+/]{22}==")
    assert key.sub(b"", ours) == key.sub(b"", theirs)
    assert len(ours) == len(theirs)


def test_our_answer_is_theirs_to_the_byte() -> None:
    wire = ClientHandshake(host="example.com", subprotocols=["v2", "v1"]).request()
    theirs = Peer(ConnectionType.SERVER)
    theirs.receive(wire)
    ours = ServerHandshake()
    ours.receive(wire)
    more = [(b"X-Node", b"7")]
    assert ours.accept(subprotocol="v1", headers=more) == theirs.ws.send(
        AcceptConnection(subprotocol="v1", extra_headers=more)
    )


@given(st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=4))
def test_a_servers_frames_are_theirs_to_the_byte(
    backends: tuple[Backend, Backend], messages: list[Message]
) -> None:
    for backend in backends:
        connection, peer = open_as_client(backend, None, None)
        ours = Connection(client=False, backend=backend)
        for message in messages:
            ours.send(message)
        ours.close(1001, "bye")
        theirs = peer.send(messages) + peer.ws.send(CloseConnection(code=1001, reason="bye"))
        wire = take(ours)
        assert wire == theirs
        assert connection.receive(wire, 0.0) == messages


@given(
    messages=st.lists(st.text(max_size=200) | st.binary(max_size=200), max_size=5),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    compressed=st.booleans(),
    client=st.booleans(),
)
def test_the_peers_messages_however_they_are_cut(
    backends: tuple[Backend, Backend],
    messages: list[Message],
    cuts: list[int],
    compressed: bool,
    client: bool,
) -> None:
    role = open_as_client if client else open_as_server
    for backend in backends:
        connection, peer = role(
            backend,
            DeflateOffer() if compressed else None,
            PerMessageDeflate() if compressed else None,
        )
        wire, turn = peer.send(messages), 0
        found: list[Message] = []
        while wire:
            size = cuts[turn % len(cuts)]
            found += connection.receive(wire[:size], 0.0)
            wire, turn = wire[size:], turn + 1
        assert found == messages
