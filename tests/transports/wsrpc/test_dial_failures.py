"""Whatever keeps a client from connecting: the error says where it was to, and shows no secret."""

from __future__ import annotations

import logging
import re
import socket
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from tests.resetting import close_resets
from wirecore.errors import HandshakeError, PeerRefused, UpgradeRejected
from wirecore_trio import wsrpc
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc import NotConnected, Options, RetryPolicy
from wirecore_trio.wsrpc._address import name_failure

Opener = Callable[..., Any]
Run = Callable[..., Any]

# Without repetition, so that a part of one is recognised wherever it turns up.
ALICE, SERVER = bytes(range(0x41, 0x61)), bytes(range(0x61, 0x81))
OTHER = bytes([3]) * 32

ONCE = RetryPolicy(attempts=1)


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


async def silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def reset(stream: trio.SocketStream) -> None:
    close_resets(stream)
    await stream.receive_some(1)


async def end(stream: trio.SocketStream) -> None:
    await stream.receive_some(4096)


async def plain(stream: trio.SocketStream) -> None:
    await stream.receive_some(4096)
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "error", "says"),
    [
        (silent, TimeoutError, "no connection to ADDRESS within 0.1 s"),
        (reset, HandshakeError, "ADDRESS: "),
        (end, HandshakeError, "ADDRESS: the server ended the stream"),
        (plain, HandshakeError, "ADDRESS: what the server sent is not TLS"),
    ],
)
def test_a_server_that_isnt_one_is_named(
    run: Run,
    behave: Callable[[trio.SocketStream], Awaitable[None]],
    error: type[Exception],
    says: str,
) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, behave, 0, host="127.0.0.1"))
            address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            connecting = wsrpc.connect(
                address,
                wsrpc.ClientCredentials(ALICE, public(SERVER)),
                options=Options(open_timeout=0.1 if behave is silent else 10),
                retry=ONCE,
            )
            with pytest.raises(error, match="^" + re.escape(says.replace("ADDRESS", address))):
                async with connecting:
                    pass
            nursery.cancel_scope.cancel()

    run(main)


async def _fail(credentials: wsrpc.ClientCredentials, address: str) -> BaseException:
    try:
        async with wsrpc.connect(address, credentials, retry=ONCE):
            raise AssertionError("it was let in")
    except (OSError, HandshakeError) as error:
        return error


def test_a_refusal_names_the_server_and_stays_what_it_is(run: Run) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]))
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            address = f"127.0.0.1:{listening.port}"
            alice = wsrpc.ClientCredentials(ALICE, public(SERVER))
            refused = await _fail(wsrpc.ClientCredentials(OTHER, public(SERVER)), address)
            assert isinstance(refused, PeerRefused)
            assert str(refused).startswith(f"{address}: the server refused this client's")
            foreign = await _fail(wsrpc.ClientCredentials(ALICE, public(OTHER)), address)
            assert isinstance(foreign, PeerRefused)
            assert str(foreign).startswith(f"{address}: the server's public key")
            async with wsrpc.connect(address, alice):
                second = await _fail(alice, address)
            assert isinstance(second, UpgradeRejected)
            assert second.status == 200
            assert str(second).startswith(f"{address}: the server answered")
            await server.aclose()
            closed = await _fail(alice, address)
            assert isinstance(closed, ConnectionRefusedError)
            assert str(closed).count(str(listening.port)) == 1
            nursery.cancel_scope.cancel()

    run(main)


def test_a_name_that_cant_be_looked_up_keeps_its_error(run: Run) -> None:
    class NoSuchHost(trio.abc.HostnameResolver):
        async def getaddrinfo(self, *_: Any) -> Any:
            await trio.lowlevel.checkpoint()
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def getnameinfo(self, *_: Any) -> Any:
            raise NotImplementedError

    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(NoSuchHost())
        credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
        error = await _fail(credentials, "server.test:1337")
        assert isinstance(error, socket.gaierror)
        assert error.errno == socket.EAI_NONAME
        assert re.search(r"server\.test\D+1337", str(error))
        assert str(error).count("1337") == 1

    run(main)


def test_a_call_before_the_connection_says_where_it_should_go(run: Run) -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # and nobody listens
            port = unused.getsockname()[1]
            credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
            async with wsrpc.connect(f"127.0.0.1:{port}", credentials, wait=False) as client:
                while client.last_error is None:
                    await client.wait_for_state_change(client.state)
                with pytest.raises(NotConnected, match=rf"127\.0\.0\.1\D+{port}"):
                    await client.call("Ping", b"")

    run(main)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(5, "some fault"), "[Errno 5] h:1: some fault"),
        (OSError("some fault"), "h:1: some fault"),
        (trio.BrokenResourceError(), "h:1: BrokenResourceError"),
        (HandshakeError("no answer of h:1"), "no answer of h:1"),
        (ConnectionRefusedError(111, "h port 1 refused"), "[Errno 111] h port 1 refused"),
    ],
)
def test_an_error_names_its_address_once(error: Exception, says: str) -> None:
    for _ in range(2):
        name_failure(error, "h", 1)
        assert str(error) == says


def test_nothing_shown_holds_a_private_key(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []

    def show(*things: object) -> None:
        for thing in things:
            said.extend((repr(thing), str(thing)))

    async def main() -> None:
        credentials = wsrpc.ServerCredentials(SERVER, [public(ALICE)])
        server = wsrpc.Server(credentials, options=Options())
        alice = wsrpc.ClientCredentials(ALICE, public(SERVER))
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            address = f"127.0.0.1:{listening.port}"
            connecting = wsrpc.connect(address, alice, options=Options())
            async with connecting as client:
                show(credentials, server, listening, server.peer(public(ALICE)))
                show(alice, connecting, client, client.state, Options(), client._channel)
                said.extend(traceback.format_exception(await _fail(alice, address)))
            await server.aclose()
            nursery.cancel_scope.cancel()

    with caplog.at_level(logging.DEBUG):
        run(main)
    text = "\n".join(said) + caplog.text
    assert f"public key {public(ALICE).hex()}" in text
    for seed in (ALICE, SERVER):
        for form in (seed.hex(), seed.decode("latin-1"), repr(seed)[2:-1], str(list(seed))[1:-1]):
            assert not any(form[i : i + 8] in text for i in range(len(form) - 7))
