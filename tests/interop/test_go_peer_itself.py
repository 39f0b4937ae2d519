"""The Go peer against itself: what it reports is what happened, so that it can judge others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.interop.conftest import Identity, StartPeer, Story

REFUSED = 3  # exit status of a peer whose only attempt to connect failed


def test_calls_in_both_directions_are_counted_and_checked(
    go_peer: StartPeer,
    server_identity: Identity,
    client_identity: Identity,
    run: Callable[[Story], None],
) -> None:
    load = ("--calls", 500, "--inflight", 20, "--body-size", 5000)

    async def story() -> None:
        async with go_peer("serve", server_identity, [client_identity.public], *load) as server:
            host, port = await server.address()
            at = ("--address", f"{host}:{port}")
            async with go_peer(
                "dial", client_identity, [server_identity.public], *at, *load
            ) as client:
                for peer in (server, client):
                    await peer.wait_for("calls", ok=500, failed=0, wrong=0, lost=0, timed_out=0)
            ended = await server.wait_for("closed", by="peer", code=1000, requests=500)
            assert ended["key"] == client_identity.public.hex()

    run(story)


@pytest.mark.parametrize(
    ("misbehaviour", "outcome"),
    [
        (("--never-answer",), {"ok": 0, "timed_out": 2}),
        (("--late-answers", "1s"), {"ok": 0, "timed_out": 2}),
        (("--stop-reading", 1), {"ok": 1, "timed_out": 1}),
        (("--duplicate-answers",), {"ok": 2, "timed_out": 0}),
        (("--stray-answers",), {"ok": 2, "timed_out": 0}),
    ],
)
def test_a_misbehaving_peer_shows_in_the_outcome_of_calls(
    go_peer: StartPeer,
    server_identity: Identity,
    client_identity: Identity,
    run: Callable[[Story], None],
    misbehaviour: tuple[object, ...],
    outcome: dict[str, int],
) -> None:
    async def story() -> None:
        async with go_peer(
            "serve", server_identity, [client_identity.public], *misbehaviour
        ) as server:
            host, port = await server.address()
            arguments = ("--address", f"{host}:{port}", "--calls", 2, "--call-timeout", "200ms")
            async with go_peer(
                "dial", client_identity, [server_identity.public], *arguments
            ) as client:
                await client.wait_for("calls", wrong=0, lost=0, **outcome)

    run(story)


def test_garbage_is_seen_as_a_violation(
    go_peer: StartPeer,
    server_identity: Identity,
    client_identity: Identity,
    run: Callable[[Story], None],
) -> None:
    async def story() -> None:
        async with go_peer(
            "serve", server_identity, [client_identity.public], "--garbage", "envelopes"
        ) as server:
            host, port = await server.address()
            with pytest.raises(AssertionError, match="violation"):
                async with go_peer(
                    "dial",
                    client_identity,
                    [server_identity.public],
                    *("--address", f"{host}:{port}", "--calls", 1),
                ) as client:
                    await client.wait_for("calls", ok=1)

    run(story)


def test_keys_that_are_not_pinned_are_refused_on_both_sides(
    go_peer: StartPeer,
    server_identity: Identity,
    client_identity: Identity,
    other_identity: Identity,
    run: Callable[[Story], None],
) -> None:
    async def story() -> None:
        async with go_peer("serve", server_identity, [client_identity.public]) as server:
            host, port = await server.address()
            at = ("--address", f"{host}:{port}")
            async with go_peer("dial", other_identity, [server_identity.public], *at) as unknown:
                # The server judges after the client's handshake is over.
                await unknown.wait_for("refused", stage="upgrade")
                assert await unknown.finish() == REFUSED
            async with go_peer("dial", client_identity, [other_identity.public], *at) as wary:
                await wary.wait_for("refused", stage="tls")
                assert await wary.finish() == REFUSED
            for reason in ("unknown public key", "bad certificate"):
                refused = await server.wait_for("refused", stage="tls")
                assert reason in refused["reason"]

    run(story)


def test_the_webwire_peers_meet(webwire_peer: StartPeer, run: Callable[[Story], None]) -> None:
    async def story() -> None:
        async with webwire_peer("serve") as server:
            host, port = await server.address()
            at = ("--address", f"{host}:{port}")
            load = ("--calls", 500, "--inflight", 20, "--encoding", "utf16", "--signals", 10)
            async with webwire_peer("dial", *at, "--login", "Ada", *load) as client:
                session = await client.wait_for("session", info={"user": "Ada"})
                await client.wait_for("calls", ok=500, failed=0, wrong=0, lost=0, timed_out=0)
                async with webwire_peer("dial", *at, "--key", session["key"]) as other:
                    await other.wait_for("restored", key=session["key"])
            await server.wait_for("closed", by="peer", code=1000, requests=501, signals=10)

    run(story)
