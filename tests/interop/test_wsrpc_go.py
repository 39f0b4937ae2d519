"""wsrpc between our end and a Go peer, in both roles: calls, keys, limits, orderly ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio

from wirecore.errors import LocalLimitExceeded, PeerRefused, UpgradeRejected
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc.ping import PingRequest, PingResponse, PingStub

if TYPE_CHECKING:
    from tests.interop.conftest import Identity, Meeting, Story

Run = Callable[["Story"], None]

#: What the Go peer is asked to do in the tests under load.
LOAD = ("--calls", 10_000, "--inflight", 100)
NO_LOSS = {"ok": 10_000, "failed": 0, "wrong": 0, "lost": 0, "timed_out": 0}

MEGABYTE = 1_000_000


def echo_request(body: str, delay_ms: int) -> bytes:
    """An EchoRequest {body = 1, delayMs = 2}; delays below 128 take one byte."""
    assert 0 < delay_ms < 128
    return PingRequest(body=body).SerializeToString() + bytes((0x10, delay_ms))


def test_our_client_calls_a_go_server(
    meeting: Meeting, run: Run, server_identity: Identity
) -> None:
    async def story() -> None:
        async with meeting.go_server() as go:
            _, port = await go.address()
            async with meeting.our_client(port) as client:
                assert client.server_public_key == server_identity.public
                reply = await PingStub(client).Ping(PingRequest(body="héllo ✓"))
                assert reply.body == "héllo ✓"
                assert await client.call("Ping", b"") == b""  # neither payload is on the wire
                slow = await client.call("Echo", echo_request("later", 100))
                assert PingResponse.FromString(slow).body == "later"
                with pytest.raises(wsrpc.RpcError, match=r"^nò, not today$"):
                    await client.call("Fail", PingRequest(body="nò, not today").SerializeToString())
            ended = await go.wait_for("closed", by="peer", code=1000)
            assert ended["requests"] == 4

    run(story)


def test_slow_answers_do_not_hold_up_fast_ones(meeting: Meeting, run: Run) -> None:
    async def story() -> None:
        finished: list[str] = []
        async with meeting.go_server() as go:
            _, port = await go.address()
            async with meeting.our_client(port) as client:

                async def call(body: str, delay_ms: int) -> None:
                    await client.call("Echo", echo_request(body, delay_ms))
                    finished.append(body)

                async with trio.open_nursery() as nursery:
                    for body, delay_ms in (("slow", 120), ("middle", 60), ("fast", 1)):
                        nursery.start_soon(call, body, delay_ms)
        assert finished == ["fast", "middle", "slow"]

    run(story)


def test_a_go_client_calls_our_server_and_is_known_by_its_key(
    meeting: Meeting, run: Run, client_identity: Identity
) -> None:
    async def story() -> None:
        callers: list[bytes] = []

        async def fail(payload: bytes, peer: wsrpc.Peer) -> bytes:
            callers.append(peer.public_key)
            raise wsrpc.RpcError(PingRequest.FromString(payload).body)

        async with meeting.our_server() as (server, port):
            server.handle("Fail", fail)
            async with meeting.go_client(
                port, "--calls", 3, "--method", "Fail", "--body-size", 20
            ) as go:
                outcome = await go.wait_for("calls", ok=0, failed=3)
                assert outcome["last_error"] == "3.abcdefghijklmnopqr"
                assert server.connected_keys == [client_identity.public]
        assert callers == [client_identity.public] * 3

    run(story)


def test_a_method_that_is_not_served_is_an_error_for_a_go_caller(
    meeting: Meeting, run: Run
) -> None:
    async def story() -> None:
        async with (
            meeting.our_server() as (_, port),
            meeting.go_client(port, "--calls", 1, "--method", "Nope") as go,
        ):
            outcome = await go.wait_for("calls", failed=1)
            assert "Nope" in outcome["last_error"]

    run(story)


def test_ten_thousand_calls_each_way_at_once_with_our_client(meeting: Meeting, run: Run) -> None:
    async def story() -> None:
        async with meeting.go_server(*LOAD) as go:
            _, port = await go.address()
            async with meeting.our_client(port) as client:
                await meeting.call_many(client, 10_000, 100)
                await go.wait_for("calls", **NO_LOSS)
            await go.wait_for("closed", code=1000, requests=10_000, unknown_answers=0, skipped=0)

    run(story)


def test_ten_thousand_calls_each_way_at_once_with_our_server(
    meeting: Meeting, run: Run, client_identity: Identity
) -> None:
    async def story() -> None:
        async with meeting.our_server() as (server, port):
            # Longer than the 4096 bytes at which Go's clients cut messages into fragments.
            async with meeting.go_client(port, *LOAD, "--body-size", 5000) as go:
                await go.wait_for("connected")
                peer = server.peer(client_identity.public)
                await meeting.call_many(peer, 10_000, 100, size=5000)
                await go.wait_for("calls", **NO_LOSS)
            await go.wait_for("closed", by="here", requests=10_000, unknown_answers=0, skipped=0)

    run(story)


def test_our_client_refuses_a_server_whose_key_is_not_pinned(
    meeting: Meeting, run: Run, other_identity: Identity
) -> None:
    async def story() -> None:
        async with meeting.go_server() as go:
            _, port = await go.address()
            with pytest.raises(PeerRefused):
                async with meeting.our_client(port, accepted=other_identity):
                    raise AssertionError("connected to a stranger")
            # OpenSSL's alert isn't encrypted here, so Go names only that it couldn't be read.
            await go.wait_for("refused", stage="tls")

    run(story)


def test_a_go_server_refuses_our_client_whose_key_it_does_not_list(
    meeting: Meeting, run: Run, other_identity: Identity
) -> None:
    async def story() -> None:
        async with meeting.go_server() as go:
            _, port = await go.address()
            with pytest.raises(PeerRefused):
                async with meeting.our_client(port, own=other_identity):
                    raise AssertionError("a stranger was let in")
            refused = await go.wait_for("refused", stage="tls")
            assert other_identity.public.hex() in refused["reason"]

    run(story)


def test_our_server_refuses_and_is_refused_by_go_clients(
    meeting: Meeting, run: Run, other_identity: Identity
) -> None:
    async def story() -> None:
        async with meeting.our_server() as (server, port):
            async with meeting.go_client(port, own=other_identity) as unknown:
                # TLS 1.3: the client's own handshake is over before the server judges it.
                refused = await unknown.wait_for("refused", stage="upgrade")
                assert "remote error: tls" in refused["reason"]
            async with meeting.go_client(port, accepted=other_identity) as wary:
                refused = await wary.wait_for("refused", stage="tls")
                assert "unknown public key" in refused["reason"]
            assert server.connected_keys == []
            async with meeting.go_client(port, "--calls", 1) as known:
                await known.wait_for("calls", ok=1)

    run(story)


def test_a_second_connection_of_one_key_gets_200_and_the_first_stays(
    meeting: Meeting, run: Run
) -> None:
    async def story() -> None:
        async with meeting.our_server() as (_, port), meeting.go_client(port) as first:
            await first.wait_for("connected")
            async with meeting.go_client(port) as second:
                await second.wait_for("refused", stage="upgrade", status=200)
            await first.command("close")
            await first.wait_for("closed", by="here")
        async with meeting.go_server() as go:
            _, port = await go.address()
            async with meeting.our_client(port) as client:
                with pytest.raises(UpgradeRejected) as rejected:
                    async with meeting.our_client(port, attempts=1):
                        raise AssertionError("two connections of one key")
                assert rejected.value.status == 200
                await meeting.call_many(client, 1, 1)

    run(story)


def test_a_key_that_our_server_drops_is_closed_with_1000_and_refused(
    meeting: Meeting, run: Run, server_identity: Identity, client_identity: Identity
) -> None:
    credentials = wsrpc.ServerCredentials(server_identity.seed, [client_identity.public])

    async def story() -> None:
        async with meeting.our_server(credentials=credentials) as (server, port):
            async with meeting.go_client(port) as go:
                await go.wait_for("connected")
                credentials.replace([])
                await go.wait_for("closed", by="peer", code=1000, reason="")
            with pytest.raises(wsrpc.NotConnected, match="client not connected"):
                await server.peer(client_identity.public).call("Ping", b"")
            async with meeting.go_client(port) as go:
                await go.wait_for("refused", stage="upgrade")
            credentials.replace([client_identity.public])
            async with meeting.go_client(port, "--calls", 1) as go:
                await go.wait_for("calls", ok=1)

    run(story)


def test_a_key_that_a_go_server_drops_and_takes_back_connects_again(
    meeting: Meeting, run: Run, client_identity: Identity, other_identity: Identity
) -> None:
    async def story() -> None:
        async with meeting.go_server() as go:
            _, port = await go.address()
            async with meeting.our_client(port) as client:
                await go.command(f"keys {other_identity.public.hex()}")
                await client.wait_for_state_change(wsrpc.State.READY)
                await go.wait_for("refused", stage="tls")
                with pytest.raises(wsrpc.NotConnected):
                    await client.call("Ping", b"")
                await go.command(f"keys {client_identity.public.hex()}")
                assert await client.wait_ready()
                await meeting.call_many(client, 1, 1)
                assert client.connections == 2

    run(story)


@pytest.mark.parametrize("size", [4096, 65_536, 9 * MEGABYTE])
def test_large_messages_pass_in_both_roles(
    meeting: Meeting, run: Run, client_identity: Identity, size: int
) -> None:
    load = ("--calls", 3, "--inflight", 3, "--body-size", size)

    async def story() -> None:
        async with meeting.our_server() as (server, port), meeting.go_client(port, *load) as go:
            await go.wait_for("calls", ok=3)
            await meeting.call_many(server.peer(client_identity.public), 3, 3, size)
        async with meeting.go_server(*load) as go:
            _, port = await go.address()
            async with meeting.our_client(port) as client:
                await meeting.call_many(client, 3, 3, size)
                await go.wait_for("calls", ok=3)

    run(story)


def test_a_message_over_the_limit_closes_with_1009(meeting: Meeting, run: Run) -> None:
    async def story() -> None:
        async with (
            meeting.our_server() as (_, port),
            meeting.go_client(port, "--calls", 1, "--body-size", 11 * MEGABYTE) as go,
        ):
            await go.wait_for("calls", ok=0, lost=1)
            await go.wait_for("closed", by="peer", code=1009)
        async with meeting.go_server("--read-limit", 1000) as go:
            _, port = await go.address()
            async with meeting.our_client(port) as client:
                with pytest.raises(wsrpc.CallLost, match="1009") as lost:
                    await client.call("Ping", bytes(2000))
                assert lost.value.execution == "maybe_executed"
                assert await client.wait_ready()
                await meeting.call_many(client, 1, 1)

    run(story)


def test_what_no_default_peer_takes_is_not_sent(meeting: Meeting, run: Run) -> None:
    async def story() -> None:
        async with meeting.ours_as("client") as (client, _):
            with pytest.raises(LocalLimitExceeded) as refused:
                await client.call("Ping", bytes(10 * MEGABYTE))
            assert refused.value.limit == "max_send_size"
            await meeting.call_many(client, 1, 1)

    run(story)


def test_pings_are_answered_while_handlers_run(
    meeting: Meeting, run: Run, client_identity: Identity
) -> None:
    heartbeat = ("--ping-every", "20ms", "--pong-wait", "2s")

    async def story() -> None:
        options = wsrpc.Options(ping_interval=0.02, ping_timeout=2.0)
        async with meeting.our_server(options) as (server, port):
            async with meeting.go_client(port, *heartbeat) as go:
                await go.wait_for("connected")
                peer = server.peer(client_identity.public)
                for _ in range(3):
                    await peer.call("Echo", echo_request("", 120))
            ended = await go.wait_for("closed", by="here")
            assert ended["pings"] >= 5
            assert ended["pongs"] >= 5

    run(story)


def test_stopping_our_server_closes_its_clients_with_1000(meeting: Meeting, run: Run) -> None:
    async def story() -> None:
        async with meeting.our_server() as (server, port), meeting.go_client(port) as go:
            await go.wait_for("connected")
            await server.aclose()
            await go.wait_for("closed", by="peer", code=1000)

    run(story)
