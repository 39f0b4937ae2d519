"""WebSockets between our own ends: messages both ways, refusals, and every way to end."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.world import OpenServer, answer, under_way
from wirecore import errors
from wirecore.protocols.rest.messages import MessageDecoder, encode_message
from wirecore_trio import rest
from wirecore_trio.websocket import AlreadyClosed, ConnectionClosed


async def accept(receive: Any, send: Any, **more: Any) -> None:
    """Take the WebSocket that is asked for."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", **more})


class Echo:
    """Gives back what it gets. *ended*: what it was told at the end of each."""

    def __init__(self) -> None:
        self.ended: list[tuple[int, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await accept(receive, send)
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
        self.ended.append((message["code"], message["reason"]))


def test_messages_go_both_ways(open_server: OpenServer, run_sockets: Run) -> None:
    echo = Echo()

    async def story() -> None:
        async with open_server(echo) as world, world.connect() as client:
            async with client.websocket("/chat?room=1") as ws:
                assert ws.subprotocol is None
                for message in "text é", b"\x00\xff", "", b"", "x" * 100_000:
                    await ws.send(message)
                    assert await ws.receive() == message
                await ws.send(memoryview(b"buffer"))
                assert await ws.receive() == b"buffer"
            assert echo.ended == [(1000, "")]
            with pytest.raises(AlreadyClosed):
                await ws.send("late")
            with pytest.raises(AlreadyClosed):
                await ws.receive()
            assert under_way(client.connection) == []  # nothing is left of it
            await until(lambda: not world.server.connections[0]._serving)

    run_sockets(story)


def test_a_thousand_messages_each_way_at_once(open_server: OpenServer, run_sockets: Run) -> None:
    wanted = [f"message {number}" if number % 2 else b"%d" % number for number in range(1000)]
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def say() -> None:
            for message in wanted:
                kind = "text" if isinstance(message, str) else "bytes"
                await send({"type": "websocket.send", kind: message})

        await accept(receive, send)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say)
            while (message := await receive())["type"] == "websocket.receive":
                got.append(message["text"] if message["bytes"] is None else message["bytes"])

    async def story() -> None:
        async with (
            open_server(app) as world,
            world.connect() as client,
            client.websocket("/") as ws,
            trio.open_nursery() as nursery,
        ):

            async def say() -> None:
                for message in wanted:
                    await ws.send(message)

            nursery.start_soon(say)
            assert [await ws.receive() for _ in wanted] == wanted
        assert got == wanted

    run_sockets(story)


def test_subprotocols_and_headers(open_server: OpenServer, run_sockets: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        assert (scope["scheme"], headers[b"x-own"], headers[b"host"]) == ("ws", b"1", b"api")
        chosen = scope["subprotocols"][-1]
        await accept(receive, send, subprotocol=chosen, headers=[(b"X-Answer", b"2")])

    async def story() -> None:
        async with (
            open_server(app) as world,
            world.connect() as client,
            client.websocket(
                "/", headers={"X-Own": "1", "Host": "api"}, subprotocols=["a", "b"]
            ) as ws,
        ):
            assert ws.subprotocol == "b"
            assert (b"X-Answer", b"2") in ws.fields
            assert [message async for message in ws] == []

    run_sockets(story)


def test_a_subprotocol_that_nobody_asked_for(open_server: OpenServer, run_sockets: Run) -> None:
    async def handler(incoming: rest.Incoming) -> None:
        await incoming.respond(101, [(b"Sec-WebSocket-Protocol", b"other")])
        await incoming.receive()

    async def story() -> None:
        async def on_connection(connection: rest.Connection) -> None:
            connection._serve_with(handler)

        async with open_server(on_connection=on_connection) as world, world.connect() as client:
            with pytest.raises(errors.HandshakeError, match="nobody asked for: 'other'"):
                async with client.websocket("/", subprotocols=["chat"]):
                    raise AssertionError("it is open")
            await until(lambda: not world.server.connections[0]._serving)

    run_sockets(story)


def test_a_refusal_carries_the_response(open_server: OpenServer, run_sockets: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/no":
            await send({"type": "websocket.close"})
            return
        start = {"type": "websocket.http.response.start", "status": 401}
        await send({**start, "headers": [(b"WWW-Authenticate", b"Bearer")]})
        body = {"type": "websocket.http.response.body", "body": b"who are you?"}
        if scope["path"] == "/long":
            body["body"] = bytes(1000)
            while True:
                await send({**body, "more_body": True})
        if scope["path"] == "/breaks":
            await send({**body, "more_body": True})
            raise ValueError("it breaks off")
        await send(body)

    async def refused(client: Any, path: str) -> rest.Response:
        with pytest.raises(rest.WebSocketRefused) as caught:
            async with client.websocket(path):
                raise AssertionError("it is open")
        assert caught.value.status == caught.value.response.status
        return caught.value.response

    async def story() -> None:
        async with open_server(app) as world, world.connect() as client:
            assert (await refused(client, "/no")).status == 403
            response = await refused(client, "/")
            assert (response.status, response.body) == (401, b"who are you?")
            assert response.header("www-authenticate") == "Bearer"
            assert len((await refused(client, "/long")).body) == 64 * 1024
            assert (await refused(client, "/breaks")).body in (b"", b"who are you?")
            await until(lambda: not world.server.connections[0]._serving)
            assert under_way(client.connection) == []

    run_sockets(story)


def test_no_answer(open_server: OpenServer, run_sockets: Run) -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == {"type": "websocket.connect"}
        told.append(await receive())

    async def story() -> None:
        async with open_server(app) as world, world.connect() as client:
            with pytest.raises(errors.CallTimeout, match="no answer to GET /a within 2 s"):
                async with client.websocket("/a?secret", timeout=2):
                    raise AssertionError("it is open")
            await until(lambda: bool(told))
            assert told == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    run_sockets(story)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4000])
def test_the_application_closes(open_server: OpenServer, run_sockets: Run, code: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        await send({"type": "websocket.send", "text": "last words"})
        await send({"type": "websocket.close", "code": code, "reason": "why"})

    async def story() -> None:
        async with (
            open_server(app) as world,
            world.connect() as client,
            client.websocket("/") as ws,
        ):
            await until(lambda: ws._call.ended)
            with pytest.raises(ConnectionClosed):
                await ws.send("too late")  # which doesn't lose what came before
            assert await ws.receive() == "last words"
            for _ in range(2):
                with pytest.raises(ConnectionClosed, match="why") as caught:
                    await ws.receive()
            assert (caught.value.code, caught.value.clean) == (code, True)
            if code in (1000, 1001):
                assert [message async for message in ws] == []
            else:
                with pytest.raises(ConnectionClosed):
                    await anext(ws)

    run_sockets(story)


def test_the_caller_closes_while_another_task_receives(
    open_server: OpenServer, run_sockets: Run
) -> None:
    echo = Echo()

    async def story() -> None:
        async with open_server(echo) as world, world.connect() as client:
            async with client.websocket("/") as ws, trio.open_nursery() as nursery:

                async def read() -> None:
                    assert [message async for message in ws] == []

                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked(0.01)
                with pytest.raises(errors.InvalidOption, match="1006"):
                    await ws.close(1006)
                await ws.close(4001, "enough")
                await ws.close()
                assert repr(ws) == "<rest.WebSocket, closed>"
            assert echo.ended == [(4001, "enough")]

    run_sockets(story)


def test_one_that_the_application_doesnt_close(open_server: OpenServer, run_sockets: Run) -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        try:
            await trio.sleep_forever()
        finally:
            told.append(trio.current_time())

    async def story() -> None:
        async with open_server(app) as world, world.connect(close_timeout=3) as client:
            async with client.websocket("/") as ws, trio.open_nursery() as nursery:

                async def read() -> None:
                    with pytest.raises(AlreadyClosed):
                        await ws.receive()

                nursery.start_soon(read)
                begun = trio.current_time()
                await ws.close()
                assert 3 <= trio.current_time() - begun < 4
            await until(lambda: bool(told), step=1)  # its grace, behind that
            assert told[0] - begun >= 8

    run_sockets(story)


@pytest.mark.parametrize(("failing", "code"), [(True, 1011), (False, 1001)])
def test_leaving_it_with_an_exception(
    open_server: OpenServer, run_sockets: Run, failing: bool, code: int
) -> None:
    echo = Echo()

    async def story() -> None:
        async with open_server(echo) as world, world.connect() as client:
            if failing:
                with pytest.raises(ZeroDivisionError):
                    async with client.websocket("/"):
                        raise ZeroDivisionError
            else:
                with trio.move_on_after(1):
                    async with client.websocket("/"):
                        await trio.sleep_forever()
            await until(lambda: echo.ended == [(code, "")])

    run_sockets(story)


def test_a_connection_that_is_lost(open_server: OpenServer, run_sockets: Run) -> None:
    echo = Echo()

    async def story() -> None:
        async with open_server(echo) as world, world.connect() as client:
            async with client.websocket("/") as ws:
                world.server.connections[0]._channel.abort()
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.receive()
                assert (caught.value.code, caught.value.clean) == (1006, False)
                assert isinstance(caught.value.__cause__, errors.CallLost)
                with pytest.raises(ConnectionClosed):
                    await ws.send("x")
            assert echo.ended == [(1006, "")]
            async with client.websocket("/") as ws:  # over the next one
                await ws.send("again")
                assert await ws.receive() == "again"

    run_sockets(story)


@pytest.mark.parametrize("how", ["send", "receive", "leave"])
def test_one_whose_server_has_gone_is_lost(
    open_server: OpenServer, run_sockets: Run, how: str
) -> None:
    """Nothing can run in the server's place any more, and nothing has to."""

    async def use(connection: rest.Connection) -> None:
        async with connection.websocket("/") as ws:
            opened.set()
            await gone.wait()
            if how != "leave":
                with pytest.raises(ConnectionClosed) as caught:
                    await (ws.send("x") if how == "send" else ws.receive())
                assert caught.value.code == 1006

        used.set()

    async def stay(client: Any) -> None:
        async with client:
            await trio.sleep_forever()

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            async with open_server() as world:
                nursery.start_soon(stay, world.connect(Echo()))
                nursery.start_soon(use, (await world.joined())[0])
                await opened.wait()
            gone.set()
            await used.wait()
            nursery.cancel_scope.cancel()

    opened, gone, used = trio.Event(), trio.Event(), trio.Event()
    run_sockets(story)


def test_an_application_that_is_cancelled(open_server: OpenServer, run_sockets: Run) -> None:
    async def handler(incoming: rest.Incoming) -> None:
        await incoming.respond(101, [])
        incoming.reset("enough")

    async def story() -> None:
        async def on_connection(connection: rest.Connection) -> None:
            connection._serve_with(handler)

        async with (
            open_server(on_connection=on_connection) as world,
            world.connect() as client,
            client.websocket("/") as ws,
        ):
            with pytest.raises(ConnectionClosed, match="enough") as caught:
                await ws.receive()
            assert caught.value.code == 1006
            assert isinstance(caught.value.__cause__, rest.Aborted)

    run_sockets(story)


def test_a_message_waits_for_who_reads_slowly(open_server: OpenServer, run_sockets: Run) -> None:
    """No more than a window is under way, and a cancelled message goes whole."""
    size = 8 * 1024 * 1024
    big = bytes(range(256)) * (size // 256)
    got: list[Any] = []
    read = trio.Event

    async def story() -> None:
        may_read = read()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await accept(receive, send)
            await may_read.wait()
            while (message := await receive())["type"] == "websocket.receive":
                got.append(message["bytes"] or message["text"])

        async with open_server(app) as world, world.connect() as client:
            async with client.websocket("/") as ws:
                [served] = world.server.connections[0]._serving
                with trio.move_on_after(1) as scope:
                    await ws.send(big)
                assert scope.cancelled_caught
                held = sum(map(len, served._pieces))
                assert held <= 64 * 1024
                assert client.connection._channel.session.outbox.pending == 0
                with trio.move_on_after(1) as scope:
                    await ws.send("never sent: another one has begun")
                assert scope.cancelled_caught
                may_read.set()
                await ws.send("behind it")
            assert got == [big, "behind it"]

    run_sockets(story)


def test_an_application_waits_for_who_reads_slowly(
    open_server: OpenServer, run_sockets: Run
) -> None:
    size = 8 * 1024 * 1024
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        for number in range(3):
            await send({"type": "websocket.send", "bytes": bytes([number]) * size})
            sent.append(number)

    async def story() -> None:
        async with (
            open_server(app) as world,
            world.connect() as client,
            client.websocket("/") as ws,
        ):
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert sent == []
            assert sum(map(len, ws._call._pieces)) <= 64 * 1024
            for number in range(3):
                message = await ws.receive()
                assert isinstance(message, bytes)
                assert (len(message), message[0], message[-1]) == (size, number, number)

    run_sockets(story)


def test_one_slow_websocket_holds_nobody_else_up(open_server: OpenServer, run_sockets: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await answer(send, b"quick")
            return
        await accept(receive, send)
        while True:
            await send({"type": "websocket.send", "bytes": bytes(10_000)})

    async def story() -> None:
        async with open_server(app) as world, world.connect() as client:
            async with client.websocket("/") as ws:
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert (await client.request("GET", "/")).body == b"quick"
                assert await ws.receive() == bytes(10_000)
            await until(lambda: not world.server.connections[0]._serving)

    run_sockets(story)


@pytest.mark.parametrize("here", [True, False])
def test_a_message_that_is_too_long(open_server: OpenServer, run_sockets: Run, here: bool) -> None:
    """Either end may have the smaller bound."""
    echo = Echo()

    async def story() -> None:
        small, large = {"max_message_size": 1000}, {"max_message_size": 2000}
        async with (
            open_server(echo, **(large if here else small)) as world,
            world.connect(**(small if here else large)) as client,
            client.websocket("/") as ws,
        ):
            await ws.send(bytes(1000))
            assert await ws.receive() == bytes(1000)
            await ws.send(bytes(1001))
            with pytest.raises(ConnectionClosed, match="got 1001") as caught:
                await ws.receive()
            assert caught.value.code == 1009
            await until(lambda: bool(echo.ended))
            assert echo.ended[0][0] == 1009

    run_sockets(story)


def test_what_is_no_message(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server(Echo()) as world, world.connect() as client:
            async with client.websocket("/") as ws:
                with pytest.raises(TypeError, match=r"json\.dumps"):
                    await ws.send({"a": 1})
                with pytest.raises(errors.UnsendableMessage):
                    await ws.send("\ud800")
                await ws.send("still open")
                assert await ws.receive() == "still open"
            with pytest.raises(TypeError, match="async with"):
                await client.websocket("/")
            for wrong in {"subprotocols": ["a b"]}, {"subprotocols": ["a", "a"]}:
                with pytest.raises(errors.InvalidOption, match="tokens"):
                    client.websocket("/", **wrong)
            with pytest.raises(errors.InvalidOption, match="set by the library"):
                client.websocket("/", headers={"Sec-WebSocket-Key": "x"})

    run_sockets(story)


def test_a_message_before_one_that_is_none_arrives(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def story() -> None:
        async def serve(incoming: rest.Incoming) -> None:
            nothing = b"\x03\x00\x00\x00\x00"
            await incoming.respond(101, (), encode_message("good") + nothing)
            while (piece := await incoming.receive()) is not None:
                told.append(piece)

        told: list[bytes] = []
        async with open_server() as world, world.connect() as client:
            [theirs] = await world.joined()
            theirs._serve_with(serve)
            async with client.websocket("/") as ws:
                assert await ws.receive() == "good"
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.receive()
                assert caught.value.code == 1002
            await until(lambda: bool(told))
            decoder = MessageDecoder()
            [close] = decoder.receive(told[0])
            assert close == decoder.closed
            assert close.code == 1002

    run_sockets(story)


def test_towards_a_peer_that_isnt_ours(open_server: OpenServer, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_server() as world, world.original() as peer:
            await peer.shake()
            [connection] = await world.joined()
            with pytest.raises(errors.InvalidState, match="isn't wirecore's"):
                async with connection.websocket("/"):
                    raise AssertionError("it is open")
            connection.serve(Echo())  # which end calls wasn't decided by that

    run_sockets(story)


# --- draining -------------------------------------------------------------------------------------


def test_a_server_that_drains_tells_the_application(
    open_server: OpenServer, run_sockets: Run
) -> None:
    echo = Echo()

    async def story() -> None:
        async with open_server(echo) as world, world.connect(wait=True) as client:
            async with client.websocket("/") as ws:
                await ws.send("before")
                assert await ws.receive() == "before"
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(world.server.drain)
                    with pytest.raises(ConnectionClosed) as caught:
                        await ws.receive()
                assert (caught.value.code, caught.value.clean) == (1012, True)
            assert echo.ended == [(1012, "the server is going away")]

    run_sockets(story)


def test_a_client_that_leaves_tells_its_application(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def busy(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        while scope["path"] == "/busy":
            await trio.sleep(0.5)
            await send({"type": "websocket.send", "text": "tick"})
        await receive()

    async def story() -> None:
        ends: list[int] = []

        async def listen(connection: rest.Connection, path: str) -> None:
            async with connection.websocket(path) as ws:
                try:
                    while True:
                        await ws.receive()
                except ConnectionClosed as error:
                    ends.append(error.code)

        async with open_server() as world, trio.open_nursery() as nursery:
            for path, code in ("/", 1012), ("/busy", 1006):
                async with world.connect(busy, close_timeout=3):
                    [connection] = await world.joined()
                    nursery.start_soon(listen, connection, path)
                    await until(lambda: bool(under_way(connection)))  # noqa: B023
                    await trio.sleep(1)
                await until(lambda: bool(ends))
                assert ends.pop() == code

    run_sockets(story)
