"""Sessions that were recorded with Go's client: ours takes its place.

It is asked for what Go's was asked for, must send the same bytes, and make the same of the
answers. It differs in what it doesn't send: what breaks the rules or the buffer, which cost Go's
client its connection. And it ends a connection with a close frame, where Go's just ends TCP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.transports.webwire.fake_server import FakeServer, fake_server
from tests.transports.webwire.recorded import SESSIONS, data_of, ended_by, messages_of
from wirecore.events import Close
from wirecore_trio import webwire
from wirecore_trio.webwire import Encoding, Payload

if TYPE_CHECKING:
    from tests.transports.conftest import RawPeer, Run
    from wirecore._backend import Backend
    from wirecore_py.webwire import Message
    from wirecore_trio.webwire._events import ClientHooks

GO_SESSIONS = [name for name, session in SESSIONS.items() if session["client"] == "Go"]

#: What doesn't even begin, and why.
MISMATCHES: dict[str, tuple[webwire.ClientOptions, type[Exception]]] = {
    "go client: sub-protocol mismatch": (
        webwire.ClientOptions(subprotocol="other"),
        webwire.SubprotocolMismatch,
    ),
    "go client: buffer size mismatch": (
        webwire.ClientOptions(buffer_size=4096),
        webwire.BufferSizeMismatch,
    ),
}

Attempt = Callable[[webwire.Client], Awaitable[object]]

#: What Go's client sent, and was dropped for: ours says what is wrong with it, and stays connected.
REFUSED: dict[str, list[tuple[Attempt, type[Exception]]]] = {
    "go client: oversized request": [
        (lambda client: client.request("big", b"x" * 64), webwire.BufferOverflow),
    ],
    "go client: name refused when writing": [
        (lambda client: client.request("n" * 256, "x"), webwire.UnsendableMessage),
        (lambda client: client.request("a\n", "x"), webwire.UnsendableMessage),
    ],
    "go client: name-only UTF-16 signal": [
        (lambda client: client.signal("even", Payload.utf16("")), webwire.UnsendableMessage),
    ],
}

#: What an answer without a payload means.
OUTCOMES = {
    2: webwire.InternalError,
    3: webwire.SessionNotFound,
    5: webwire.SessionsDisabled,
}


def options_of(session: str) -> webwire.ClientOptions:
    """A client's options that fit the server's."""
    recorded = SESSIONS[session]["server_options"]
    return webwire.ClientOptions(
        buffer_size=recorded.get("buffer", 8192), subprotocol=recorded.get("subprotocol", "")
    )


class Stand:
    """Our client in the place of Go's, and what it was told."""

    def __init__(self, backend: Backend, nursery: trio.Nursery) -> None:
        self._decode = backend.webwire.decode_message
        self._nursery = nursery
        self._answered = trio.Event()
        self._answered.set()
        self._asked: dict[int, int | str] = {}
        self.client: webwire.Client
        #: What became of requests: a payload, or an error.
        self.outcomes: list[object] = []
        self.expected: list[object] = []
        self.signals: list[tuple[str, Payload]] = []
        self.expected_signals: list[tuple[str, Payload]] = []
        self.sessions = self.expected_sessions = 0
        self.closed = self.expected_closed = 0

    def listen_to(self, hooks: ClientHooks) -> None:
        """Take note of what a client tells."""

        @hooks.on_signal()
        def signalled(signal: webwire.ServerSignal[Payload]) -> None:
            self.signals.append((signal.name, signal.payload))

        @hooks.on_session_created
        def created(session: webwire.Session) -> None:
            self.sessions += 1

        @hooks.on_session_closed
        def closed() -> None:
            self.closed += 1

    async def walk(self, peer: RawPeer, number: int, records: list[dict[str, Any]]) -> None:
        """One connection, message by message."""
        opened = trio.current_time()
        for record in records:
            message = self._decode(data_of(record))
            if record["from"] == "server":
                self._expect(message)
                await peer.message(data_of(record))
                continue
            if message[0] == 33:  # a heartbeat comes by itself
                assert await peer.next() == data_of(record)
                at = trio.current_time() - opened
                assert at == pytest.approx(record["t_ms"] / 1000, abs=0.02)
                continue
            kind, request_id, *_ = message
            if number and kind == 32:
                self._asked[request_id] = "restored by itself"
            else:
                self._asked[request_id] = kind
                await self._answered.wait()
                self._nursery.start_soon(self._ask, message)
            assert await peer.next() == data_of(record)
        await self._answered.wait()

    async def _ask(self, message: Message) -> None:
        kind, _, name, data = message
        client = self.client
        if 63 <= kind <= 65:
            await client.signal(name, Payload(data, Encoding(kind - 63)))
            return
        self._answered = trio.Event()
        try:
            if kind == 32:
                outcome: object = await client.restore_session(data.decode())
            elif kind == 31:
                await client.close_session()
                outcome = None
            else:
                outcome = await client.request(name, Payload(data, Encoding(kind - 127)))
            self.outcomes.append(outcome)
        except webwire.RequestError as error:
            self.outcomes.append((error.code, error.message))
        except Exception as error:  # noqa: BLE001 - compared with what was answered
            self.outcomes.append(type(error))
        self._answered.set()

    def _expect(self, message: Message) -> None:
        """What the client should make of a message of the server's."""
        kind, request_id, name, data = message
        asked = self._asked.get(request_id)
        if kind == 21:
            self.expected_sessions += 1
        elif kind == 22:
            self.expected_closed += 1
        elif 63 <= kind <= 65:
            self.expected_signals.append((name, Payload(data, Encoding(kind - 63))))
        elif kind == 0:
            self.expected.append((name, data.decode()))
        elif kind in OUTCOMES:
            self.expected.append(OUTCOMES[kind])
        elif asked == "restored by itself":
            self.expected_sessions += 1
        elif asked == 32:
            self.expected_sessions += 1  # as Go's client tells of it
            self.expected.append(webwire.Session.from_json(data))
        elif asked == 31:
            self.expected.append(None)
        elif kind >= 191:
            self.expected.append(Payload(data, Encoding(kind - 191)))

    def check(self) -> None:
        """That all was as Go's client found it."""
        assert self.signals == self.expected_signals
        assert (self.sessions, self.closed) == (self.expected_sessions, self.expected_closed)
        assert self.outcomes == self.expected


async def end(peer: RawPeer) -> None:
    """The client is left: it says so."""
    assert isinstance(await peer.next(), Close)
    await peer.close()
    assert await peer.next() is None


@pytest.mark.parametrize(
    "session", [name for name in GO_SESSIONS if name not in MISMATCHES and name not in REFUSED]
)
def test_ours_in_the_place_of_gos_sends_the_same(
    run_sockets: Run, backend: Backend, session: str
) -> None:
    connections = SESSIONS[session]["connections"]

    async def story() -> None:
        async with fake_server(backend) as server, trio.open_nursery() as nursery:
            stand = Stand(backend, nursery)
            connecting = webwire.connect(
                server.url, options_of(session), wait=False, backend=backend
            )
            stand.listen_to(connecting)
            async with connecting as stand.client:
                for number, connection in enumerate(connections):
                    peer = await server.accept()
                    await stand.walk(peer, number, messages_of(connection))
                    if ended_by(connection) == "server":
                        await peer.stream.aclose()
                nursery.start_soon(end, peer)
            stand.check()

    run_sockets(story)


@pytest.mark.parametrize("session", MISMATCHES)
def test_a_server_that_does_not_fit(run_sockets: Run, backend: Backend, session: str) -> None:
    options, expected = MISMATCHES[session]
    [connection] = SESSIONS[session]["connections"]
    [settings] = messages_of(connection)

    async def refuse(server: FakeServer) -> None:
        peer = await server.accept()
        await peer.message(data_of(settings))
        assert isinstance(await peer.next(), Close)

    async def story() -> None:
        async with fake_server(backend) as server, trio.open_nursery() as nursery:
            nursery.start_soon(refuse, server)
            with pytest.raises(expected):
                async with webwire.connect(server.url, options, backend=backend):
                    pytest.fail("it doesn't fit")
            assert server.accepted == 1

    run_sockets(story)


@pytest.mark.parametrize("session", REFUSED)
def test_what_cant_be_sent_is_refused(run_sockets: Run, backend: Backend, session: str) -> None:
    """The recorded client lost its connection each time, and made another one."""
    connections = SESSIONS[session]["connections"]
    settings = data_of(messages_of(connections[0])[0])
    after = messages_of(connections[-1])[1:]

    async def story() -> None:
        async with fake_server(backend) as server, trio.open_nursery() as nursery:
            connecting = webwire.connect(
                server.url, options_of(session), wait=False, backend=backend
            )
            async with connecting as client:
                peer = await server.accept()
                await peer.message(settings)
                await client.connect()
                for attempt, expected in REFUSED[session]:
                    with pytest.raises(expected):
                        await attempt(client)
                stand = Stand(backend, nursery)
                stand.client = client
                await stand.walk(peer, 0, after)
                stand.check()
                nursery.start_soon(end, peer)
            assert server.accepted == 1

    run_sockets(story)


def test_no_session_of_gos_is_skipped() -> None:
    assert len(GO_SESSIONS) == 15
    assert {*MISMATCHES, *REFUSED} <= set(GO_SESSIONS)
