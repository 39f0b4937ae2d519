"""A client that has its private key asked elsewhere, and what becomes of it when that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from wirecore.errors import CredentialsUnavailable, InvalidKey
from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio.tls import load_private_key, public_key_of

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE, BOB = (bytes([number]) * 32 for number in (1, 2, 3))

ONCE = wsrpc.RetryPolicy(attempts=1)
SOON = wsrpc.RetryPolicy(backoff=lambda: Backoff(0.01, 1.0, 0.0, 0.01))

sign_as_alice = load_private_key(ALICE).sign
sign_as_bob = load_private_key(BOB).sign


def connect(
    world: Any, sign: Callable[[bytes], bytes | Awaitable[bytes]], **arguments: Any
) -> wsrpc.Connecting:
    credentials = wsrpc.ClientCredentials.with_signer(
        public_key_of(load_private_key(ALICE)), sign, public_key_of(load_private_key(SERVER))
    )
    return wsrpc.connect(f"127.0.0.1:{world.port}", credentials, backend=world.backend, **arguments)


def test_the_server_knows_the_signers_key(open_world: Opener, run: Run) -> None:
    async def story() -> None:
        callers: list[bytes] = []

        async def ask(payload: bytes, peer: wsrpc.Peer) -> bytes:
            callers.append(peer.public_key)
            return payload

        async with open_world(handlers={"Ask": ask}) as world, connect(world, sign_as_alice) as c:
            assert await c.call("Ask", b"who am I?") == b"who am I?"
            assert (
                callers == world.server.connected_keys == [public_key_of(load_private_key(ALICE))]
            )

    run(story)


def test_a_signer_that_is_away_for_a_while_is_asked_again(open_world: Opener, run: Run) -> None:
    async def story() -> None:
        asked = 0

        async def sign(text: bytes) -> bytes:
            nonlocal asked
            asked += 1
            await trio.lowlevel.checkpoint()
            if asked <= 2:
                raise OSError("the module was pulled out")
            return sign_as_alice(text)

        async with open_world() as world, connect(world, sign, retry=SOON) as client:
            assert client.connections == 1
        assert asked == 4  # twice in vain, for the certificate, and for the connection

    run(story)


def test_without_another_attempt_its_error_comes_out(open_world: Opener, run: Run) -> None:
    async def story() -> None:
        def sign(text: bytes) -> bytes:
            raise OSError("the module was pulled out")

        async with open_world() as world:
            with pytest.raises(CredentialsUnavailable, match="the module was pulled out"):
                async with connect(world, sign, retry=ONCE):
                    raise AssertionError("connected without a signature")

    run(story)


def test_a_client_that_was_connected_goes_on_whatever_its_signer_does(
    open_world: Opener, run: Run
) -> None:
    async def story() -> None:
        answers: list[Callable[[bytes], bytes]] = [sign_as_alice, sign_as_alice]
        asked_in_vain = 0
        enough = trio.Event()

        def sign(text: bytes) -> bytes:
            nonlocal asked_in_vain
            if answers:
                return answers.pop(0)(text)
            asked_in_vain += 1
            if asked_in_vain == 3:
                answers.append(sign_as_alice)
                enough.set()
            raise RuntimeError("not now")

        async with open_world() as world, connect(world, sign, retry=SOON) as client:
            allowed = world.credentials.client_public_keys
            world.credentials.replace([])
            world.credentials.replace(allowed)
            await enough.wait()
            assert await client.wait_ready()
            assert client.connections == 2
        assert asked_in_vain == 3

    run(story)


def test_a_signer_that_takes_too_long_is_bounded_as_a_server_would_be(
    open_world: Opener, run: Run
) -> None:
    async def story() -> None:
        async def sign(text: bytes) -> bytes:
            await trio.sleep_forever()

        options = wsrpc.Options(open_timeout=0.1)
        async with open_world() as world:
            with pytest.raises(TimeoutError, match="no connection to"):
                async with connect(world, sign, retry=ONCE, options=options):
                    raise AssertionError("connected without a signature")

    run(story)


def test_a_signature_by_another_key_is_no_matter_for_another_attempt(
    open_world: Opener, run: Run
) -> None:
    async def story() -> None:
        async with open_world() as world:
            with pytest.raises(CredentialsUnavailable, match="no signature by the key") as caught:
                async with connect(world, sign_as_bob, retry=SOON):
                    raise AssertionError("connected with a signature by another key")
            assert isinstance(caught.value.__cause__, InvalidKey)

    run(story)
