"""An application of ASGI attends to one WebSocket: what it is told, may say, and how it ends."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.rest.memory_incoming import MemoryCaller, MemoryIncoming, serve
from wirecore.errors import InvalidOption, UnsendableMessage
from wirecore.events import Close
from wirecore.protocols.rest.messages import Item, MessageDecoder, encode_close, encode_message
from wirecore.websocket.closing import make_close
from wirecore_trio.rest._asgi import AsgiHandler
from wirecore_trio.rest._asgi_types import AsgiViolation
from wirecore_trio.rest._incoming import Gone

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}


class Asked(MemoryIncoming):
    """A WebSocket that somebody asks for."""

    def __init__(
        self, *offered: str, target: str = "/chat?a=b", body: bytes | None = None, **more: Any
    ) -> None:
        fields = [(b"Host", b"api.test")]
        fields += [(b"Sec-WebSocket-Protocol", each.encode()) for each in offered]
        super().__init__("GET", target, fields, body=body, **{"scheme": b"ws", **more})

    def say(self, *items: str | bytes | Close) -> None:
        """Messages come from the caller; a Close is the last one."""
        for item in items:
            if isinstance(item, Close):
                self.feed(encode_close(item))
                self.finish()
            else:
                self.feed(encode_message(item))

    @property
    def heard(self) -> list[Item]:
        """The messages that the caller got."""
        return MessageDecoder().receive(self.body)


def said(text: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": text}


async def connected(receive: Any, send: Any, **more: Any) -> None:
    """Accept it, as all applications begin."""
    assert await receive() == {"type": "websocket.connect"}
    await send({**ACCEPT, **more})


def test_what_an_application_learns_of_it(run: Run) -> None:
    async def story() -> None:
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope)
            await connected(receive, send)

        incoming = Asked("chat.v2, chat.v1", "other", scheme=b"wss", caller=MemoryCaller())
        await serve(AsgiHandler(app, root_path="/api", state={"pool": 1}), incoming)
        [scope] = seen
        assert scope.pop("extensions") == {
            "wirecore.rest": {"id": MemoryCaller.id, "metadata": None},
            "websocket.http.response": {},
        }
        assert scope == {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "wss",
            "path": "/api/chat",
            "raw_path": b"/chat",
            "query_string": b"a=b",
            "root_path": "/api",
            "headers": [
                (b"host", b"api.test"),
                (b"sec-websocket-protocol", b"chat.v2, chat.v1"),
                (b"sec-websocket-protocol", b"other"),
            ],
            "client": ("192.0.2.7", 4711),
            "server": ("api.test", 443),
            "subprotocols": ["chat.v2", "chat.v1", "other"],
            "state": {"pool": 1},
        }

    run(story)


def test_it_accepts_receives_and_sends(run: Run) -> None:
    async def story() -> None:
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            fields = [(b"x-own", b" 1 "), (b"connection", b"close"), (b"upgrade", b"x")]
            await connected(receive, send, subprotocol="chat", headers=fields)
            while (message := await receive())["type"] == "websocket.receive":
                got.append(message)
                await send({**message, "type": "websocket.send"})
            got.append(message)
            got.append(await receive())

        incoming = Asked("chat")
        incoming.say("one", b"two")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, AsgiHandler(app), incoming)
            await incoming.wait_happened(3)
            incoming.say(make_close(4321, "done"))
        assert incoming.status == 101
        assert incoming.happened[0][2] == [(b"x-own", b"1"), (b"Sec-WebSocket-Protocol", b"chat")]
        end = {"type": "websocket.disconnect", "code": 4321, "reason": "done"}
        assert got == [
            {"type": "websocket.receive", "text": "one", "bytes": None},
            {"type": "websocket.receive", "text": None, "bytes": b"two"},
            end,
            end,
        ]
        assert incoming.heard == ["one", b"two", Close(4321, "done")]
        assert incoming.end == "end"

    run(story)


@pytest.mark.parametrize(
    ("sent", "close"),
    [
        (CLOSE, Close(1000, "")),
        ({**CLOSE, "code": 4000, "reason": "enough"}, Close(4000, "enough")),
        ({**CLOSE, "code": 1001, "reason": None}, Close(1001, "")),
    ],
)
def test_it_closes(run: Run, sent: dict[str, Any], close: Close) -> None:
    async def story() -> None:
        told: list[Any] = []
        violated: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def wait() -> None:
                told.append(await receive())

            await connected(receive, send)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)  # it is told, although nothing comes from the caller
                await trio.testing.wait_all_tasks_blocked()
                await send(sent)
            for late in said("late"), CLOSE:
                with pytest.raises(AsgiViolation) as caught:
                    await send(late)
                violated.append(str(caught.value))
            await trio.sleep(1000)  # it may run as long as it likes

        incoming = Asked()
        await serve(AsgiHandler(app), incoming)
        assert incoming.heard == [close]
        assert told == [
            {"type": "websocket.disconnect", "code": close.code, "reason": close.reason}
        ]
        assert violated == [
            "'websocket.send' came after the WebSocket was closed",
            "'websocket.close' came after the WebSocket was closed",
        ]

    run(story)


def test_it_refuses(run: Run) -> None:
    async def closes(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(CLOSE)
        with pytest.raises(AsgiViolation, match="denied"):
            await send(ACCEPT)

    async def denies(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        start = {"type": "websocket.http.response.start", "status": 401}
        await send({**start, "headers": [(b"www-authenticate", b"Bearer")]})
        body = {"type": "websocket.http.response.body"}
        await send({**body, "body": b"who ", "more_body": True})
        await send({**body, "body": b"are you?"})
        assert (await receive())["type"] == "websocket.disconnect"

    async def story() -> None:
        closed, denied = await serve(AsgiHandler(closes), Asked()), None
        assert (closed[0].status, closed[0].body, closed[0].end) == (403, b"", "end")
        [denied] = await serve(AsgiHandler(denies), Asked())
        assert (denied.status, denied.body, denied.end) == (401, b"who are you?", "end")
        assert denied.fields == {b"www-authenticate": b"Bearer"}

    run(story)


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_it_leaves_it_open(
    run: Run, caplog: pytest.LogCaptureFixture, accepted: bool, fails: bool
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if accepted:
            await send(ACCEPT)
            await send(said("x"))
        if fails:
            raise ValueError("a bug")

    async def story() -> None:
        incoming = Asked()
        await serve(AsgiHandler(app), incoming)
        if not accepted:
            assert incoming.status == 500
            assert incoming.body.startswith(b"internal error ")
        elif not fails:
            assert incoming.heard == ["x", Close(1000, "")]
        else:
            text, close = incoming.heard
            assert isinstance(close, Close)
            assert (text, close.code, close.reason[:15]) == ("x", 1011, "internal error ")
            assert close.reason in caplog.text

    run(story)
    assert ("a bug" in caplog.text) is fails
    assert bool(caplog.records) is (fails or not accepted)


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        ({"type": "websocket.send"}, AsgiViolation, "neither bytes nor text"),
        ({"type": "websocket.send", "bytes": "x"}, AsgiViolation, "bytes must be bytes, not str"),
        ({"type": "websocket.send", "text": b"x"}, AsgiViolation, "text that is bytes"),
        ({"type": "websocket.send", "text": "\ud800"}, UnsendableMessage, "surrogate"),
        ({"type": "websocket.close", "code": 1006}, InvalidOption, "1006"),
        ({"type": "websocket.accept"}, AsgiViolation, "no message that can be sent"),
        ({"type": "http.response.body"}, AsgiViolation, "no message that can be sent"),
    ],
)
def test_what_it_may_not_send(
    run: Run, message: dict[str, Any], error: type[Exception], text: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await connected(receive, send)
        with pytest.raises(error, match=text):
            await send(message)
        await send(said("it goes on"))

    async def story() -> None:
        incoming = Asked()
        await serve(AsgiHandler(app), incoming)
        assert incoming.heard == ["it goes on", Close(1000, "")]

    run(story)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({**ACCEPT, "subprotocol": "other"}, "'other' wasn't offered"),
        ({**ACCEPT, "headers": [(b"Sec-WebSocket-Protocol", b"chat")]}, "no header"),
        ({**ACCEPT, "headers": [(b"x", b"a\r\nb")]}, "line break"),
        (said("early"), "asked"),
    ],
)
def test_what_it_may_not_answer(run: Run, message: dict[str, Any], text: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(Exception, match=text):
            await send(message)
        await connected(receive, send, subprotocol="chat")

    async def story() -> None:
        incoming = Asked("chat")
        await serve(AsgiHandler(app), incoming)
        assert incoming.heard == [Close(1000, "")]

    run(story)


# --- callers that go ------------------------------------------------------------------------------


def test_it_is_told_that_its_caller_was_lost(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        told: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            told.append(await receive())
            with pytest.raises(OSError, match="gone") as caught:
                await send(said("x"))
            assert isinstance(caught.value, Gone)
            await send(said("x"))

        incoming = Asked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app), incoming)
            await trio.testing.wait_all_tasks_blocked()
            incoming.go()
        assert told == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
        assert incoming.heard == []

    run(story)
    assert caplog.records == []


def test_one_whose_caller_has_closed_cant_send(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Although it hasn't received that yet."""

    async def story() -> None:
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            try:
                await send(said("tick"))
            finally:
                if scope["path"] == "/reads":
                    got.extend([(await receive())["text"], (await receive())["code"]])

        for target in "/reads", "/leaves":
            incoming = Asked(target=target)
            incoming.say("unread", make_close(4000, "bye"))
            await serve(AsgiHandler(app), incoming)
            assert incoming.heard == [Close(4000, "bye")]
        assert got == ["unread", 4000]

    run(story)
    assert caplog.records == []


@pytest.mark.parametrize("how", ["lost", "closed"])
def test_one_that_goes_on_is_cancelled_after_its_grace(run: Run, how: str) -> None:
    async def story() -> None:
        ended: list[float] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            await receive()
            try:
                await trio.sleep_forever()
            finally:
                ended.append(trio.current_time())

        incoming = Asked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app, grace=7.5), incoming)
            await trio.sleep(100)
            went = trio.current_time()
            if how == "lost":
                incoming.go()
            else:
                incoming.say(make_close(1000, ""))
        assert ended == [went + 7.5]
        assert incoming.heard == ([] if how == "lost" else [Close(1000, "")])

    run(story)


@pytest.mark.parametrize("own", [True, False])
def test_what_fails_behind_the_end_is_no_error(
    run: Run, caplog: pytest.LogCaptureFixture, own: bool
) -> None:
    caplog.set_level(logging.DEBUG, "wirecore.rest")

    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            await receive()
            if own:
                raise ValueError("a bug")
            await send(said("x"))

        incoming = Asked()
        incoming.say(make_close(1001, ""))
        await serve(AsgiHandler(app), incoming)
        assert incoming.heard == [Close(1001, "")]

    run(story)
    [record] = caplog.records
    assert record.levelno == (logging.INFO if own else logging.DEBUG)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (encode_message("x" * 101), 1009, "max_message_size is 100, got 101"),
        (b"\x05\x00\x00\x00\x00", 1002, "no kind"),
        (b"\x01\x00\x00\x00\x01\xff", 1002, "UTF-8"),
    ],
)
def test_what_a_caller_mustnt_send_closes_it(run: Run, body: bytes, code: int, text: str) -> None:
    async def story() -> None:
        told: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            while (message := await receive())["type"] == "websocket.receive":
                told.append(message["text"])
            told.append(message["code"])
            with pytest.raises(Gone):
                await send(said("x"))

        incoming = Asked()
        incoming.say("x" * 100)
        incoming.feed(body)
        await serve(AsgiHandler(app, max_message_size=100), incoming)
        assert told == ["x" * 100, code]
        [close] = incoming.heard
        assert isinstance(close, Close)
        assert close.code == code
        assert text in close.reason

    run(story)


def test_a_body_that_ends_without_a_close(run: Run) -> None:
    async def story() -> None:
        told: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            told.append((await receive())["code"])

        incoming = Asked(body=b"")
        await serve(AsgiHandler(app), incoming)
        assert told == [1002]

    run(story)


# --- the end from this side -----------------------------------------------------------------------


def test_one_that_waits_is_told_that_this_end_drains(run: Run) -> None:
    async def story() -> None:
        told: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            told.append(await receive())
            await send(said("goodbye"))

        incoming = Asked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, AsgiHandler(app), incoming)
            await trio.testing.wait_all_tasks_blocked()
            incoming.drain()
        end = Close(1012, "the server is going away")
        assert told == [{"type": "websocket.disconnect", "code": 1012, "reason": end.reason}]
        assert incoming.heard == ["goodbye", end]

    run(story)


def test_one_that_drains_and_goes_on_is_closed_after_its_grace(run: Run) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            while True:
                await trio.sleep(1)
                await send(said("tick"))

        incoming = Asked()
        incoming.drain()  # before it is accepted
        await serve(AsgiHandler(app, grace=3.5), incoming)
        assert incoming.heard == ["tick"] * 3 + [Close(1012, "the server is going away")]

    run(story)


def test_a_handler_that_is_cancelled_resets(run: Run) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await connected(receive, send)
            await trio.sleep_forever()

        incoming = Asked()
        with trio.move_on_after(1):
            await AsgiHandler(app)(incoming)
        assert incoming.end == "reset"

    run(story)


def test_only_get_asks_for_a_websocket(run: Run) -> None:
    async def story() -> None:
        kinds: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            kinds.append(scope["type"])

        incoming = MemoryIncoming("POST", scheme=b"ws")
        await serve(AsgiHandler(app), incoming)
        assert kinds == ["http"]

    run(story)


def test_options_that_make_no_sense() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    with pytest.raises(TypeError, match="max_message_size"):
        AsgiHandler(app, max_message_size=1.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="max_message_size"):
        AsgiHandler(app, max_message_size=0)
