"""Wrong arguments are told where they are given, by their names; no text holds a secret."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidOption, UpgradeRejected
from wirecore_trio.websocket import (
    Accept,
    Backoff,
    Options,
    Prepared,
    Request,
    Response,
    RetryPolicy,
    WebSocket,
    connect,
    reconnecting,
    serve,
    wrap_client,
    wrap_server,
)
from wirecore_trio.websocket._client import Dialer

if TYPE_CHECKING:
    from tests.transports.conftest import OpenPair, Run
    from tests.transports.websocket.conftest import World


async def handler(ws: WebSocket) -> None:
    raise AssertionError("nobody calls it")


# --- dialling -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"url": b"ws://h/"}, "url must be str or None, not bytes"),
        ({"subprotocols": "chat"}, "subprotocols must be a list of str, not str: put the one"),
        ({"subprotocols": [b"chat"]}, "subprotocols must be a list of str: it holds bytes"),
        ({"headers": "X-One: 1"}, "headers must be a mapping or (name, value) pairs, not str"),
        ({"headers": 5}, "headers must be a mapping or (name, value) pairs, not int"),
        ({"headers": ["X-One"]}, "(name, value) pairs: it holds str"),
        ({"headers": [("X-One",)]}, "(name, value) pairs: one of them has 1 members"),
        ({"headers": {"X-One": 1}}, "pairs, each of str or bytes: one holds int"),
        ({"retry": 3}, "retry must be RetryPolicy or None, not int: give RetryPolicy(attempts="),
        ({"prepare": 5}, "prepare must be an async function, not int"),
        ({"url": None, "prepare": handler}, "prepare is called as prepare(): missing a required"),
        ({"origin": 5}, "origin must be str or None, not int"),
        ({"ssl_context": True}, "ssl_context must be SSLContext or None, not bool"),
        ({"proxy": 5}, "proxy must be str or bool or None, not int"),
        ({"happy_eyeballs_delay": None}, "happy_eyeballs_delay must be a number of seconds, not"),
        ({"options": {}}, "options must be Options, not dict"),
    ],
)
@pytest.mark.parametrize("function", [connect, reconnecting])
def test_arguments_of_a_dial(function: Any, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=re.escape(text)):
        function(**{"url": "ws://h/", **arguments})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"headers": {"X One": "1"}}, "'X One' can't be the name of a header field"),
        ({"headers": {"X-One": "secret\r\n"}}, "'X-One' must hold no line break"),
        ({"headers": {"Host": "h"}}, "the header field 'Host' is set by the library"),
        ({"headers": {"Upgrade": "h2c"}}, "the header field 'Upgrade' is set by the library"),
        ({"subprotocols": ["a b"]}, "subprotocols must be tokens"),
        ({"origin": "line\r\nbreak"}, "origin must hold no line break"),
        ({"url": "ws://h/sécret"}, "path and query must begin with a slash and be percent-encoded"),
    ],
)
@pytest.mark.parametrize("function", [connect, reconnecting])
def test_words_that_cant_be_sent(function: Any, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOption, match=re.escape(text)) as caught:
        function(**{"url": "ws://h/", **arguments})
    assert "secret" not in str(caught.value)


def test_words_of_a_hook_that_cant_be_sent() -> None:
    for headers in ({"X One": "1"}, {"Host": "h"}, {"X-One": "a\nb"}):
        with pytest.raises(InvalidOption):
            Prepared("ws://h/", headers)
    for headers in ({"X One": "1"}, {"Upgrade": "h2c"}, {"X-One": "a\nb"}):
        with pytest.raises(InvalidOption):
            Accept(headers)


@pytest.mark.parametrize("function", [connect, reconnecting])
def test_a_connection_to_be_is_entered(run: Run, function: Any) -> None:
    use = rf"use async with {function.__name__}\(\.\.\.\) as "

    async def story() -> None:
        with pytest.raises(TypeError, match=f"it isn't awaited: {use}"):
            await function("ws://h/")
        with pytest.raises(TypeError, match=f"it takes async with: {use}"), function("ws://h/"):
            pytest.fail("it was entered")
        with pytest.raises(AttributeError, match=f"no attribute 'send': {use}"):
            await function("ws://h/").send("text")
        assert not hasattr(function("ws://h/"), "receive")

    run(story)


@pytest.mark.parametrize("function", [connect, reconnecting])
def test_an_unknown_argument_is_refused_by_the_function_that_was_called(function: Any) -> None:
    text = rf"^{function.__name__}\(\) got an unexpected keyword argument 'timeout'$"
    with pytest.raises(TypeError, match=text):
        function("ws://h/", timeout=5)


def test_a_context_for_tls_must_have_its_use() -> None:
    with pytest.raises(InvalidOption, match="the URL begins with ws://, which has no TLS"):
        connect("ws://h/", ssl_context=ssl.create_default_context())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(InvalidOption, match="ssl_context is a server's"):
        connect("wss://h/", ssl_context=server)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"backoff": Backoff.websocket()}, "backoff must be a function that makes a Backoff"),
        ({"attempts": "3"}, "attempts must be int, not str"),
        ({"fatal_statuses": 404}, "fatal_statuses must be a set of int, not int"),
        ({"fatal_statuses": "404"}, "fatal_statuses must be a set of int, not str"),
    ],
)
def test_arguments_of_a_retry_policy(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        RetryPolicy(**arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"limits": 5}, "limits must be Limits, not int"),
        ({"high_water": 1.5}, "high_water must be int, not float"),
        ({"max_queue": None}, "max_queue must be int, not NoneType"),
        ({"close_timeout": None}, "close_timeout must be a number of seconds, not NoneType"),
        ({"ping_interval": "20"}, "ping_interval must be a number of seconds or None, not str"),
        ({"compression": True}, r"DeflateOffer or None, not bool: give DeflateOffer\(\)"),
        ({"raw_text": 1}, "raw_text must be bool, not int"),
    ],
)
def test_arguments_of_options(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        Options(**arguments)


@pytest.mark.parametrize(
    "form",
    [dict, list, iter],  # an iterator gives its pairs once, and a dial may be repeated
)
def test_headers_are_pairs_or_a_mapping(world: World, run_sockets: Run, form: Any) -> None:
    headers = form([("X-One", "1"), ("X-Two", b"2")])

    async def greet(request: Request) -> Accept:
        assert (request.header(b"x-one"), request.header(b"x-two")) == (b"1", b"2")
        return Accept(headers={"X-Three": "3"})

    async def story() -> None:
        async with world.serving(on_request=greet) as server:
            dialling = world.connect(server, headers=headers)
            async with dialling as ws:
                assert (b"x-three", b"3") in ws.accepted.headers
            again = dialling._dialer
            async with await again.dial():
                pass

    run_sockets(story)


def test_what_prepare_returns_is_checked(run_sockets: Run) -> None:
    async def prepare() -> Any:
        return "ws://user:secret@h/"

    async def story() -> None:
        with pytest.raises(TypeError, match="what prepare returns must be Prepared, not str"):
            await connect(prepare=prepare, retry=RetryPolicy()).__aenter__()

    run_sockets(story)


def test_what_may_be_printed_holds_no_secret() -> None:
    url, headers = "wss://me:secret@h/path?token=secret", {"Authorization": "Bearer secret"}
    prepared = Prepared(url, headers)
    assert repr(prepared) == "<Prepared for wss://h/path>"
    assert prepared.headers == (("Authorization", "Bearer secret"),)
    dialer = Dialer(url, headers=headers, proxy="http://me:secret@proxy:1")
    assert repr(dialer) == "<Dialer of wss://h/path>"
    accept = Accept(headers={"Set-Cookie": "secret"}, subprotocol="chat")
    assert repr(accept) == "Accept(subprotocol='chat')"


def test_a_wrong_dial_is_told_with_its_address(world: World, run_sockets: Run) -> None:
    async def refuse(_: Request) -> Response:
        return Response(403)

    async def story() -> None:
        async with world.serving(on_request=refuse) as server:
            with pytest.raises(UpgradeRejected) as caught:
                await world.connect(server, "/path?secret").__aenter__()
            assert str(caught.value) == (
                f"ws://127.0.0.1:{server.port}/path: the server answered the upgrade request "
                "with HTTP status 403"
            )

    run_sockets(story)


# --- serving --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"handler": None}, "handler must be an async function, not NoneType"),
        ({"on_request": 5}, "on_request must be an async function, not int"),
        ({"subprotocols": "chat"}, "subprotocols must be a list of str, not str"),
        ({"origins": "http://h"}, "origins must be a list of str, not str"),
        ({"options": {}}, "options must be Options, not dict"),
        ({"ssl_context": "cert.pem"}, "ssl_context must be SSLContext or None, not str"),
        ({"max_connections": "5"}, "max_connections must be int, not str"),
        ({"max_handshakes": None}, "max_handshakes must be int, not NoneType"),
        ({"host": 8000}, "host must be str or None, not int"),
        ({"port": "8000"}, "port must be int, not str"),
    ],
)
def test_arguments_of_a_server(run: Run, arguments: dict[str, Any], text: str) -> None:
    async def story() -> None:
        with pytest.raises(TypeError, match=text):
            await serve(**{"handler": handler, **arguments})

    run(story)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"host": "127.0.0.1:1337"}, "'127.0.0.1:1337' is more than a host: give host and port as"),
        ({"host": "ws://127.0.0.1"}, "give host and port as two arguments"),
        ({"host": "[::1]", "port": 1}, "give host and port as two arguments"),
        ({"host": "h", "unix_path": "s"}, "give either host and port or unix_path=, not both"),
        ({"port": 1, "unix_path": "s"}, "give either host and port or unix_path=, not both"),
        ({"host": "h", "listeners": []}, "give either a host, unix_path= or listeners=, not two"),
        ({"unix_path": "s", "listeners": []}, "give either a host, unix_path= or listeners="),
    ],
)
def test_the_place_of_a_server(run: Run, arguments: dict[str, Any], text: str) -> None:
    async def story() -> None:
        with pytest.raises(InvalidOption, match=re.escape(text)):
            await serve(handler, **arguments)

    run(story)


async def without_argument() -> None:
    raise AssertionError("nobody calls it")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"handler": without_argument}, "handler is called as handler(ws): too many positional"),
        ({"on_request": without_argument}, "on_request is called as on_request(request): too"),
    ],
)
def test_functions_of_a_server_are_called_as_it_calls_them(
    run: Run, arguments: dict[str, Any], text: str
) -> None:
    async def story() -> None:
        with pytest.raises(TypeError, match=re.escape(text)):
            await serve(**{"handler": handler, **arguments})

    run(story)


def test_a_servers_context_for_tls(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(InvalidOption, match="ssl_context is a client's"):
            await serve(handler, "127.0.0.1", ssl_context=ssl.create_default_context())

    run(story)


def test_a_handler_that_was_called_and_one_that_isnt_async(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def blocking(ws: WebSocket) -> str:
        return "done"

    async def story() -> None:
        called: Any = handler(None)  # type: ignore[arg-type]  # nobody looks at it
        with pytest.raises(TypeError, match="not coroutine: give the function itself"):
            await serve(called, "127.0.0.1")
        wrong: Any = blocking
        async with world.serving(wrong) as server, world.connect(server) as ws:
            await ws.wait_closed()

    run_sockets(story)
    assert "the handler must be async: it returned str" in caplog.text


def test_arguments_of_wrapping(run: Run) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        wrong: Any = "chat"
        for function in (wrap_client, wrap_server):
            with pytest.raises(TypeError, match="subprotocols must be a list of str"):
                await function(one, subprotocols=wrong)
            with pytest.raises(TypeError, match="stream must be Stream, not str"):
                await function(wrong)
        await one.send_all(b"x")  # it is still the caller's
        assert await other.receive_some() == b"x"

    run(story)


# --- sending --------------------------------------------------------------------------------


def test_a_receive_that_wasnt_awaited_is_named_as_its_user_knows_it(
    open_pair: OpenPair, run: Run
) -> None:
    async def story() -> None:
        client, server = open_pair()
        for call, name in (
            (client.receive, "WebSocket.receive"),
            (client.receive_many, "WebSocket.receive_many"),
        ):
            waiting: Any = call()
            assert waiting.__qualname__ == name
            waiting.close()
        client.abort()
        server.abort()

    run(story)


def test_a_message_that_wasnt_awaited(open_pair: OpenPair, run: Run) -> None:
    async def make() -> bytes:
        raise AssertionError("nobody awaits it")

    async def story() -> None:
        client, server = open_pair()
        for send in (client.send, lambda message: client.send_many([message])):
            wrong: Any = make()
            with pytest.raises(TypeError, match=r"not coroutine: is an await missing\?$"):
                await send(wrong)
        client.abort()
        server.abort()

    run(story)


@pytest.mark.parametrize("message", [5, None, ["a"], {"a": 1}])
def test_what_is_no_message(open_pair: OpenPair, run: Run, message: Any) -> None:
    async def story() -> None:
        client, server = open_pair()
        text = rf"^a message is str, bytes or another .*, not {type(message).__name__}"
        with pytest.raises(TypeError, match=text):
            await client.send(message)
        async with client.streaming() as parts:
            with pytest.raises(TypeError, match=text):
                await parts.send(message)
            with pytest.raises(TypeError, match=r"streaming\(text=True\)"):
                await parts.send("text")
        async with client.streaming(text=True) as parts:
            await parts.send("text")
        assert [await server.receive(), await server.receive()] == [b"", "text"]
        client.abort()
        server.abort()

    run(story)
