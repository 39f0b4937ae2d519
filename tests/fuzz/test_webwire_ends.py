"""A running server and a running client of webwire, at whose other end somebody sends anything.

Whatever comes: each message is handled once, up to the first that is none, and not read beyond
its end; each request is answered or fails, once; what a server sends is a message; nothing is
left running; and the server serves others, the client finds the next server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.test_webwire import MESSAGES, OTHERS, REPLIES, REQUESTS, SIGNALS
from tests.transports.webwire.fake_server import SETTINGS, FakeServer, fake_server
from tests.transports.webwire.raw_client import RawClient
from wirecore._backend import Backend, load
from wirecore.constants import Opcode
from wirecore.events import Close
from wirecore.webwire_rules import MALFORMED
from wirecore_trio import webwire
from wirecore_trio.webwire import Encoding, Payload

if TYPE_CHECKING:
    from tests.fuzz.conftest import Mutated
    from tests.transports.conftest import RawPeer
    from wirecore_py.webwire import Message

FUZZ = settings.get_profile("wirecore-fuzz")

#: What bytes mean is told by the twin that is easy to read.
PURE = load("py")

#: Seconds that an example may take before it hangs.
HANGS = 10

BUFFER = 300
OPTIONS = st.builds(
    webwire.ServerOptions,
    buffer_size=st.just(BUFFER),
    concurrency=st.sampled_from([1, 1, 2, -1]),
    max_queue=st.sampled_from([1, 1024]),
)


def meaning(messages: list[bytes], most: int = 1 << 24) -> tuple[list[Message], int]:
    """What *messages* say, up to the first that is none, or longer than *most*.

    And the code of the close that this one ends the connection with; 0 where there is none.
    """
    found: list[Message] = []
    for message in messages:
        decoded = PURE.webwire.decode_message(message)
        if len(message) > most:
            return found, 1009
        if decoded[0] == MALFORMED:
            return found, 1002
        found.append(decoded)
    return found, 0


@st.composite
def pieces(draw: st.DrawFn, count: int) -> list[int]:
    """Where a stream of *count* bytes is cut."""
    return [0, *sorted(draw(st.lists(st.integers(0, count), max_size=4))), count]


async def send(peer: RawPeer, messages: list[bytes], data: st.DataObject) -> None:
    """Send *messages*, whole or in fragments, the stream of them in any pieces."""
    size = data.draw(st.sampled_from([1 << 20, 1 << 20, 40]), "size of fragments")
    stream = bytearray()
    for message in messages:
        starts = range(0, max(len(message), 1), size)
        for start in starts:
            opcode = Opcode.CONTINUATION if start else Opcode.BINARY
            part = message[start : start + size]
            stream += peer.frame(opcode, part, fin=start == starts[-1])
    await send_stream(peer, bytes(stream), data)


async def send_stream(peer: RawPeer, stream: bytes, data: st.DataObject) -> None:
    """Send *stream* in any pieces, as far as the other end takes them."""
    for start, stop in pairwise(data.draw(pieces(len(stream)), "cuts")):
        try:
            await peer.send(stream[start:stop])
        except trio.BrokenResourceError:
            return
        await trio.testing.wait_all_tasks_blocked()


# --- a server ---------------------------------------------------------------------------------


@dataclass
class Served:
    """A server that echoes, and what it was told."""

    server: webwire.Server
    backend: Backend
    port: int = 0
    handled: list[tuple[bool, str, Payload]] = field(default_factory=list)
    running: int = 0
    connected: int = 0
    disconnected: int = 0

    def __post_init__(self) -> None:
        server = self.server

        @server.request()
        async def echo(request: webwire.Request[Payload]) -> Payload:
            await self._handle(True, request.name, request.payload)
            return request.payload

        @server.signal()
        async def listen(signal: webwire.Signal[Payload]) -> None:
            await self._handle(False, signal.name, signal.payload)

        @server.on_client_connected
        def on_client_connected(connection: webwire.Connection) -> None:
            self.connected += 1

        @server.on_client_disconnected
        def on_client_disconnected(connection: webwire.Connection, reason: object) -> None:
            self.disconnected += 1

    async def _handle(self, is_request: bool, name: str, payload: Payload) -> None:
        self.handled.append((is_request, name, payload))
        self.running += 1
        await trio.lowlevel.checkpoint()
        self.running -= 1

    async def check_alive(self) -> None:
        """Somebody else is served."""
        async with await RawClient.open(self.port, self.backend) as other:
            assert (await other.next())[0] == SETTINGS[0]
            answer = await other.request(b"\x7f" + bytes(8) + b"\x05other")
            assert answer == b"\xbf" + bytes(8)
        assert self.handled.pop() == (True, "other", Payload())


@asynccontextmanager
async def serving(options: webwire.ServerOptions, backend: Backend) -> AsyncIterator[Served]:
    """A server with a client for the test; nothing of either is left in the end."""
    made = webwire.Server(options, store=webwire.MemoryStore(), backend=backend)
    served = Served(made, backend)
    with trio.fail_after(HANGS):
        async with trio.open_nursery() as nursery:
            listener = await nursery.start(made.serve, "127.0.0.1")
            served.port = listener.port
            yield served
            await made.shutdown()
    assert made.connections == []
    assert (served.running, served.connected) == (0, served.disconnected)


def answer_to(message: Message) -> bytes | None:
    """What an echoing server without sessions sends."""
    kind, number, _, payload = message
    id_: bytes = number.to_bytes(8, "little")
    if 127 <= kind <= 129:
        return bytes((kind + 64,)) + id_ + bytes(kind == 129) + payload
    return {31: b"\xbf" + id_, 32: b"\x03" + id_}.get(kind)


def handled_of(messages: list[Message]) -> list[tuple[bool, str, Payload]]:
    """What of *messages* handlers are called with."""
    return [
        (kind >= 127, name, Payload(payload, Encoding(kind - (127 if kind >= 127 else 63))))
        for kind, _, name, payload in messages
        if 63 <= kind <= 65 or 127 <= kind <= 129
    ]


@FUZZ
@given(data=st.data(), options=OPTIONS)
def test_a_server_that_anything_is_sent_to(
    backend: Backend, mutated: Mutated, data: st.DataObject, options: webwire.ServerOptions
) -> None:
    legal = REQUESTS | SIGNALS | OTHERS
    anything = legal | MESSAGES | mutated(legal) | st.binary(max_size=20)
    messages = data.draw(st.lists(legal, max_size=8) | st.lists(anything, max_size=8), "messages")
    said, malformed = meaning(messages, BUFFER)
    answers = [answer for answer in map(answer_to, said) if answer is not None]

    async def story() -> None:
        async with serving(options, backend) as served:
            async with await RawClient.open(served.port, backend) as client:
                assert (await client.next())[0] == SETTINGS[0]
                await send(client, messages, data)
                came = []
                if malformed:
                    while isinstance(answer := await client.next(), bytes):
                        came.append(answer)
                    assert isinstance(answer, Close)
                    assert answer.code == malformed
                    with suppress(trio.BrokenResourceError):  # it needn't wait for that
                        await client.close(answer.code)
                        assert await client.rest() == []
                else:
                    came = [await client.next() for _ in answers]
                    assert len(came) == len(answers)
            check_answers(came, answers, in_order=options.concurrency == 1)
            await served.check_alive()
        if options.concurrency == 1:
            assert served.handled == handled_of(said)
        assert sorted(map(repr, served.handled)) == sorted(map(repr, handled_of(said)))

    trio.run(story)


def check_answers(came: list[bytes], answers: list[bytes], *, in_order: bool) -> None:
    """That *came* are *answers*, as far as the connection lasted."""
    if in_order:
        assert came == answers[: len(came)]
    left = list(answers)
    for answer in came:
        left.remove(answer)


@FUZZ
@given(data=st.data(), options=OPTIONS)
def test_a_server_on_any_stream(
    backend: Backend, mutated: Mutated, data: st.DataObject, options: webwire.ServerOptions
) -> None:
    """Frames are damaged, too, and the stream ends where it likes."""
    frames = st.builds(
        # The key 0 masks nothing.
        lambda first, message: bytes((first, 0x80 | len(message))) + bytes(4) + message,
        st.sampled_from([0x82, 0x82, 0x82, 0x02, 0x00, 0x80, 0x81, 0x88, 0x89, 0x8A, 0xC2]),
        MESSAGES.filter(lambda message: len(message) < 126),
    )
    stream = data.draw(mutated(st.lists(frames, max_size=6).map(b"".join)), "stream")

    async def story() -> None:
        async with serving(options, backend) as served:
            async with await RawClient.open(served.port, backend) as client:
                await send_stream(client, stream, data)
                assert (await client.next())[0] == SETTINGS[0]
            await served.check_alive()

    trio.run(story)


# --- a client ---------------------------------------------------------------------------------

REFUSALS: dict[int, type[Exception]] = {
    1: webwire.ServerShutdown,
    2: webwire.InternalError,
    3: webwire.SessionNotFound,
    4: webwire.MaxSessionConnectionsReached,
    5: webwire.SessionsDisabled,
}

AT_ONCE = webwire.ClientOptions(
    retry=webwire.RetryPolicy(backoff=lambda: webwire.Backoff(1e-3, 1.0, 0.0, 1e-3))
)


@dataclass
class Asking:
    """A client's requests, and what became of each."""

    client: webwire.Client
    outcomes: dict[str, object] = field(default_factory=dict)

    async def ask(self, name: str) -> None:
        try:
            outcome: object = await self.client.request(name)
        except webwire.RequestError as error:
            outcome = (error.code, error.message)
        except webwire.Disconnected:
            outcome = webwire.Disconnected
        except Exception as error:  # noqa: BLE001 - compared with what the server sent
            outcome = type(error)
        assert name not in self.outcomes
        self.outcomes[name] = outcome


def outcomes_of(said: list[Message], asked: dict[int, str]) -> dict[str, object]:
    """What the first answer to each request says; where there is none it was lost."""
    found: dict[str, object] = {}
    for kind, number, name, payload in said:
        outcome: object = None
        if kind >= 191:
            outcome = Payload(payload, Encoding(kind - 191))
        elif kind == 0:
            outcome = (name, payload.decode("utf-8", "replace"))
        elif kind in REFUSALS:
            outcome = REFUSALS[kind]
        if outcome is not None and number in asked:
            found.setdefault(asked[number], outcome)
    return {name: found.get(name, webwire.Disconnected) for name in asked.values()}


async def behave_well(server: FakeServer) -> RawPeer:
    """The next connection: no session is known, and a request is answered."""
    peer = await server.accept()
    await peer.message(SETTINGS)
    while True:
        request = await peer.next()
        assert isinstance(request, bytes)
        if request[0] == 32:
            await peer.message(b"\x03" + request[1:9])
        else:
            assert request[9:] == b"\x04well"
            await peer.message(b"\xc0" + request[1:9] + b"indeed")
            return peer


@FUZZ
@given(data=st.data(), count=st.integers(0, 4))
def test_a_client_that_anything_is_sent_to(
    backend: Backend, mutated: Mutated, data: st.DataObject, count: int
) -> None:
    anything = MESSAGES | mutated(REPLIES) | mutated(MESSAGES) | st.binary(max_size=20)
    messages = data.draw(st.lists(anything, max_size=8), "messages")
    said, malformed = meaning(messages)
    names = [f"request {number}" for number in range(count)]

    async def story() -> None:
        signals = []
        async with (
            fake_server(backend) as server,
            trio.open_nursery() as nursery,
            webwire.connect(server.url, AT_ONCE, wait=False, backend=backend) as client,
        ):
            client.on_signal()(lambda signal: signals.append((signal.name, signal.payload)))
            peer = await server.accept()
            await peer.message(SETTINGS)
            await client.connect()
            asking = Asking(client)
            for name in names:
                nursery.start_soon(asking.ask, name)
            requests = [await peer.next() for _ in names]
            asked = {
                int.from_bytes(request[1:9], "little"): request[10:].decode()
                for request in requests
            }
            await send(peer, messages, data)
            if malformed:
                assert isinstance(await peer.next(), Close | None)
            await peer.stream.aclose()

            nursery.start_soon(behave_well, server)
            while True:
                with trio.fail_after(HANGS):
                    await client.connect()
                    try:
                        assert (await client.request("well")).text == "indeed"
                        break
                    except webwire.Disconnected:
                        continue  # it was still the old connection
            await trio.testing.wait_all_tasks_blocked()
            assert asking.outcomes == outcomes_of(said, asked)
            assert server.accepted == 2
            nursery.start_soon(server.close)
        assert signals == [
            (name, Payload(payload, Encoding(kind - 63)))
            for kind, _, name, payload in said
            if 63 <= kind <= 65
        ]

    trio.run(story)


@FUZZ
@given(data=st.data())
def test_a_client_whose_server_begins_with_anything(
    backend: Backend, mutated: Mutated, data: st.DataObject
) -> None:
    """What isn't the settings that it wants ends the attempts, and is no loss that passes."""
    first = data.draw(mutated(st.just(SETTINGS)) | MESSAGES | st.binary(max_size=20), "first")
    [*said], malformed = meaning([first])
    fits = not malformed and said[0][0] == 23 and first[:2] == SETTINGS[:2]
    fits = fits and first[7:] == SETTINGS[7:]

    async def begin(server: FakeServer) -> None:
        peer = await server.accept()
        await send(peer, [first], data)
        assert isinstance(await peer.next(), Close)
        await peer.stream.aclose()

    async def story() -> None:
        async with fake_server(backend) as server, trio.open_nursery() as nursery:
            nursery.start_soon(begin, server)
            with trio.fail_after(HANGS):
                error: Exception | None = None
                try:
                    async with webwire.connect(server.url, AT_ONCE, backend=backend) as client:
                        assert client.connections == 1
                except webwire.Incompatible as incompatible:
                    error = incompatible
            assert (error is None) == fits
            assert server.accepted == 1

    trio.run(story)
