"""Arguments of a wrong type, told at the door, with what belongs there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wirecore.errors import InvalidOption
from wirecore_trio import websocket, wsrpc
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc import ClientCredentials, NotConnected, Options, Peer, ServerCredentials
from wirecore_trio.wsrpc._address import parse_address, show_address
from wirecore_trio.wsrpc.ping import PingRequest, PingResponse

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE = (bytes([number]) * 32 for number in (1, 2))


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


def of_the_client() -> ClientCredentials:
    return ClientCredentials(ALICE, public(SERVER))


def of_the_server() -> ServerCredentials:
    return ServerCredentials(SERVER, [public(ALICE)])


def echo(payload: bytes, peer: Peer) -> bytes:
    return bytes(payload)


def test_credentials_belong_to_a_side() -> None:
    with pytest.raises(
        TypeError, match=r"must be ClientCredentials, not ServerCredentials: .* server's public key"
    ):
        wsrpc.connect("h:1", of_the_server())  # type: ignore[arg-type]  # the mistake is tested
    with pytest.raises(
        TypeError,
        match=r"must be ServerCredentials, not ClientCredentials: .* clients' public keys",
    ):
        wsrpc.Server(of_the_client())  # type: ignore[arg-type]  # the mistake is tested


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"options": {"call_timeout": 5}}, "options must be Options or None, not dict"),
        ({"options": Options}, "options must be Options or None, not the class Options"),
        (
            {"options": websocket.Options()},
            "options must be wirecore_trio.wsrpc.Options or None, "
            "not wirecore_trio.websocket.Options",
        ),
        ({"retry": 3}, r"retry must be RetryPolicy or None, not int: as .*attempts=3\)"),
        ({"credentails": 1}, "unexpected keyword argument 'credentails'"),
    ],
)
def test_what_connect_takes_is_checked(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        wsrpc.connect("h:1", of_the_client(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"options": {"call_timeout": 5}}, "options must be Options or None, not dict"),
        ({"max_connections": "5"}, "max_connections must be int, not str"),
        ({"max_handshakes": 1.5}, "max_handshakes must be int, not float"),
        ({"max_threads": True}, "max_threads must be int, not bool"),
    ],
)
def test_what_a_server_takes_is_checked(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        wsrpc.Server(of_the_server(), **arguments)


def test_what_serve_takes_is_checked(run: Run) -> None:
    async def main() -> None:
        server = wsrpc.Server(of_the_server())
        port: Any = "1337"
        host: Any = b"localhost"
        with pytest.raises(TypeError, match="port must be int, not str"):
            await server.serve("127.0.0.1", port)
        with pytest.raises(TypeError, match="host must be str or None, not bytes"):
            await server.serve(host, 1337)

    run(main)


def test_a_server_that_cant_be_drained_so_goes_on(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world(handlers={"Echo": echo}) as world, world.connect() as client:
            grace: Any = "30"
            with pytest.raises(TypeError, match="grace must be a number of seconds or None"):
                await world.server.drain(grace)
            with pytest.raises(InvalidOption, match="grace must be at least 0, not -1"):
                await world.server.drain(-1)
            assert await client.call("Echo", b"x") == b"x"

    run(main)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ws://h:1337", r"HOST:PORT without a scheme, as 'h:1337', not ws://"),
        ("wss://h:1337/path", r"HOST:PORT without a scheme, as 'h:1337', not wss://"),
        ("http://[::1]:1337/", r"as '\[::1\]:1337', not http://"),
        ("::1:1337", r"in brackets, as '\[::1\]:1337', not '::1:1337'"),
        ("[::1:1337", "in brackets"),
        ("::1]:1337", "in brackets"),
        ("h:1337/", "as '127.0.0.1:1337'"),
        ("h:0", "'h:0' isn't an address: its port isn't 1 to 65535"),
        ("127.0.0.1:99999", "'127.0.0.1:99999' isn't an address: its port isn't 1 to 65535"),
        (" 127.0.0.1:9", "' 127.0.0.1' can't be a host's name: ' ' isn't part of one"),
        ("local host:9", "'local host' can't be a host's name: ' ' isn't part of one"),
        ("h\n:9", r"can't be a host's name: '\\n' isn't part of one"),
        ("host/path:80", "'host/path' can't be a host's name: '/' isn't part of one"),
        ("me@host:80", "'me@host' can't be a host's name: '@' isn't part of one"),
        ("[::1/64]:80", "'::1/64' can't be a host's name: '/' isn't part of one"),
        ("h:\u0663", "HOST:PORT"),
    ],
)
def test_an_address_that_is_none_is_told_what_one_looks_like(address: str, says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        wsrpc.connect(address, of_the_client())


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("h:1", "h", 1),
        ("my-host_2.example:1", "my-host_2.example", 1),
        ("b\u00fccher.example:1", "b\u00fccher.example", 1),
        ("127.0.0.1:65535", "127.0.0.1", 65535),
        ("[::1]:1337", "::1", 1337),
        ("[fe80::1%eth0]:1337", "fe80::1%eth0", 1337),
    ],
)
def test_an_address_is_read_and_shown(address: str, host: str, port: int) -> None:
    assert parse_address(address) == (host, port)
    assert show_address(host, port) == address


@pytest.mark.parametrize("address", [("h", 1337), b"h:1337", None, 1337])
def test_an_address_is_text(address: Any) -> None:
    with pytest.raises(TypeError, match=f"address must be str, not {type(address).__name__}"):
        wsrpc.connect(address, of_the_client())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"max_handlers": "5"}, "max_handlers must be int, not str"),
        ({"max_handlers": True}, "max_handlers must be int, not bool"),
        ({"max_pending_calls": 1.5}, "max_pending_calls must be int, not float"),
        ({"max_message_size": 1e6}, "max_message_size must be int, not float"),
        ({"max_handler_threads": "all"}, "max_handler_threads must be int, not str"),
        ({"call_timeout": "5"}, "call_timeout must be a number of seconds or None, not str"),
        ({"open_timeout": True}, "open_timeout must be a number of seconds or None, not bool"),
    ],
)
def test_options_have_types(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Options(**arguments)


def test_sizes_have_bounds_which_are_told_before_any_connection() -> None:
    for name in ("max_message_size", "max_send_size"):
        with pytest.raises(InvalidOption, match=f"{name} must be at least 1, not 0"):
            Options(**dict[str, Any]({name: 0}))
    with pytest.raises(InvalidOption, match=f"max_message_size must be at most {2**63 - 1}, not"):
        Options(max_message_size=2**63)
    with pytest.raises(InvalidOption, match=f"max_queued_bytes must be at most {2**63 - 1}, not"):
        Options(max_queued_bytes=2**63)


def test_what_becomes_of_handlers_is_one_of_two_words() -> None:
    with pytest.raises(InvalidOption, match="on_disconnect must be 'finish' or 'cancel', not 'no'"):
        Options(on_disconnect="no")  # type: ignore[arg-type]  # the mistake is tested


MISTAKES = [
    ("Echo", "text", "payload must be bytes, not str: encode it"),
    ("Echo", None, "payload must be bytes, not NoneType"),
    ("Echo", PingRequest(), "payload must be bytes, not PingRequest: invoke takes messages"),
    (b"Echo", b"", "method must be str, not bytes"),
]


@pytest.mark.parametrize(("method", "payload", "says"), MISTAKES)
def test_a_call_has_a_name_and_bytes(
    open_world: Opener, run: Run, method: Any, payload: Any, says: str
) -> None:
    """Whether there is a connection or not."""

    async def main() -> None:
        async with open_world(handlers={"Echo": echo}) as world:
            connecting = world.connect(handlers={"Echo": echo})
            absent = world.server.peer(public(ALICE))
            with pytest.raises(TypeError, match=says):
                await absent.call(method, payload)
            async with connecting as client:
                for caller in (client, world.server.peer(public(ALICE))):
                    with pytest.raises(TypeError, match=says):
                        await caller.call(method, payload)
                    for form in (b"x", bytearray(b"x"), memoryview(b"x")):
                        assert await caller.call("Echo", form) == b"x"
            with pytest.raises(TypeError, match=says):
                await client.call(method, payload)
            with pytest.raises(NotConnected):
                await client.call("Echo", b"")

    run(main)


async def _made() -> bytes:
    raise AssertionError("nobody awaits it")


def test_an_await_that_is_missing_in_an_argument_is_named(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world, world.connect() as client:
            forgotten: Any = _made()
            with pytest.raises(TypeError, match=r"not coroutine: is an await missing?"):
                await client.call("Echo", forgotten)
            forgotten = _made()
            with pytest.raises(
                TypeError, match=r"a message, .*, not coroutine: is an await missing?"
            ):
                await client.invoke("Ping", forgotten, PingResponse)

    run(main)


@pytest.mark.parametrize(
    ("request_", "response", "says"),
    [
        ("text", PingResponse, "a request must be a message, .*, not str"),
        (PingRequest, PingResponse, "a request must be a message, .*, not the class PingRequest"),
        (PingRequest(), int, "response must be a class of messages, .* not int"),
        (PingRequest(), PingResponse(), "response must be .* not an object of PingResponse"),
    ],
)
def test_an_invocation_has_messages(
    open_world: Opener, run: Run, request_: Any, response: Any, says: str
) -> None:
    """Told before anything is sent: afterwards the reply would seem to be at fault."""

    async def main() -> None:
        called: list[bytes] = []

        def note(payload: bytes, peer: Peer) -> bytes:
            called.append(payload)
            return payload

        async with open_world(handlers={"Note": note}) as world, world.connect() as client:
            with pytest.raises(TypeError, match=says):
                await client.invoke("Note", request_, response)
        assert called == []

    run(main)


def test_what_a_message_itself_raises_comes_out(open_world: Opener, run: Run) -> None:
    class Broken(PingRequest):
        def SerializeToString(self) -> bytes:  # noqa: N802 (protobuf's own name)
            raise AttributeError("the message's own mistake")

    async def main() -> None:
        async with open_world() as world, world.connect() as client:
            with pytest.raises(AttributeError, match="the message's own mistake"):
                await client.invoke("Ping", Broken(), PingResponse)

    run(main)
