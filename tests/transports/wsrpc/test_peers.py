"""Clients as their server knows them: by public key, in whatever form somebody has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wirecore.errors import InvalidKey
from wirecore_trio import wsrpc
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc import NotConnected, Peer

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE, BOB, CHARLIE = (bytes([number]) * 32 for number in (1, 2, 3, 4))


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


def echo(payload: bytes, peer: Peer) -> bytes:
    return payload


def test_a_client_is_found_by_every_form_of_its_key(open_world: Opener, run: Run) -> None:
    key = Ed25519PublicKey.from_public_bytes(public(ALICE))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forms: list[Any] = [public(ALICE), bytearray(public(ALICE)), memoryview(public(ALICE))]

    async def main() -> None:
        async with open_world() as world, world.connect() as client:
            client.handle("Echo", echo, inline=True)
            for form in [*forms, key, pem, pem.decode()]:
                peer = world.server.peer(form)
                assert peer.public_key == public(ALICE)
                assert peer.public_key in world.server.connected_keys
                assert await peer.call("Echo", b"x") == b"x"

    run(main)


def test_what_is_no_key_is_an_error_before_the_call() -> None:
    server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]))
    with pytest.raises(InvalidKey, match="64 hex characters as text"):
        server.peer(public(ALICE).hex())
    with pytest.raises(InvalidKey, match=r"^public_key: .* got: NoneType"):
        server.peer(None)  # type: ignore[arg-type]  # the mistake is what is tested


def test_peers_of_one_key_are_equal() -> None:
    server, other = (
        wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)])) for _ in range(2)
    )
    alice = server.peer(public(ALICE))
    assert alice == server.peer(bytearray(public(ALICE)))
    assert len({alice, server.peer(public(ALICE))}) == 1
    assert alice != server.peer(public(BOB))
    assert alice != other.peer(public(ALICE))
    something_else: object = public(ALICE)
    assert alice != something_else


def test_what_is_shown_of_each_end(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        peers: list[Peer] = []

        def note(payload: bytes, peer: Peer) -> bytes:
            peers.append(peer)
            return payload

        async with open_world(handlers={"Note": note}) as world:
            address = f"127.0.0.1:{world.port}"
            async with world.connect() as client:
                await client.call("Note", b"")
                shown = f"with public key {public(ALICE).hex()}>"
                assert repr(world.server.peer(public(ALICE))).endswith(shown)
                assert repr(peers[0]).endswith(shown)
                assert repr(client) == f"<Client of {address}, ready>"
                assert repr(world.server) == (
                    f"<Server with public key {public(SERVER).hex()}, 1 client connected>"
                )
            assert repr(client) == f"<Client of {address}, shutdown>"

    run(main)


def test_who_isnt_connected_is_named(run: Run) -> None:
    async def main() -> None:
        server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]))
        with pytest.raises(NotConnected, match=f"^client not connected: {public(ALICE).hex()} "):
            await server.peer(public(ALICE)).call("Echo", b"")
        with pytest.raises(NotConnected, match=f"{public(CHARLIE).hex()}, which isn't let in"):
            await server.peer(public(CHARLIE)).call("Echo", b"")

    run(main)
