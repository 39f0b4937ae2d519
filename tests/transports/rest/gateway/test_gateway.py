"""The gateway under hypercorn: public callers over HTTP, publishers that have dialled in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trio

from tests.transports.pool.world import until
from tests.transports.rest.world import Parked, answer, echo, read
from wirecore.errors import InvalidOption
from wirecore_trio import rest
from wirecore_trio.rest.gateway import Gateway, Route, Tokens

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.rest.gateway.world import OpenGateway


def test_the_first_part_of_the_path_is_the_name(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        async with open_gateway() as world, world.caller() as http, world.publish(echo, "api"):
            response = await http.post("/api/todos?a=b%20c", content=b"hello")
            assert (response.status_code, response.content) == (200, b"POST /todos hello")
            assert (await http.get("/api/")).content == b"GET / "
            assert response.headers["content-type"] == "text/plain"
            assert (await http.get("/other/")).status_code == 503
            assert (await http.get("/other/")).headers["retry-after"] == "5"
            assert (await http.get("/")).status_code == 404

    run_real(story)


def test_routes_by_host_path_and_metadata(open_gateway: OpenGateway, run_real: Run) -> None:
    async def who(scope: Any, receive: Any, send: Any) -> None:
        name = scope["extensions"]["wirecore.rest"]["metadata"]
        await answer(send, f"{name['name']} {scope['path']}".encode())

    routes = (
        Route(name="all", host="*.example.org"),
        Route(name="one", host="one.example.org"),
        Route(name="deep", host="one.example.org", prefix="/deep"),
        Route(name="short", prefix="/s", strip=True),
        Route(metadata={"name": "exact", "n": 1}, prefix="/exact"),
    )

    async def story() -> None:
        async with (
            open_gateway(*routes) as world,
            world.caller() as http,
            world.publish(who, {"name": "all"}),
            world.publish(who, {"name": "one"}),
            world.publish(who, {"name": "deep"}),
            world.publish(who, {"name": "short"}),
            world.publish(who, {"name": "exact", "n": 2}),
            world.publish(who, {"name": "exact", "n": 1}),
        ):

            async def ask(path: str, host: str = "nowhere") -> bytes:
                return (await http.get(path, headers={"Host": host})).content

            assert await ask("/a", "x.example.org:80") == b"all /a"
            assert await ask("/a", "ONE.example.org") == b"one /a"
            assert await ask("/deep/a", "one.example.org") == b"deep /deep/a"
            assert await ask("/deeper", "one.example.org") == b"one /deeper"
            assert await ask("/s/a%20b") == b"short /a b"
            assert await ask("/exact") == b"exact /exact"
            assert b"no route" in await ask("/a", "example.org")

    run_real(story)


def test_headers_on_their_way(open_gateway: OpenGateway, run_real: Run) -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        seen.append(scope["headers"])
        fields = [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"Connection", b"X-Own")]
        fields += [(b"X-Own", b"hidden"), (b"Keep-Alive", b"5"), (b"X-Kept", b"yes")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b""})

    async def story() -> None:
        asked = {
            "Connection": "close, X-Hop",
            "X-Hop": "1",
            "TE": "trailers",
            "X-Forwarded-For": "6.6.6.6",
            "X-Forwarded-Proto": "https",
            "Forwarded": "for=6.6.6.6",
            "X-Kept": "yes",
        }
        for trusted in False, True:
            async with (
                open_gateway(trust_forwarded=trusted) as world,
                world.caller() as http,
                world.publish(app, "api"),
            ):
                response = await http.get("/api/x", headers=asked)
                assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
                assert "x-own" not in response.headers
                assert response.headers["x-kept"] == "yes"
                told = dict(seen.pop())
                assert {b"x-hop", b"te", b"connection"} & set(told) == set()
                assert told[b"x-kept"] == b"yes"
                assert told[b"x-forwarded-prefix"] == b"/api"
                assert told[b"x-forwarded-host"].startswith(b"127.0.0.1:")
                assert told[b"via"] == b"1.1 wirecore"
                if trusted:
                    assert told[b"x-forwarded-for"] == b"6.6.6.6, 127.0.0.1"
                    assert told[b"x-forwarded-proto"] == b"https"
                else:
                    assert told[b"x-forwarded-for"] == b"127.0.0.1"
                    assert told[b"x-forwarded-proto"] == b"http"
                    assert b"forwarded" not in told

    run_real(story)


def test_what_an_application_may_not_be_told_by_callers(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        seen.append(scope["headers"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def story() -> None:
        made_up = ["X-Forwarded-User", "X-Forwarded-Email", "x_forwarded_for", "X-Forwarded_Ssl"]
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(app, "api"),
        ):
            asked = dict.fromkeys(made_up, "root")
            assert (await http.get("/api/x", headers=asked)).status_code == 204
        assert b"root" not in [value for _, value in seen.pop()]

    run_real(story)


def test_an_application_that_trusts_its_gateway_sees_the_caller(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    """Who asks, by which scheme, and where the application is mounted for him."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        seen.append([scope[key] for key in ("scheme", "client", "root_path", "path", "raw_path")])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def story() -> None:
        front = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
        async with (
            open_gateway(trust_forwarded=True) as world,
            world.caller() as http,
            world.publish(app, "api", trust_forwarded=True),
        ):
            await http.get("/api/a%20b", headers=front)
            assert seen.pop() == ["https", ("6.6.6.6", 0), "/api", "/api/a b", b"/a%20b"]
            await http.get("/api/x")
            assert seen.pop() == ["http", ("127.0.0.1", 0), "/api", "/api/x", b"/x"]
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(app, "api"),
        ):
            await http.get("/api/x")
            [scheme, client, root_path, path, _] = seen.pop()
            assert (scheme, root_path, path) == ("http", "", "/x")
            assert client != ("127.0.0.1", 0)

    run_real(story)


def test_callers_are_told_nothing_of_publishers(open_gateway: OpenGateway, run_real: Run) -> None:
    """Neither where they are, nor what they say: that is for the gateway's log and view."""
    publisher: Any = None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        publisher.connection._channel.abort()

    async def story() -> None:
        nonlocal publisher
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(app, "api") as publisher,
        ):
            response = await http.get("/api/x")
            assert (response.status_code, response.text) == (502, "the publisher was lost\n")
            await until(lambda: bool(world.gateway.state().errors))  # it is counted at its end
            assert "127.0.0.1" in world.gateway.state().errors[0].problem

    run_real(story)


def test_bodies_stream_both_ways(open_gateway: OpenGateway, run_real: Run) -> None:
    async def shout(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (message := await receive())["more_body"]:
            piece = message["body"].upper()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": message["body"].upper()})

    async def story() -> None:
        heard = trio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            await heard.wait()
            yield b"two"

        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(shout, "api"),
        ):
            # httpx2 reads no response before its request is out: a bare one does.
            host, _, port = world.url.removeprefix("http://").partition(":")
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                head = b"POST /api/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                await stream.send_all(head + b"3\r\none\r\n")
                got = b""
                while b"ONE" not in got:
                    got += await stream.receive_some()
                await stream.send_all(b"3\r\ntwo\r\n0\r\n\r\n")
                while not got.endswith(b"0\r\n\r\n"):
                    got += await stream.receive_some()
                assert b"TWO" in got
            heard.set()
            assert (await http.post("/api/", content=pieces())).content == b"ONETWO"
            # Of one that answers as it reads, httpx2 would wait for ever to read.
            async with world.publish(echo, "whole"):
                large = bytes(3_000_000)
                assert (await http.post("/whole/", content=large)).content == b"POST / " + large

    run_real(story)


def test_http_2(open_gateway: OpenGateway, run_real: Run) -> None:
    """Whose heads don't tell whether there is a body."""

    async def story() -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"piece "

        async with (
            open_gateway() as world,
            world.caller(http1=False, http2=True) as http,
            world.publish(echo, "api"),
        ):
            response = await http.post("/api/x", content=pieces())
            assert response.http_version == "HTTP/2"
            assert response.content == b"POST /x piece piece piece "
            assert (await http.get("/api/y")).content == b"GET /y "

    run_real(story)


def test_several_of_one_name_share_the_load(open_gateway: OpenGateway, run_real: Run) -> None:
    one, other = Parked(), Parked()

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(one, "api"),
            world.publish(other, "api"),
            trio.open_nursery() as nursery,
        ):
            for number in range(6):
                nursery.start_soon(http.get, f"/api/{number}")
            await until(lambda: len(one.waiting) + len(other.waiting) == 6)
            assert len(one.waiting) == len(other.waiting) == 3
            for parked in one, other:
                for event in parked.waiting.values():
                    event.set()

    run_real(story)


def test_a_publisher_that_is_lost(open_gateway: OpenGateway, run_real: Run) -> None:
    parked = Parked()

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the beginning", "more_body": True})
        raise ValueError("it broke")

    async def story() -> None:
        async with open_gateway() as world, world.caller() as http:
            async with world.publish(parked, "api"), trio.open_nursery() as nursery:
                statuses: list[int] = []

                async def ask() -> None:
                    statuses.append((await http.get("/api/slow")).status_code)

                nursery.start_soon(ask)
                await parked.wait_for("/slow")
                world.server.find("api")[0]._channel.abort()
                await until(lambda: statuses == [502])
            async with world.publish(breaks, "broken"):
                with pytest.raises(httpx2.RemoteProtocolError):
                    await http.get("/broken/")

    run_real(story)


def test_a_publisher_that_takes_too_long(open_gateway: OpenGateway, run_real: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with (
            open_gateway(response_timeout=1) as world,
            world.caller() as http,
            world.publish(parked, "api"),
        ):
            assert (await http.get("/api/slow")).status_code == 504
            await until(lambda: parked.gone == ["/slow"])
            parked.waiting["/slow"].set()

    run_real(story)


def test_a_caller_that_goes(open_gateway: OpenGateway, run_real: Run) -> None:
    parked = Parked()

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(parked, "api"),
        ):
            async with trio.open_nursery() as callers:
                callers.start_soon(http.get, "/api/slow")
                await parked.wait_for("/slow")
                callers.cancel_scope.cancel()
            await until(lambda: parked.gone == ["/slow"])
            parked.waiting["/slow"].set()

    run_real(story)


def test_a_body_that_is_too_long(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        async with (
            open_gateway(max_body_size=1000) as world,
            world.caller() as http,
            world.publish(echo, "api"),
        ):
            assert (await http.post("/api/", content=bytes(1000))).status_code == 200
            assert (await http.post("/api/", content=bytes(1001))).status_code == 413

    run_real(story)


def test_tokens_say_who_may_publish_what(open_gateway: OpenGateway, run_real: Run) -> None:
    tokens = Tokens({"secret-1": ["api"], "secret-2": ["*"]})

    async def story() -> None:
        async with open_gateway(tokens=tokens) as world, world.caller() as http:
            for headers in {}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret-1"}:
                with pytest.raises(Exception, match="401"):
                    async with world.publish(echo, "api", headers=headers):
                        raise AssertionError("it was let in")
            one = {"Authorization": "Bearer secret-1"}
            async with world.publish(echo, "other", headers=one) as client:
                await until(lambda: client.connections > 1)
                assert (await http.get("/other/")).status_code == 503
            async with world.publish(echo, "api", headers=one):
                assert (await http.get("/api/")).status_code == 200
            any_name = {"Authorization": "Bearer secret-2"}
            async with world.publish(echo, "other", headers=any_name):
                assert (await http.get("/other/")).status_code == 200

    run_real(story)


def test_the_access_log_has_no_query(
    open_gateway: OpenGateway, run_real: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wirecore.rest.access")

    def lines() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == "wirecore.rest.access"]

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(echo, "api") as client,
        ):
            await http.get("/api/a%0Ab?secret=1")
            await until(lambda: bool(lines()))
            [text] = lines()
            assert text.startswith('127.0.0.1 "GET /api/a\\nb" 200 ')
            assert text.endswith(f" ms {client.connection.id}")

    run_real(story)


def test_head_and_no_content(open_gateway: OpenGateway, run_real: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await read(receive)
        await answer(send, b"body", 204 if scope["path"] == "/nothing" else 200)

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(app, "api"),
        ):
            response = await http.head("/api/")
            assert (response.status_code, response.content) == (200, b"")
            assert response.headers["content-length"] == "4"
            assert (await http.delete("/api/nothing")).status_code == 204

    run_real(story)


def test_a_page_without_the_slash_of_its_prefix(open_gateway: OpenGateway, run_real: Run) -> None:
    """Its links would lead beside it: who reads it is sent on, and who sends something isn't."""

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller(follow_redirects=True) as http,
            world.publish(echo, "api"),
        ):
            response = await http.get("/api?a=/b")
            assert response.url.raw_path == b"/api/?a=/b"
            assert response.text == "GET / "
            assert [each.status_code for each in response.history] == [308]
            assert (await http.head("/api")).history[0].status_code == 308
            assert (await http.post("/api", content=b"x")).text == "POST / x"
            assert (await http.get("/nobody")).status_code == 503
            assert not (await http.get("/nobody")).history

    run_real(story)


def test_options_that_make_no_sense() -> None:
    server = rest.Server()
    for wrong in (
        {"name": None},
        {"name": "a", "metadata": 1},
        {"name": "a/b"},
        {"name": "a", "prefix": "api"},
        {"name": "a", "prefix": "/api/"},
        {"name": "a", "strip": True},
    ):
        with pytest.raises(InvalidOption):
            Route(**wrong)
    with pytest.raises(TypeError, match="host"):
        Route(name="a", host=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="server"):
        Gateway("ws://127.0.0.1/")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="max_body_size"):
        Gateway(server, max_body_size=-1)
    with pytest.raises(ValueError, match="ASCII"):
        Tokens({"": ["a"]})
    with pytest.raises(InvalidOption, match="names: a name is one part of a path"):
        Tokens({"secret": ["a/b"]})
    with pytest.raises(TypeError, match="several"):
        Tokens({"secret": "api"})
