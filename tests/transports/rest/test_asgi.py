"""An application of ASGI answers one request: what it sees, what comes of what it sends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.rest.memory_incoming import MemoryCaller, MemoryIncoming, serve
from wirecore.errors import InvalidOption
from wirecore_trio._clock import current_clock
from wirecore_trio.rest._asgi import AsgiHandler
from wirecore_trio.rest._asgi_types import AsgiViolation
from wirecore_trio.rest._incoming import Gone

if TYPE_CHECKING:
    from tests.transports.conftest import Run

START = "http.response.start"
BODY = "http.response.body"
TRAILERS = "http.response.trailers"

Messages = list[dict[str, Any]]


def start(status: int = 200, *fields: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": START, "status": status, "headers": list(fields), **more}


def body(data: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": BODY, "body": data, "more_body": more}


def sends(*messages: dict[str, Any]) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An application that sends *messages* and reads nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


async def scope_of(incoming: MemoryIncoming, **options: Any) -> dict[str, Any]:
    """The scope that an application sees."""
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await sends(start(), body())(scope, receive, send)

    await serve(AsgiHandler(app, **options), incoming)
    return seen[0]


# --- the scope ------------------------------------------------------------------------------


def test_an_application_sees_the_request_as_it_was_sent(run: Run) -> None:
    async def story() -> None:
        metadata = {"name": "alice"}
        caller = MemoryCaller("[2001:db8::1]:4711", "an-id", metadata)
        incoming = MemoryIncoming(
            "put",
            "/caf%C3%A9/a%2Fb%FF?x=%20y&z",
            ((b"HOST", b"api.test:8080"), (b"X-Two", b"1"), (b"x-two", b"2")),
            scheme=b"wss",
            caller=caller,
        )
        state = {"pool": object()}
        scope = await scope_of(incoming, root_path="/api", state=state)
        assert scope == {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "PUT",
            "scheme": "https",
            "path": "/api/café/a/b\ufffd",
            "raw_path": b"/caf%C3%A9/a%2Fb%FF",
            "query_string": b"x=%20y&z",
            "root_path": "/api",
            "headers": [(b"host", b"api.test:8080"), (b"x-two", b"1"), (b"x-two", b"2")],
            "client": ("2001:db8::1", 4711),
            "server": ("api.test", 8080),
            "state": state,
            "extensions": {
                "wirecore.rest": {"id": "an-id", "metadata": metadata},
                "http.response.trailers": {},
            },
        }
        assert scope["state"] is not state
        assert scope["state"]["pool"] is state["pool"]

    run(story)


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/", "/", b"/", b""),
        ("*", "*", b"*", b""),
        ("/a?b?c", "/a", b"/a", b"b?c"),
        ("http://other.test/a/b?c", "/a/b", b"/a/b", b"c"),
        ("http://other.test", "/", b"/", b""),
        ("http://other.test?a/b", "/", b"/", b"a/b"),
    ],
)
def test_targets(run: Run, target: str, path: str, raw_path: bytes, query: bytes) -> None:
    async def story() -> None:
        scope = await scope_of(MemoryIncoming("OPTIONS", target))
        assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)

    run(story)


@pytest.mark.parametrize(
    ("host", "scheme", "server"),
    [
        (b"api.test", b"http", ("api.test", 80)),
        (b"api.test", b"https", ("api.test", 443)),
        (b"api.test:81", b"wss", ("api.test", 81)),
        (b"[::1]", b"ws", ("::1", 80)),
        (b"[::1]:81", b"http", ("::1", 81)),
        (b"api.test:x", b"http", ("api.test", 80)),
        (b"", b"http", None),
        (None, b"http", None),
    ],
)
def test_the_server_is_the_one_that_the_caller_named(
    run: Run, host: bytes | None, scheme: bytes, server: tuple[str, int] | None
) -> None:
    async def story() -> None:
        fields = () if host is None else ((b"Host", host),)
        assert (await scope_of(MemoryIncoming(fields=fields, scheme=scheme)))["server"] == server

    run(story)


@pytest.mark.parametrize("address", ["a Unix socket", "", "an address that is gone"])
def test_a_caller_without_an_address(run: Run, address: str) -> None:
    async def story() -> None:
        scope = await scope_of(MemoryIncoming(caller=MemoryCaller(address)))
        assert scope["client"] is None

    run(story)


def test_connect_has_no_path(run: Run) -> None:
    async def story() -> None:
        scope = await scope_of(MemoryIncoming("CONNECT", "other.test:443"))
        assert (scope["path"], scope["raw_path"]) == ("", b"")

    run(story)


def test_http_1_0_is_offered_no_trailers(run: Run) -> None:
    async def story() -> None:
        scope = await scope_of(MemoryIncoming(version=b"1.0"))
        assert scope["http_version"] == "1.0"
        assert set(scope["extensions"]) == {"wirecore.rest"}
        assert (await scope_of(MemoryIncoming(version=b"2.0")))["http_version"] == "1.1"

    run(story)


# --- the request's body -----------------------------------------------------------------------


def test_a_body_comes_piece_by_piece_and_then_the_end_of_the_exchange(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", body=None)
        got: Messages = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (message := await receive())["more_body"]:
                got.append(message)
            got.append(message)
            await sends(start(), body(b"thanks"))(scope, receive, send)
            got.append(await receive())
            got.append(await receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, AsgiHandler(app), incoming)
            incoming.feed(b"one")
            await trio.testing.wait_all_tasks_blocked()
            assert [message["body"] for message in got] == [b"one"]  # it waits for no more
            incoming.feed(b"two")
            await trio.testing.wait_all_tasks_blocked()
            incoming.finish()
        assert got == [
            {"type": "http.request", "body": b"one", "more_body": True},
            {"type": "http.request", "body": b"two", "more_body": True},
            {"type": "http.request", "body": b"", "more_body": False},
            {"type": "http.disconnect"},
            {"type": "http.disconnect"},
        ]
        assert incoming.body == b"thanks"

    run(story)


def test_only_what_is_asked_for_is_read(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", body=None)
        incoming.feed(b"one")
        incoming.feed(b"two")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert (await receive())["body"] == b"one"
            await sends(start(413), body(b"too much"))(scope, receive, send)

        await serve(AsgiHandler(app), incoming)
        assert incoming.taken == 1
        assert (incoming.status, incoming.body, incoming.end) == (413, b"too much", "end")

    run(story)


def test_who_reads_while_another_task_answers_is_told_of_the_end(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", body=None)  # whose body never comes
        got: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def read() -> None:
                got.append((await receive())["type"])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                await send(start())
                await send(body(b"done"))

        await serve(AsgiHandler(app), incoming)
        assert got == ["http.disconnect"] * 2

    run(story)


def test_a_read_that_is_cancelled_loses_nothing(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming("POST", body=None)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            with trio.move_on_after(1):
                await receive()
            incoming.feed(b"late")
            incoming.finish()
            data = (await receive())["body"]
            await sends(start(), body(data))(scope, receive, send)

        await serve(AsgiHandler(app), incoming)
        assert incoming.body == b"late"

    run(story)


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

        for app in (calls, waits):
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


# --- callers that go ----------------------------------------------------------------------------


def test_an_application_is_told_that_its_caller_has_gone(run: Run) -> None:
    async def story() -> None:
        told: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
            told.append(await receive())
            try:
                await send(start())
            except OSError as error:
                told.append(error)
            told.append(await receive())

        incoming = MemoryIncoming()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app), incoming)
            await trio.testing.wait_all_tasks_blocked()
            assert told == []
            incoming.go()
        assert told[0] == told[2] == {"type": "http.disconnect"}
        assert isinstance(told[1], Gone)
        assert incoming.happened == []

    run(story)


@pytest.mark.parametrize("grace", [0, 7.5])
def test_one_that_neither_reads_nor_sends_is_cancelled_after_its_grace(
    run: Run, grace: float
) -> None:
    async def story() -> None:
        ended: list[float] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append(trio.current_time())

        incoming = MemoryIncoming()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app, grace=grace), incoming)
            await trio.sleep(100)
            assert ended == []
            went = trio.current_time()
            incoming.go()
        assert ended == [went + grace]
        assert incoming.happened == []

    run(story)


def test_without_a_bound_it_runs_to_its_end(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        done: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await trio.sleep(1000)
            done.append("saved")
            await sends(start(), body(b"saved"))(scope, receive, send)

        incoming = MemoryIncoming()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app, grace=None), incoming)
            await trio.testing.wait_all_tasks_blocked(0)
            incoming.go()
        assert done == ["saved"]
        assert incoming.happened == []

    run(story)
    assert caplog.records == []  # what it raised is a consequence: for who debugs


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_becomes_of_that_in_an_application_is_no_fault_of_its(
    run: Run, caplog: pytest.LogCaptureFixture, wrapped: bool
) -> None:
    caplog.set_level(logging.INFO)

    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            incoming.go()
            if not wrapped:
                raise ValueError("of its own")
            try:
                await send(start())
            except OSError:
                raise ValueError("a consequence")  # noqa: B904 - as frameworks do

        incoming = MemoryIncoming()
        await AsgiHandler(app)(incoming)
        assert incoming.happened == []

    run(story)
    assert ("of its own" in caplog.text) is not wrapped
    assert "a consequence" not in caplog.text
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_a_send_that_waits_for_room_ends_when_the_caller_goes(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming(room=3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(sends(start(), body(b"12345"))), incoming)
            await trio.testing.wait_all_tasks_blocked()
            incoming.go()
        assert (incoming.body, incoming.end) == (b"123", "")

    run(story)


def test_a_body_that_breaks_off(run: Run) -> None:
    async def story() -> None:
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            got.extend([await receive(), await receive()])
            raise ValueError("half a body")

        incoming = MemoryIncoming("POST", body=None)
        incoming.feed(b"half")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(app), incoming)
            await trio.testing.wait_all_tasks_blocked()
            incoming.go()
        assert [message["type"] for message in got] == ["http.request", "http.disconnect"]
        assert incoming.happened == []

    run(story)


def test_work_behind_the_response_goes_on_when_the_caller_goes(run: Run) -> None:
    async def story() -> None:
        done: list[float] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await sends(start(), body(b"later"))(scope, receive, send)
            await trio.sleep(1000)
            done.append(trio.current_time())

        incoming = MemoryIncoming()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, AsgiHandler(app), incoming)
            await incoming.wait_happened(3)
            incoming.go()
        assert len(done) == 1

    run(story)


def test_a_caller_that_goes_while_500_is_sent(run: Run) -> None:
    async def story() -> None:
        incoming = MemoryIncoming(room=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(AsgiHandler(sends()), incoming)
            await trio.testing.wait_all_tasks_blocked()
            incoming.go()
        assert incoming.status == 500
        assert incoming.end == ""

    run(story)


# --- the end from outside -----------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
def test_a_handler_that_is_cancelled_resets(run: Run, begun: bool) -> None:
    async def story() -> None:
        incoming = MemoryIncoming()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if begun:
                await sends(start(), body(b"1", more=True))(scope, receive, send)
            await trio.sleep_forever()

        with trio.move_on_after(1) as scope:
            await AsgiHandler(app)(incoming)
        assert scope.cancelled_caught
        assert incoming.end == "reset"

    run(story)


def test_what_ends_programs_passes(run: Run) -> None:
    async def story() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise SystemExit(3)

        incoming = MemoryIncoming()
        with pytest.raises(SystemExit):
            await AsgiHandler(app)(incoming)
        assert incoming.end == "reset"

    run(story)


# --- options ------------------------------------------------------------------------------------


def test_options_that_make_no_sense() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    async def other(request: Any) -> None: ...

    for given in (1, other, app(None, None, None)):
        with pytest.raises(TypeError, match="app"):
            AsgiHandler(given)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="root_path must be str"):
        AsgiHandler(app, root_path=b"/x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="grace must be a number"):
        AsgiHandler(app, grace="5")  # type: ignore[arg-type]
    for grace in (-1, float("nan")):
        with pytest.raises(InvalidOption, match="grace must be 0 at least"):
            AsgiHandler(app, grace=grace)
