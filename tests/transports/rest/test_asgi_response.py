"""What comes of what an application of ASGI sends."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.rest.applications import BODY, TRAILERS, Messages, body, sends, start
from tests.transports.rest.memory_incoming import MemoryIncoming, serve
from wirecore.errors import InvalidOption
from wirecore_trio._clock import current_clock
from wirecore_trio.rest._asgi import AsgiHandler
from wirecore_trio.rest._asgi_types import AsgiViolation

if TYPE_CHECKING:
    from tests.transports.conftest import Run


# --- the response -----------------------------------------------------------------------------


def test_every_piece_leaves_at_once_and_the_head_with_the_first(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()

        async def events(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, (b"content-type", b"text/event-stream")))
            assert incoming.happened == []
            for number in range(3):
                await send(body(b"data: %d\n\n" % number, more=True))
                assert incoming.pieces[-1] == b"data: %d\n\n" % number
                await trio.sleep(10)
            await send(body(b"", more=True))  # nothing: no message is made of it
            await send(body())

        await serve(AsgiHandler(events), incoming)
        assert incoming.happened == [
            ("head", 200, [(b"content-type", b"text/event-stream")]),
            ("data", b"data: 0\n\n"),
            ("data", b"data: 1\n\n"),
            ("data", b"data: 2\n\n"),
            ("end", ()),
        ]

    run(story)


def test_an_empty_first_piece_sends_the_head(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(202))
            await send(body(b"", more=True))
            assert incoming.happened == [("head", 202, [])]
            await send({"type": BODY})

        await serve(AsgiHandler(app), incoming)
        assert incoming.happened[1:] == [("end", ())]

    run(story)


def test_a_body_waits_for_room(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming(room=3)
        async with trio.open_nursery() as nursery:
            app = sends(start(), body(b"abcde", more=True), body(b"fg"))
            nursery.start_soon(serve, AsgiHandler(app), incoming)
            await trio.testing.wait_all_tasks_blocked()
            assert incoming.pieces == [b"abc"]
            incoming.widen(2)
            await trio.testing.wait_all_tasks_blocked()
            assert incoming.pieces == [b"abc", b"de"]
            incoming.widen(2)
        assert incoming.body == b"abcdefg"

    run(story)


def test_two_tasks_that_send_take_turns(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming(room=3)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            async with trio.open_nursery() as nursery:
                for letter in (b"a", b"b"):
                    nursery.start_soon(send, body(letter * 5, more=True))
                await trio.testing.wait_all_tasks_blocked()
                incoming.widen(100)
            await send(body())

        await serve(AsgiHandler(app), incoming)
        assert incoming.body in (b"aaaaabbbbb", b"bbbbbaaaaa")

    run(story)


def test_fields_come_as_they_were_written_but_those_of_the_wire(run: Run) -> None:
    async def story() -> None:
        fields = (
            (b"Set-Cookie", b"a=1"),
            (b"transfer-encoding", b"chunked"),
            (b"set-cookie", b" b=2 "),
        )
        incoming = MemoryIncoming()
        message = start(200, *fields)
        message["headers"] = ([bytearray(name), memoryview(value)] for name, value in fields)
        await serve(AsgiHandler(sends(message, body(b"x"))), incoming)
        assert incoming.happened[0] == (
            "head",
            200,
            [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")],
        )

    run(story)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("pieces", [[b"12345"], [b"123", b"45"]])
def test_head_has_no_body(run: Run, status: int, pieces: list[bytes]) -> None:
    async def story() -> None:
        messages = [body(piece, more=True) for piece in pieces]
        messages[-1]["more_body"] = False
        incoming = MemoryIncoming("HEAD")
        await serve(AsgiHandler(sends(start(status), *messages)), incoming)
        # The length is known where all came at once.
        fields = [(b"Content-Length", b"5")] if len(pieces) == 1 else []
        assert incoming.happened == [("head", status, fields), ("end", ())]

        incoming = MemoryIncoming("HEAD")
        head = start(status, (b"content-length", b"77"))
        await serve(AsgiHandler(sends(head, *messages)), incoming)
        assert incoming.happened == [("head", status, [(b"content-length", b"77")]), ("end", ())]

    run(story)


@pytest.mark.parametrize(("status", "kept"), [(204, []), (304, [(b"content-length", b"5")])])
def test_204_and_304_have_no_body(run: Run, status: int, kept: list[Any]) -> None:
    async def story() -> None:
        app = sends(start(status, (b"content-length", b"5")), body(b"123", more=True), body(b"45"))
        incoming = MemoryIncoming()
        await serve(AsgiHandler(app), incoming)
        assert incoming.happened == [("head", status, kept), ("end", ())]

        incoming = MemoryIncoming("HEAD")
        await serve(AsgiHandler(sends(start(status), body(b"12345"))), incoming)
        assert incoming.happened == [("head", status, []), ("end", ())]

    run(story)


def test_an_endless_body_that_nobody_gets_is_cancelled(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def story() -> None:
        got: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(start())
            await send(body(b"tick", more=True))
            got.append((await receive())["type"])
            assert trio.current_time() - began == 1
            while True:
                await trio.sleep(1)
                await send(body(b"tick", more=True))

        incoming = MemoryIncoming("HEAD")
        began = trio.current_time()
        await serve(AsgiHandler(app, grace=3), incoming)
        assert trio.current_time() - began == 4
        assert got == ["http.disconnect"]
        assert incoming.happened == [("head", 200, []), ("end", ())]

    run(story)
    assert "it sent on and on" in caplog.text


def test_a_body_that_nobody_gets_is_no_reason_to_stop_at_once(run: Run) -> None:
    async def story() -> None:
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def listen() -> None:
                await receive()
                got.append((await receive())["type"])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                await send(start())
                for _ in range(3):
                    await send(body(b"piece", more=True))
                    await trio.sleep(0.1)
                assert got == []
                await send(body())

        incoming = MemoryIncoming("HEAD")
        await serve(AsgiHandler(app), incoming)
        assert got == ["http.disconnect"]
        assert incoming.happened == [("head", 200, []), ("end", ())]
        assert [timer for timer in current_clock()._heap if timer.callback is not None] == []

    run(story)


def test_work_behind_a_body_that_nobody_gets_takes_its_time(run: Run) -> None:
    async def story() -> None:
        done: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await sends(start(), body(b"1", more=True), body(b"2"))(scope, receive, send)
            await trio.sleep(1000)
            done.append("work")

        await serve(AsgiHandler(app, grace=3), MemoryIncoming("HEAD"))
        assert done == ["work"]

    run(story)


def test_trailers_follow_the_body(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, (b"trailer", b"x-sum, x-more"), trailers=True))
            await send(body(b"abc"))
            assert incoming.pieces == [b"abc"]
            assert incoming.end == ""
            first = {"type": TRAILERS, "headers": [(b"x-sum", b"6")], "more_trailers": True}
            await send(first)
            await send({"type": TRAILERS, "headers": [(b"x-more", b"7")]})

        await serve(AsgiHandler(app), incoming)
        assert incoming.happened[2:] == [("end", ((b"x-sum", b"6"), (b"x-more", b"7")))]

        async def bad(scope: Any, receive: Any, send: Any) -> None:
            await sends(start(trailers=True), body(b"abc"))(scope, receive, send)
            with pytest.raises(InvalidOption):  # at once, and not with the last of them
                await send({"type": TRAILERS, "headers": [(b"a", b"\n")], "more_trailers": True})
            await send({"type": TRAILERS, "headers": []})

        incoming = MemoryIncoming()
        await serve(AsgiHandler(bad), incoming)
        assert incoming.happened[-1] == ("end", ())

        incoming = MemoryIncoming("HEAD")
        app_of_get = sends(start(trailers=True), body(b"abc"), {"type": TRAILERS, "headers": []})
        await serve(AsgiHandler(app_of_get), incoming)
        assert incoming.happened[1:] == [("end", ())]

    run(story)


# --- what breaks the rules ----------------------------------------------------------------------

FIVE = (b"content-length", b"5")


@pytest.mark.parametrize(
    ("messages", "version", "says"),
    [
        ([body(b"x")], b"1.1", "before 'http.response.start'"),
        ([start(), start()], b"1.1", "twice"),
        ([start(100)], b"1.1", "200 to 999"),
        ([start("200")], b"1.1", "200 to 999"),  # type: ignore[arg-type]
        ([start(200, ("a", b"b"))], b"1.1", "must be bytes, not str"),  # type: ignore[arg-type]
        ([start(200, (b"a b", b"c"))], b"1.1", "no token"),
        ([start(200, (b"a", b"b\r\nc: d"))], b"1.1", "line break"),
        ([start(200, (b"content-length", b"five"))], b"1.1", "no number"),
        ([start(200, FIVE, (b"content-length", b"6"))], b"1.1", "5 and 6"),
        ([start(200, FIVE), body(b"123456")], b"1.1", "Content-Length says 5"),
        ([start(200, FIVE), body(b"1234")], b"1.1", "Content-Length says 5"),
        ([start(), body("x")], b"1.1", "must be bytes"),  # type: ignore[arg-type]
        ([start(), {"type": TRAILERS, "headers": []}], b"1.1", "didn't announce"),
        ([start(trailers=True)], b"1.0", "weren't offered"),
        ([start(), {"type": "http.response.pathsend", "path": "/x"}], b"1.1", "no message that"),
        ([], b"1.1", "without an answer"),
        ([start()], b"1.1", "before its response was through"),
    ],
)
def test_as_long_as_nothing_has_left_the_answer_is_500(
    run: Run, caplog: pytest.LogCaptureFixture, messages: Messages, version: bytes, says: str
) -> None:
    async def story() -> None:
        incoming = MemoryIncoming(target="/page?secret", version=version)
        await serve(AsgiHandler(sends(*messages)), incoming)
        assert (incoming.status, incoming.end) == (500, "end")
        assert incoming.fields[b"content-length"] == b"%d" % len(incoming.body)
        assert incoming.body.startswith(b"internal error ")
        assert incoming.body.decode().strip() in caplog.text  # the log has its number

    run(story)
    assert says in caplog.text
    assert "GET /page: the application" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([start(200, FIVE), body(b"123", more=True), body(b"456")], "has 6 bytes"),
        ([start(200, FIVE), body(b"123", more=True), body(b"456", more=True)], "6 or more"),
        ([start(200, FIVE), body(b"123", more=True), body()], "has 3 bytes"),
        ([start(), body(b"123", more=True)], "before its response was through"),
        ([start(trailers=True), body(b"123")], "before its response was through"),
        ([start(trailers=True), body(b"123"), body(b"4")], "after the body's end"),
        ([start(), body(b"123", more=True), start()], "twice"),
    ],
)
def test_a_response_that_has_begun_is_reset(
    run: Run, caplog: pytest.LogCaptureFixture, messages: Messages, says: str
) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()
        await serve(AsgiHandler(sends(*messages)), incoming)
        assert incoming.status == 200
        assert incoming.body == b"123"
        kind, why = incoming.happened[-1]
        assert kind == "reset"
        assert why in caplog.text

    run(story)
    assert says in caplog.text


def test_what_comes_behind_the_end_fails_and_the_caller_has_its_response(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()
        await serve(AsgiHandler(sends(start(), body(b"all"), body(b"more"))), incoming)
        assert incoming.happened[1:] == [("data", b"all"), ("end", ())]

    run(story)
    assert "came after the response's end" in caplog.text
    assert "when its response was through already" in caplog.text


def test_an_application_may_mend_what_it_broke(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            with pytest.raises(AsgiViolation):
                await send(start(99))
            with pytest.raises(InvalidOption):
                await send(start(200, (b"a", b"b\0")))
            await send(start(503, FIVE))
            with pytest.raises(AsgiViolation):
                await send(body(b"too long"))
            await send(body(b"12345"))

        await serve(AsgiHandler(app), incoming)
        assert (incoming.status, incoming.body, incoming.end) == (503, b"12345", "end")

    run(story)


def test_a_failure_of_a_head_has_no_body(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("HEAD")
        await serve(AsgiHandler(sends()), incoming)
        assert incoming.happened == [("head", 500, incoming.happened[0][2]), ("end", ())]
        assert int(incoming.fields[b"content-length"]) > 0

    run(story)


def test_a_head_that_is_too_long(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        app = sends(start(200, (b"x", b"y" * 1000)), body(b"1"))
        incoming = MemoryIncoming(max_head=999)
        await serve(AsgiHandler(app), incoming)
        assert (incoming.status, incoming.end) == (500, "end")
        assert "max_head is 999, got 1001" in caplog.text

        incoming = MemoryIncoming(max_head=10)  # not even 500 goes through
        await serve(AsgiHandler(app), incoming)
        assert [item[0] for item in incoming.happened] == ["reset"]
        assert "500 couldn't be sent" in caplog.text

    run(story)


def test_failures_come_in_groups_too_and_never_out(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def fail(word: str) -> None:
                raise ValueError(word)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail, "red")
                nursery.start_soon(fail, "blue")

        incoming = MemoryIncoming()
        await serve(AsgiHandler(app), incoming)
        assert incoming.status == 500

    run(story)
    assert "red" in caplog.text
    assert "blue" in caplog.text


def test_an_application_that_wants_asyncio_is_named_so(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async def calls(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(1)

        async def waits(scope: Any, receive: Any, send: Any) -> None:
            loop = asyncio.new_event_loop()
            try:
                await loop.create_future()
            finally:
                loop.close()

        async def queues(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.Queue[int]().get()

        for app in (calls, waits, queues):
            caplog.clear()
            incoming = MemoryIncoming()
            await serve(AsgiHandler(app), incoming)
            assert incoming.status == 500
            assert "it wants asyncio, and runs on trio here" in caplog.text

    run(story)


def test_a_message_that_was_cancelled_leaves_a_response_that_cant_go_on(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming(room=3)
        told: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            with trio.move_on_after(1):
                await send(body(b"12345", more=True))
            incoming.widen(100)
            try:
                await send(body(b"678"))
            except AsgiViolation as error:
                told.append(str(error))

        await serve(AsgiHandler(app), incoming)
        assert "was cancelled" in told[0]
        assert (incoming.body, incoming.end) == (b"123", "reset")

    run(story)


def test_a_cancelled_message_of_nothing_does_no_harm(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"1", more=True))
            with trio.CancelScope() as cancelled:
                cancelled.cancel()
                await send(body(b"", more=True))
            assert cancelled.cancelled_caught
            await send(body(b"2"))

        await serve(AsgiHandler(app), incoming)
        assert (incoming.body, incoming.end) == (b"12", "end")

    run(story)
