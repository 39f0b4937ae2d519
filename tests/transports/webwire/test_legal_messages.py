"""Whatever a server's program does, what goes over the wire is a message, and not too long.

A client of the original's is dead for good after anything else. And a request gets its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.transports.webwire.original_server import OriginalServer, serving
from tests.transports.webwire.raw_client import RawClient
from wirecore.errors import InvalidOption, InvalidState, WirecoreError
from wirecore_trio import webwire
from wirecore_trio.webwire import Encoding, MemoryStore, Payload, Request, RequestError

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore._backend import Backend

#: Bytes of the message buffer here, and of what is left of it in a reply.
BUFFER = 64
ROOM = BUFFER - 9

ID = bytes(range(1, 9))
REQUEST = b"\x7f" + ID + b"\x04test"
INTERNAL_ERROR = b"\x02" + ID

#: Types of a server's messages.
SERVER_TYPES = {0, 1, 2, 3, 4, 5, 21, 22, 23, 63, 64, 65, 191, 192, 193}


def check_legal(message: Any, backend: Backend, buffer: int = BUFFER) -> None:
    """That a client of the original's, set to *buffer*, can read *message*."""
    assert isinstance(message, bytes), message
    assert 0 < len(message) <= buffer
    kind, _, name, data = backend.webwire.decode_message(message)
    assert kind in SERVER_TYPES, name
    assert name.isascii()
    assert name.isprintable()
    if kind == 21:
        webwire.Session.from_json(data)


def refuse(*arguments: Any) -> Callable[[], object]:
    """A handler that raises a RequestError of *arguments*."""

    def handle() -> object:
        raise RequestError(*arguments)

    return handle


def fail(error: BaseException) -> Callable[[], object]:
    def handle() -> object:
        raise error

    return handle


#: What a handler may do wrong with its answer; each is an internal error for the client.
WRONG: dict[str, Callable[[], object]] = {
    "UTF-16 of odd length": lambda: Payload(b"abc", Encoding.UTF16),
    "too long, binary": lambda: bytes(ROOM + 1),
    "too long, UTF-8": lambda: "x" * (ROOM + 1),
    "too long with its padding": lambda: Payload.utf16("x" * (ROOM // 2 + 1)),
    "longer than a frame's short length": lambda: bytes(70_000),
    "a number": lambda: 5,
    "a list": lambda: [b"x"],
    "text in a payload": lambda: Payload("text"),  # type: ignore[arg-type]
    "no encoding": lambda: Payload(b"x", 7),  # type: ignore[arg-type]
    "an encoding's name": lambda: Payload(b"x", "utf8"),  # type: ignore[arg-type]
    "text that can't be encoded": lambda: "\ud800",
    "an error without a code": refuse("", "why"),
    "a code too long": refuse("C" * 256),
    "a code too long for the buffer": refuse("C" * (BUFFER - 9)),
    "a code with a line break": refuse("A\nB"),
    "a code beyond ASCII": refuse("FEHLER_Ü"),
    "a code that is bytes": refuse(b"CODE"),
    "a code that is None": refuse(None),
    "an error's message that is none": refuse("CODE", 5),
    "an error of another kind": fail(ValueError("odd")),
    "an error of the library's": fail(InvalidState("odd")),
    "a group of errors": fail(ExceptionGroup("odd", [ValueError(), RequestError("CODE")])),
}

#: What is at a bound, and goes out as it is.
RIGHT: dict[str, tuple[Callable[[], object], bytes]] = {
    "nothing": (lambda: None, b"\xbf" + ID),
    "as long as may be": (lambda: bytes(ROOM), b"\xbf" + ID + bytes(ROOM)),
    "as long as may be, UTF-16": (
        lambda: Payload(bytes(ROOM - 1), Encoding.UTF16),
        b"\xc1" + ID + b"\0" + bytes(ROOM - 1),
    ),
    "bytes that change later": (lambda: bytearray(b"abc"), b"\xbf" + ID + b"abc"),
    "a code as long as may be": (
        refuse("C" * (BUFFER - 10), "why"),
        b"\x00" + ID + bytes([BUFFER - 10]) + b"C" * (BUFFER - 10),
    ),
    "an error's message is cut between characters": (
        refuse("CODE", "ü" * 40),
        b"\x00" + ID + b"\x04CODE" + "ü".encode() * 25,
    ),
    "an error's message that can't be encoded": (
        refuse("CODE", "\ud800"),
        b"\x00" + ID + b"\x04CODE?",
    ),
}


def add_handlers(server: webwire.Server, handle: Callable[[], object]) -> None:
    """Have *handle* answer the requests "test", "thread" and "inline", each run in its way."""

    @server.request("test")
    async def in_task(request: Request[Payload]) -> object:
        return handle()

    @server.request("thread")
    def in_thread(request: Request[Payload]) -> object:
        return handle()

    @server.request("inline", inline=True)
    def in_reader(request: Request[Payload]) -> object:
        return handle()


async def answers_of(made: OriginalServer, backend: Backend, *names: bytes) -> set[bytes]:
    """What a client gets for requests; then the connection must be as good as before."""
    answers = set()
    async with serving(made) as port, await RawClient.open(port, backend) as client:
        check_legal(await client.next(), backend)
        for name in names:
            answer = await client.request(b"\x7f" + ID + bytes([len(name)]) + name)
            check_legal(answer, backend)
            answers.add(answer)
        assert await client.request(b"\x7f" + ID + b"\x04echox") == b"\xbf" + ID + b"x"
    return answers


def make(backend: Backend) -> OriginalServer:
    return OriginalServer(webwire.ServerOptions(buffer_size=BUFFER), MemoryStore(), backend)


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_answer(run_real: Run, backend: Backend, what: str) -> None:
    async def story() -> None:
        made = make(backend)
        add_handlers(made.server, WRONG[what])
        answers = await answers_of(made, backend, b"test", b"thread", b"inline")
        assert answers == {INTERNAL_ERROR}

    run_real(story)


@pytest.mark.parametrize("what", RIGHT)
def test_an_answer_at_a_bound(run_real: Run, backend: Backend, what: str) -> None:
    handle, expected = RIGHT[what]

    async def story() -> None:
        made = make(backend)
        add_handlers(made.server, handle)
        assert await answers_of(made, backend, b"test", b"thread", b"inline") == {expected}

    run_real(story)


def test_the_log_names_the_request_whose_error_cannot_be_sent(
    run_real: Run, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        made = make(backend)
        add_handlers(made.server, refuse("", "why"))
        await answers_of(made, backend, b"test")

    run_real(story)
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "'test'" in record.getMessage()


def test_a_codec_that_cannot_encode(run_real: Run, backend: Backend) -> None:
    async def story() -> None:
        made = make(backend)

        @made.server.request("test", reply=webwire.Json())
        async def test(request: Request[Payload]) -> object:
            return {"not": {"in", "JSON"}}

        assert await answers_of(made, backend, b"test") == {INTERNAL_ERROR}

    run_real(story)


#: Signals that can't be sent: name and payload.
SIGNALS: dict[str, tuple[Any, Any]] = {
    "a name with a line break": ("a\n", b"x"),
    "a name beyond ASCII": ("ü", b"x"),
    "a name too long": ("n" * 256, b"x"),
    "a name that is bytes": (b"n", b"x"),
    "nothing": ("", b""),
    "a name only, in UTF-16": ("even", Payload.utf16("")),
    "UTF-16 of odd length": ("n", Payload(b"abc", Encoding.UTF16)),
    "too long": ("n", bytes(BUFFER - 2)),
    "too long with its padding": ("n", Payload.utf16("x" * 31)),
    "much too long": ("n", bytes(70_000)),
    "a number": ("n", 5),
    "no encoding": ("n", Payload(b"x", 9)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("way", ["signal", "broadcast", "room"])
@pytest.mark.parametrize("what", SIGNALS)
def test_a_wrong_signal(run_real: Run, backend: Backend, what: str, way: str) -> None:
    name, payload = SIGNALS[what]

    async def story() -> None:
        made = make(backend)
        server = made.server

        @server.request("test")
        async def test(request: Request[Payload]) -> str:
            room = server.room("all")
            await room.join(request.connection)
            ways: dict[str, Callable[..., Awaitable[object]]] = {
                "signal": request.connection.signal,
                "broadcast": server.broadcast,
                "room": room.send,
            }
            sending = ways[way]
            with pytest.raises((WirecoreError, TypeError)):
                await sending(name, payload)
            await sending("n", bytes(BUFFER - 3))  # the longest
            return "refused"

        async with serving(made) as port, await RawClient.open(port, backend) as client:
            check_legal(await client.next(), backend)
            signal = await client.request(REQUEST)
            assert signal == b"\x3f\x01n" + bytes(BUFFER - 3)
            assert await client.next() == b"\xc0" + ID + b"refused"

    run_real(story)


ITSELF: dict[str, Any] = {}
ITSELF["itself"] = ITSELF

#: Sessions that a client can't be told of: keys and info. A session's JSON takes some 150 bytes.
SESSIONS: dict[str, tuple[Any, Any]] = {
    "info too long": ("key", {"text": "x" * 200}),
    "a key too long": ("k" * 300, None),
    "no key": ("", None),
    "a key that is bytes": (b"key", None),
    "info that JSON can't hold": ("key", {"a": {1, 2}}),
    "not a number": ("key", {"a": float("nan")}),
    "info that holds itself": ("key", ITSELF),
}


@pytest.mark.parametrize("what", SESSIONS)
def test_a_session_that_cannot_be_told(run_real: Run, backend: Backend, what: str) -> None:
    key, info = SESSIONS[what]
    buffer = 256

    async def story() -> None:
        store = MemoryStore()
        options = webwire.ServerOptions(buffer_size=buffer)
        made = OriginalServer(options, store, backend, first_key=key)
        if not isinstance(key, str) or not key:
            made.server.generate_session_key(lambda: key)

        @made.server.request("test")
        async def test(request: Request[Payload]) -> str:
            with pytest.raises((WirecoreError, TypeError, ValueError)):
                await request.connection.create_session(info)
            assert request.connection.session is None
            return "refused"

        async with serving(made) as port, await RawClient.open(port, backend) as client:
            check_legal(await client.next(), backend, buffer)
            assert await client.request(REQUEST) == b"\xc0" + ID + b"refused"
            # Nothing is left of it.
            assert len(store) == made.server.active_sessions == 0

    run_real(story)


@pytest.mark.parametrize("more", range(-20, 4, 2))
def test_a_session_that_is_told_can_be_restored(run_real: Run, backend: Backend, more: int) -> None:
    """The answer to a restore is longer than what tells of a new session, and must fit as well."""
    buffer = 256
    created: list[bool] = []

    async def story() -> None:
        made = OriginalServer(
            webwire.ServerOptions(buffer_size=buffer), MemoryStore(), backend, first_key="key"
        )

        @made.server.request("test")
        async def test(request: Request[Payload]) -> str:
            # Its JSON takes as much as the buffer has, and *more*.
            try:
                await request.connection.create_session({"text": "x" * (161 + more)})
            except webwire.BufferOverflow:
                return "refused"
            return "created"

        async with serving(made) as port:
            async with await RawClient.open(port, backend) as client:
                check_legal(await client.next(), backend, buffer)
                answer = await client.request(REQUEST)
                created.append(answer != b"\xc0" + ID + b"refused")
                check_legal(answer, backend, buffer)
            if created[-1]:
                async with await RawClient.open(port, backend) as client:
                    check_legal(await client.next(), backend, buffer)
                    answer = await client.request(b"\x20" + ID + b"key")
                    check_legal(answer, backend, buffer)
                    assert answer.startswith(b"\xc0" + ID + b'{"k":"key"')

    run_real(story)
    assert created == [True] or more > -20
    assert created == [False] or more < 2


def test_what_a_hook_sends_comes_behind_the_settings(run_real: Run, backend: Backend) -> None:
    async def story() -> None:
        made = make(backend)

        @made.server.on_client_connected
        async def greet(connection: webwire.Connection) -> None:
            await connection.signal("hello", "x")

        async with serving(made) as port, await RawClient.open(port, backend) as client:
            assert (await client.next())[0] == 23
            assert await client.next() == b"\x40\x05hellox"

    run_real(story)


def test_settings_that_do_not_fit_the_buffer() -> None:
    webwire.ServerOptions(buffer_size=32, subprotocol="x" * 21)
    with pytest.raises(InvalidOption, match="subprotocol"):
        webwire.ServerOptions(buffer_size=32, subprotocol="x" * 22)


def test_a_time_that_passes_is_no_reason_to_say_nothing(run_sockets: Run, backend: Backend) -> None:
    """A handler whose own deadline passes has failed."""

    async def story() -> None:
        made = make(backend)

        @made.server.request("test")
        async def test(request: Request[Payload]) -> None:
            with trio.fail_after(1):
                await trio.sleep_forever()

        assert await answers_of(made, backend, b"test") == {INTERNAL_ERROR}

    run_sockets(story)
