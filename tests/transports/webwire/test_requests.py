"""Requests and their replies: what can be sent, who takes it, and how it fails."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.world import OpenServer, settle
from wirecore.errors import InvalidOption, RemoteError
from wirecore_trio import webwire
from wirecore_trio.webwire import Encoding, Payload

ANY_TEXT = "zwölf \N{GRINNING FACE}"

SENDABLE: list[tuple[Any, Payload]] = [
    ("hello", Payload(b"hello", Encoding.UTF8)),
    (ANY_TEXT, Payload(ANY_TEXT.encode(), Encoding.UTF8)),
    ("", Payload(b"", Encoding.UTF8)),
    (b"\0\xff", Payload(b"\0\xff", Encoding.BINARY)),
    (bytearray(b"abc"), Payload(b"abc", Encoding.BINARY)),
    (memoryview(b"abc"), Payload(b"abc", Encoding.BINARY)),
    (None, Payload(b"", Encoding.BINARY)),
    (Payload(b"\xffnot checked", Encoding.UTF8), Payload(b"\xffnot checked", Encoding.UTF8)),
    (Payload.utf16(ANY_TEXT), Payload(ANY_TEXT.encode("utf-16-le"), Encoding.UTF16)),
    (Payload(b"", Encoding.UTF16), Payload(b"", Encoding.UTF16)),
]


def echoes(server: webwire.Server) -> None:
    """A handler of each kind, all of which send back what came."""

    @server.request("task")
    async def task(request: webwire.Request[Payload]) -> Payload:
        return request.payload

    @server.request("thread")
    def thread(request: webwire.Request[Payload]) -> Payload:
        assert threading.current_thread() is not threading.main_thread()
        return request.payload

    @server.request("inline", inline=True)
    def inline(request: webwire.Request[Payload]) -> Payload:
        assert threading.current_thread() is threading.main_thread()
        return request.payload


@pytest.mark.parametrize("name", ["task", "thread", "inline"])
def test_what_comes_back_is_what_was_sent_in_its_encoding(
    open_server: OpenServer, run_sockets: Run, name: str
) -> None:
    async def main() -> None:
        async with open_server(echoes) as world, world.connect() as client:
            for value, expected in SENDABLE:
                assert await client.request(name, value) == expected

    run_sockets(main)


@pytest.mark.parametrize("number", range(len(SENDABLE)))
def test_a_reply_is_whatever_the_handler_returns(
    open_server: OpenServer, run_sockets: Run, number: int
) -> None:
    """Its encoding has nothing to do with the request's."""
    value, expected = SENDABLE[number]

    def prepare(server: webwire.Server) -> None:
        @server.request("give")
        async def give(request: webwire.Request[Payload]) -> Any:
            return value

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            for sent in ("text", b"bytes", Payload.utf16("both")):
                assert await client.request("give", sent) == expected

    run_sockets(main)


def test_a_payload_is_read_as_text_when_it_is_asked_for(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server(echoes) as world, world.connect() as client:
            for sent in (ANY_TEXT, ANY_TEXT.encode(), Payload.utf16(ANY_TEXT)):
                assert (await client.request("task", sent)).text == ANY_TEXT
            reply = await client.request("task", b"\xff")
            with pytest.raises(webwire.InvalidMessage, match="no text in utf-8"):
                reply.text  # noqa: B018

    run_sockets(main)


def test_any_printable_name_has_its_route_and_all_others_one_together(
    open_server: OpenServer, run_sockets: Run
) -> None:
    names = ["a", "with space ~", "n" * 255]

    def prepare(server: webwire.Server) -> None:
        for name in (*names, ""):
            server.request(name, inline=True)(lambda request: f"route of {request.name!r}")
        server.request(inline=True)(lambda request: f"any other: {request.name!r}")

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            for name in names:
                assert (await client.request(name)).text == f"route of {name!r}"
            assert (await client.request("", "nameless")).text == "route of ''"
            assert (await client.request("b")).text == "any other: 'b'"
            async with world.raw() as raw:  # a name that nobody may write, and anybody reads
                await raw.message(b"\x7f" + bytes(8) + b"\x02\xff\x00")
                assert (await raw.answer())[3] == b"any other: '\xc3\xbf\\x00'"

    run_sockets(main)


def test_what_nobody_takes_is_refused_by_its_own_code(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server(echoes) as world, world.connect() as client:
            with pytest.raises(webwire.RequestError) as caught:
                await client.request("unheard-of")
            assert caught.value.code == "UNKNOWN_REQUEST"
            await client.signal("unheard-of")
            assert (await client.request("task", "still there")).text == "still there"

    run_sockets(main)


def test_a_route_has_one_handler_and_a_name_that_can_be_sent() -> None:
    server = webwire.Server()
    echoes(server)

    def handler(request: Any) -> None: ...

    async def task(request: Any) -> None: ...

    for decorator in (server.request, server.signal):
        with pytest.raises(InvalidOption, match="at most 255 printable ASCII"):
            decorator("zwölf")
        with pytest.raises(InvalidOption, match="at most 255 printable ASCII"):
            decorator("n" * 256)
        with pytest.raises(TypeError, match="with parentheses"):
            decorator(handler)  # type: ignore[arg-type]  # the mistake is tested
        with pytest.raises(InvalidOption, match="inline is for plain functions"):
            decorator("x", inline=True)(task)
        with pytest.raises(TypeError, match="message"):
            decorator("x")(lambda: None)
    with pytest.raises(InvalidOption, match="the request 'task' has a handler already"):
        server.request("task")
    server.request()(handler)
    with pytest.raises(InvalidOption, match="any other request has a handler already"):
        server.request()


# --- what fails, and how that is told -----------------------------------------------------------


class OfTheProgram(Exception):
    """An error that wirecore knows nothing of."""


def failures(server: webwire.Server) -> None:
    """Handlers that fail, each in its way."""

    @server.request("refuse")
    async def refuse(request: webwire.Request[Payload]) -> None:
        code, _, message = request.text.partition("|")
        raise webwire.RequestError(code, message)

    @server.request("break")
    async def break_(request: webwire.Request[Payload]) -> None:
        raise OfTheProgram("nobody's business")

    @server.request("break inline", inline=True)
    def break_inline(request: webwire.Request[Payload]) -> None:
        raise OfTheProgram("nobody's business")

    @server.request("break in a thread")
    def break_in_a_thread(request: webwire.Request[Payload]) -> None:
        raise OfTheProgram("nobody's business")

    returned: dict[str, Any] = {
        "a number": 42,
        "odd": Payload(b"odd", Encoding.UTF16),
        "too much": bytes(8192),
        "as much as goes": bytes(8192 - 9),
        "surrogate": "\ud800",
    }
    for name, value in returned.items():
        server.request(name, inline=True)(lambda request, value=value: value)

    @server.request("forgotten")
    def forgotten(request: webwire.Request[Payload]) -> Any:
        return break_(request)


@pytest.mark.parametrize(
    ("code", "message"),
    [("A", ""), ("NOT_ALLOWED", "no"), ("c" * 255, "mit ü und \N{GRINNING FACE}"), ("with ~", "x")],
)
def test_an_error_raised_on_purpose_comes_as_it_is(
    open_server: OpenServer, run_sockets: Run, code: str, message: str
) -> None:
    async def main() -> None:
        async with open_server(failures) as world, world.connect() as client:
            with pytest.raises(webwire.RequestError) as caught:
                await client.request("refuse", f"{code}|{message}")
            assert (caught.value.code, caught.value.message) == (code, message)

    run_sockets(main)


def test_an_error_text_too_long_for_the_buffer_is_cut_between_characters(
    open_server: OpenServer, run_sockets: Run
) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.request("refuse")
        async def refuse(request: webwire.Request[Payload]) -> None:
            raise webwire.RequestError("LONG", "ü" * 10_000)

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            with pytest.raises(webwire.RequestError) as caught:
                await client.request("refuse")
            assert caught.value.message == "ü" * ((8192 - 1 - 8 - 1 - 4) // 2)

    run_sockets(main)


@pytest.mark.parametrize(
    "name",
    [
        *("break", "break inline", "break in a thread", "a number", "odd", "too much"),
        *("surrogate", "forgotten"),
    ],
)
def test_any_other_failure_is_an_internal_error_and_stands_in_the_log(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    async def main() -> None:
        async with open_server(failures) as world, world.connect() as client:
            with pytest.raises(webwire.InternalError) as caught:
                await client.request(name)
            assert isinstance(caught.value, RemoteError)
            assert "nobody's business" not in str(caught.value)
            reply = await client.request("as much as goes")
            assert len(reply) == 8192 - 9

    run_sockets(main)
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert f"the handler of the request {name!r} failed" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize("code", ["", "c" * 256, "zwölf", "tab\t", 5])
def test_an_error_that_cant_be_sent_is_an_internal_error(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture, code: Any
) -> None:
    """The original sends an empty message then, which kills its own client."""

    def prepare(server: webwire.Server) -> None:
        @server.request("refuse")
        async def refuse(request: webwire.Request[Payload]) -> None:
            raise webwire.RequestError(code)

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            with pytest.raises(webwire.InternalError):
                await client.request("refuse")

    run_sockets(main)
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "the handler of the request 'refuse' failed" in record.getMessage()


@pytest.mark.parametrize(
    ("name", "payload", "error", "says"),
    [
        ("", None, webwire.UnsendableMessage, "a name or a payload"),
        ("zwölf", b"x", webwire.UnsendableMessage, "printable ASCII"),
        ("tab\t", b"x", webwire.UnsendableMessage, "printable ASCII"),
        ("n" * 256, b"x", webwire.UnsendableMessage, "no longer than 255"),
        ("x", Payload(b"odd", Encoding.UTF16), webwire.UnsendableMessage, "even number"),
        ("x", "\ud800", webwire.UnsendableMessage, "can't be encoded"),
        ("x", bytes(8192), webwire.BufferOverflow, "buffer_size"),
        ("x", 5, TypeError, "a payload must be"),
        (5, b"x", TypeError, "name"),
    ],
)
def test_what_cant_be_sent_raises_and_nothing_is_sent(
    open_server: OpenServer, run_sockets: Run, name: Any, payload: Any, error: type, says: str
) -> None:
    seen: list[str] = []

    def prepare(server: webwire.Server) -> None:
        server.request(inline=True)(lambda request: seen.append(request.name))
        server.signal(inline=True)(lambda signal: seen.append(signal.name))

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            for timeout in (None, 5):
                with pytest.raises(error, match=says):
                    await client.request(name, payload, timeout=timeout)
            with pytest.raises(error, match=says):
                await client.request(name, payload)
            with pytest.raises(error, match=says):
                await client.signal(name, payload)
            with pytest.raises(error, match=says):
                await world.only().signal(name, payload)
            with pytest.raises(error, match=says):
                await world.server.broadcast(name, payload)
            with pytest.raises(error, match=says):
                await world.server.room("r").send(name, payload)
            await client.request("the end")
            assert seen == ["the end"]

    run_sockets(main)


def test_a_request_in_utf16_may_have_no_payload_and_a_signal_may_not(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """The original's own parser refuses such a signal."""
    empty = Payload(b"", Encoding.UTF16)

    async def main() -> None:
        async with open_server(echoes) as world, world.connect() as client:
            assert await client.request("task", empty) == empty
            for signalling in (client, world.only()):
                with pytest.raises(webwire.UnsendableMessage, match="must have a payload"):
                    await signalling.signal("task", empty)

    run_sockets(main)


# --- time ---------------------------------------------------------------------------------------


def dawdling(server: webwire.Server) -> None:
    """Answers after as many seconds as are asked for."""

    @server.request("sleep")
    async def sleep(request: webwire.Request[Payload]) -> str:
        await trio.sleep(float(request.text))
        return "slept"


@pytest.mark.parametrize(
    ("options", "arguments", "seconds"),
    [
        ({}, {}, 60),
        ({"request_timeout": 5}, {}, 5),
        ({"request_timeout": 5}, {"timeout": 2}, 2),
        ({"request_timeout": 5}, {"timeout": 20}, 20),
        ({"request_timeout": None}, {"timeout": 20}, 20),
    ],
)
def test_without_a_reply_in_time_the_deadline_is_exceeded(
    open_server: OpenServer,
    run_sockets: Run,
    options: dict[str, Any],
    arguments: dict[str, Any],
    seconds: float,
) -> None:
    async def main() -> None:
        async with (
            open_server(dawdling, concurrency=-1) as world,
            world.connect(webwire.ClientOptions(**options)) as client,
        ):
            began = trio.current_time()
            with pytest.raises(webwire.DeadlineExceeded, match=f"within {seconds} s") as caught:
                await client.request("sleep", str(seconds + 10), **arguments)
            assert isinstance(caught.value, TimeoutError)
            assert trio.current_time() - began == pytest.approx(seconds, abs=0.2)
            reply = await client.request("sleep", str(seconds - 1), **arguments)
            assert reply.text == "slept"
            await trio.sleep(60)  # the late reply came, and nobody minds
            assert (await client.request("sleep", "0")).text == "slept"

    run_sockets(main)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [({"request_timeout": 5}, {"timeout": None}), ({"request_timeout": None}, {})],
)
def test_without_a_timeout_a_request_waits_for_ever(
    open_server: OpenServer, run_sockets: Run, options: dict[str, Any], arguments: dict[str, Any]
) -> None:
    async def main() -> None:
        async with (
            open_server(dawdling) as world,
            world.connect(webwire.ClientOptions(**options)) as client,
        ):
            assert (await client.request("sleep", "200", **arguments)).text == "slept"

    run_sockets(main)


def test_a_cancelled_request_raises_trios_own_and_disturbs_nobody(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server(dawdling, concurrency=-1) as world, world.connect() as client:
            for timeout in (30, None):
                with pytest.raises(trio.TooSlowError), trio.fail_after(3):
                    await client.request("sleep", "10", timeout=timeout)
            assert (await client.request("sleep", "20")).text == "slept"
            assert client.connections == 1

    run_sockets(main)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_above_zero(open_server: OpenServer, run_sockets: Run, timeout: float) -> None:
    async def main() -> None:
        async with open_server(dawdling) as world, world.connect() as client:
            with pytest.raises(InvalidOption, match="timeout"):
                await client.request("sleep", "0", timeout=timeout)
            soon: Any = "soon"
            with pytest.raises(TypeError, match="timeout must be a number of seconds"):
                await client.request("sleep", "0", timeout=soon)

    run_sockets(main)


def test_replies_find_their_requests_in_whatever_order_they_come(
    open_server: OpenServer, run_sockets: Run
) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.request("after")
        async def after(request: webwire.Request[Payload]) -> Payload:
            await trio.sleep(int(request.text))
            return request.payload

    async def main() -> None:
        replies: list[str] = []

        async def ask(seconds: str) -> None:
            reply = await client.request("after", seconds)
            assert reply.text == seconds
            replies.append(seconds)

        async with open_server(prepare, concurrency=-1) as world, world.connect() as client:
            async with trio.open_nursery() as nursery:
                for seconds in ("3", "1", "2"):
                    nursery.start_soon(ask, seconds)
                await settle()
            assert replies == ["1", "2", "3"]

    run_sockets(main)


def test_mistakes_are_told_where_they_are_made() -> None:
    server = webwire.Server()
    with pytest.raises(TypeError, match="store is the class MemoryStore: give an instance"):
        webwire.Server(store=webwire.MemoryStore)  # type: ignore[arg-type]
    for codec in (dict, webwire.Json, 5):
        with pytest.raises(TypeError, match="codec must be a Codec, such as "):
            server.request("a", codec=codec)  # type: ignore[arg-type]

    async def many(request: webwire.Request[Payload]) -> Any:
        yield request

    with pytest.raises(TypeError, match="the handler of the request 'a' has a yield"):
        server.request("a")(many)
    with pytest.raises(TypeError, match=r"buffer_size is one of the options: ClientOptions\("):
        webwire.connect("ws://127.0.0.1/", buffer_size=64)  # type: ignore[call-arg]
