"""One connection as its transport sees it: the handshake, the wire behind it, and its ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.wirecore.protocols.rest.recorded import payload, scenarios
from tests.wirecore.protocols.rest.wires import GET, OK
from wirecore._backend import Backend
from wirecore.errors import InvalidMessage, InvalidOption, InvalidState, NotConnected
from wirecore.events import Ping, Pong, RawText
from wirecore.protocols.rest import happenings
from wirecore.protocols.rest.handshake import ack_message, metadata_message
from wirecore.protocols.rest.happenings import DATA, END, HELD, READY, REQUEST, RESPONSE
from wirecore.protocols.rest.multiplexed import Multiplexed
from wirecore.protocols.rest.session import RestSession
from wirecore.session.heartbeat import Heartbeat
from wirecore.testing import Ends, check_session
from wirecore.websocket import Connection

ID = "d6e6e1f4-dd39-4b0a-80b4-69466d1fe7e1"


def client_of(backend: Backend, **options: Any) -> RestSession:
    make = partial(Multiplexed, client=True)
    return RestSession(
        **{"client": True, "metadata": {"n": 1}, "multiplexed": make, "backend": backend, **options}
    )


def server_of(backend: Backend, **options: Any) -> RestSession:
    make = partial(Multiplexed, client=False)
    return RestSession(
        **{
            "client": False,
            "connection_id": ID,
            "multiplexed": make,
            "backend": backend,
            **options,
        }
    )


def out(session: RestSession) -> bytes:
    """What leaves it."""
    data = b""
    while piece := bytes(session.outbox.take(1 << 16)):
        session.outbox.sent(len(piece))
        data += piece
    return data


def opened(backend: Backend, **options: Any) -> tuple[RestSession, RestSession]:
    client, server = client_of(backend, **options), server_of(backend, **options)
    client.start(0.0)
    server.start(0.0)
    server.receive(out(client), 0.0)
    assert client.receive(out(server), 0.0) == [(READY, None, ID)]
    assert server.receive(out(client), 0.0) == [(READY, None, {"n": 1})]
    return client, server


def test_handshake_then_exchanges(backend: Backend) -> None:
    client, server = opened(backend)
    assert client.connection_id == ID
    assert client.wire is not None
    assert server.wire is not None
    ours = client.wire.request(GET, b"", end=True, now=0.0)
    [(kind, theirs, _), (end, _, _)] = server.receive(out(client), 0.0)
    assert (kind, end) == (REQUEST, END)
    assert theirs is not None
    server.wire.respond(theirs, OK, b"hello", end=True, now=0.0)
    assert client.receive(out(server), 0.0) == [
        (RESPONSE, ours, OK),
        (DATA, ours, b"hello"),
        (END, ours, ()),
    ]


def test_a_client_may_send_all_at_once(backend: Backend) -> None:
    """As the recorded one does: its request comes in the same read as the handshake."""
    server = server_of(backend)
    server.start(0.0)
    peer = Connection(client=True, backend=backend)
    peer.send(RawText(metadata_message(None)))
    peer.send(RawText(ack_message()))
    make = Multiplexed(peer.send, client=True)
    make.request(GET, b"", end=True, now=0.0)
    told = server.receive(bytes(peer.outbox.take(1 << 16)), 0.0)
    assert [kind for kind, _, _ in told] == [READY, REQUEST, END]


def test_a_connection_with_one_direction_waits_to_be_told_which(backend: Backend) -> None:
    client, server = opened(backend, multiplexed=None)
    assert client.undecided
    assert client.wire is None
    client.use(partial(Multiplexed, client=True), 0.0)  # any wire will do here
    assert not client.undecided
    with pytest.raises(InvalidState):
        client.use(partial(Multiplexed, client=True), 0.0)
    assert client.wire is not None
    kept: list[bytes] = []
    client.wire.request(GET, b"", end=True, now=0.0)
    assert server.receive(out(client), 0.0) == [(HELD, None, None)]

    class Keeps(Multiplexed):
        """Takes what was kept for it."""

        def receive(self, messages: Any, now: float) -> list[happenings.Happening]:
            kept.extend(messages)
            return super().receive([bytes(message) for message in messages], now)

    told = server.use(partial(Keeps, client=False), 0.0)
    assert [kind for kind, _, _ in told] == [REQUEST, END]
    assert len(kept) == 1


@pytest.mark.parametrize("name", ["wrong_type", "not_json", "empty_message", "wrong_ack"])
def test_a_handshake_that_leaves_the_original_hanging_is_closed(
    backend: Backend, name: str
) -> None:
    server = server_of(backend, multiplexed=None)
    server.start(0.0)
    peer = Connection(client=True, backend=backend)
    for entry in scenarios()[f"handshake/rawclient/{name}"]["trace"]:
        if entry["dir"] == "c2s" and entry["kind"] == "text":
            peer.send(RawText(payload(entry)))
    assert server.receive(bytes(peer.outbox.take(1 << 16)), 0.0) == []
    assert isinstance(server.problem, InvalidMessage)
    if peer.receive(out(server), 0.0):
        peer.receive(b"", 0.0)  # the end, which was put off behind a message
    assert peer.close_received is not None
    assert peer.close_received.code == 1002
    assert server.stage.finished


def test_a_silent_client_is_closed_in_time(backend: Backend) -> None:
    server = server_of(backend, handshake_timeout=10.0)
    server.start(5.0)
    assert server.next_deadline() == 15.0
    server.expire(15.0)
    assert "within 10 s" in str(server.problem)
    peer = Connection(client=True, backend=backend)
    peer.receive(out(server), 0.0)
    assert peer.close_received is not None
    assert peer.close_received.code == 1008
    with pytest.raises(InvalidOption, match="handshake_timeout"):
        server_of(backend, handshake_timeout=0)


def test_a_peer_that_goes_in_the_middle(backend: Backend) -> None:
    """As the recorded one does, with a close frame."""
    server = server_of(backend)
    server.start(0.0)
    peer = Connection(client=True, backend=backend)
    peer.send(RawText(metadata_message(None)))
    peer.close(1000, "x")
    assert server.receive(bytes(peer.outbox.take(1 << 16)), 0.0) == []
    server.receive(b"", 0.0)
    assert server.problem is None
    assert server.closed_error().code == 1000


def test_a_broken_rule_ends_the_connection_and_what_runs_on_it(backend: Backend) -> None:
    client, server = opened(backend)
    assert client.wire is not None
    assert server.wire is not None
    ours = client.wire.request(GET, b"", end=True, now=0.0)
    server.receive(out(client), 0.0)
    server._put_binary(b"\xff\x00\x00\x00\x01")
    assert client.receive(out(server), 0.0) == []
    assert isinstance(client.problem, InvalidMessage)
    assert client.stage.finished
    assert client.lost() == [ours]
    with pytest.raises(NotConnected):
        client.wire.request(GET, b"", end=True, now=0.0)


def test_pings_carry_data_and_hooks_see_them(backend: Backend) -> None:
    seen: list[Ping | Pong] = []

    def hook(event: Ping | Pong) -> bool:
        seen.append(event)
        return event == Ping(b"mine")

    client, server = opened(backend)
    client, server = (
        client_of(backend, heartbeat=Heartbeat(5.0, None, b"beat")),
        server_of(backend, on_control=hook),
    )
    client.start(0.0)
    server.start(0.0)
    server.receive(out(client), 0.0)
    client.receive(out(server), 0.0)
    client.expire(5.0)
    client.ping(b"mine")
    server.receive(out(client), 5.0)
    assert seen == [Ping(b"beat"), Ping(b"mine")]
    client.receive(out(server), 5.0)
    assert client.pongs == []  # the hook has stood for the answer
    server.pong(b"mine")
    client.receive(out(server), 5.0)
    assert client.pongs == [b"mine"]


def test_it_keeps_the_contract_of_sessions(backend: Backend) -> None:
    def make_pair() -> tuple[RestSession, RestSession]:
        return client_of(backend), server_of(backend)

    def exchanges(ends: Ends[RestSession, Any]) -> None:
        ends.settle()
        client, server = ends.client.session, ends.server.session
        if client.wire is None or server.wire is None or not client.open:
            return
        client.wire.request(GET, b"", end=True, now=ends.now)
        stream = client.wire.request(GET, b"x" * 3000, end=False, now=ends.now)
        ends.settle()
        if client.open:
            client.wire.send(stream, b"y" * 500, end=True, now=ends.now)
        ends.settle()

    check_session(make_pair, [exchanges], describe=lambda told: [kind for kind, _, _ in told])
