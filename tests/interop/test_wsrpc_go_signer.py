"""Our client without a private key, its signer in a thread of its own, and a Go server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wirecore.errors import PeerRefused
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import PingRequest, PingStub

if TYPE_CHECKING:
    from tests.interop.conftest import Identity, Meeting, Story

Run = Callable[["Story"], None]

NO_LOSS = {"ok": 2000, "failed": 0, "wrong": 0, "lost": 0, "timed_out": 0}


class Agent:
    """Holds a key, and signs with it in a thread."""

    def __init__(self, identity: Identity) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(identity.seed)
        self.public_key = identity.public
        self.signed = 0

    async def sign(self, text: bytes) -> bytes:
        self.signed += 1
        return await trio.to_thread.run_sync(self._key.sign, text)

    def credentials(self, server: Identity) -> wsrpc.ClientCredentials:
        return wsrpc.ClientCredentials.with_signer(self.public_key, self.sign, server.public)


def test_calls_both_ways(
    meeting: Meeting, run: Run, client_identity: Identity, server_identity: Identity
) -> None:
    async def story() -> None:
        agent = Agent(client_identity)
        credentials = agent.credentials(server_identity)
        async with meeting.go_server("--calls", 2000, "--inflight", 50) as go:
            _, port = await go.address()
            async with meeting.our_client(port, credentials=credentials) as client:
                assert client.server_public_key == server_identity.public
                await meeting.call_many(client, 2000, 50, size=5000)
                await go.wait_for("calls", **NO_LOSS)
            await go.wait_for("closed", by="peer", code=1000, requests=2000, skipped=0)
        assert agent.signed == 2  # a certificate, and a connection

    run(story)


def test_it_comes_back(
    meeting: Meeting, run: Run, client_identity: Identity, server_identity: Identity
) -> None:
    async def story() -> None:
        agent = Agent(client_identity)
        credentials = agent.credentials(server_identity)
        async with meeting.go_server() as go:
            _, port = await go.address()
            for connections in (1, 2, 3):
                async with meeting.our_client(port, credentials=credentials) as client:
                    reply = await PingStub(client).Ping(PingRequest(body="again"))
                    assert reply.body == "again"
                await go.wait_for("closed", by="peer", code=1000)
                assert agent.signed == 1 + connections

    run(story)


def test_a_go_server_refuses_a_key_that_it_does_not_list(
    meeting: Meeting, run: Run, other_identity: Identity, server_identity: Identity
) -> None:
    async def story() -> None:
        credentials = Agent(other_identity).credentials(server_identity)
        async with meeting.go_server() as go:
            _, port = await go.address()
            with pytest.raises(PeerRefused, match=other_identity.public.hex()):
                async with meeting.our_client(port, credentials=credentials):
                    raise AssertionError("a stranger was let in")
            refused = await go.wait_for("refused", stage="tls")
            assert other_identity.public.hex() in refused["reason"]

    run(story)


def test_a_go_server_whose_key_is_not_pinned_gets_no_signature(
    meeting: Meeting, run: Run, client_identity: Identity, other_identity: Identity
) -> None:
    async def story() -> None:
        agent = Agent(client_identity)
        credentials = agent.credentials(other_identity)
        async with meeting.go_server() as go:
            _, port = await go.address()
            with pytest.raises(PeerRefused):
                async with meeting.our_client(port, credentials=credentials):
                    raise AssertionError("connected to a stranger")
            await go.wait_for("refused", stage="tls")
        assert agent.signed == 0

    run(story)
