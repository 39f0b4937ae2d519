"""Keys that change while everything runs: two server keys, and credentials asked for anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.transports.wsrpc.ping_ends import public
from wirecore.errors import CredentialsUnavailable, PeerRefused
from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc import ClientCredentials, RetryPolicy, State

Run = Callable[..., Any]

OLD, NEW, ALICE, BOB = (bytes([number]) * 32 for number in (1, 2, 3, 4))

QUICK = RetryPolicy(backoff=lambda: Backoff(0.01, 1.5, 0, 0.05))


class Place:
    """An address at which one server after the other listens."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._port = 0
        self._server: wsrpc.Server | None = None
        self.credentials = wsrpc.ServerCredentials(OLD, [])

    async def serve(self, key: bytes, *clients: bytes) -> None:
        """The server is restarted with *key*, and lets in *clients*."""
        await self.close()
        self.credentials = wsrpc.ServerCredentials(key, map(public, clients))
        self._server = wsrpc.Server(
            self.credentials, handlers={"Who": lambda payload, peer: peer.public_key}
        )
        listening = await self._nursery.start(self._server.serve, "127.0.0.1", self._port)
        self._port = listening.port

    async def close(self) -> None:
        if self._server is not None:
            await self._server.aclose()

    def connect(self, credentials: Any, **arguments: Any) -> wsrpc.Connecting:
        return wsrpc.connect(f"127.0.0.1:{self._port}", credentials, retry=QUICK, **arguments)


@pytest.fixture
def at_a_place(run: Run) -> Callable[[Callable[[Place], Any]], None]:
    """Run a story at a place."""

    def runner(story: Callable[[Place], Any]) -> None:
        async def main() -> None:
            async with trio.open_nursery() as nursery:
                place = Place(nursery)
                await story(place)
                await place.close()

        run(main)

    return runner


async def lost(client: wsrpc.Client) -> None:
    await client.wait_for_state_change(State.READY)


def test_a_client_accepts_two_server_keys_while_they_change(at_a_place: Any) -> None:
    async def story(place: Place) -> None:
        await place.serve(OLD, ALICE)
        both = ClientCredentials(ALICE, [public(OLD), public(NEW)])
        async with place.connect(both) as client:
            assert client.server_public_key == public(OLD)
            await place.serve(NEW, ALICE)
            await lost(client)
            await client.wait_ready()
            assert client.server_public_key == public(NEW)
            assert await client.call("Who", b"") == public(ALICE)

    at_a_place(story)


def test_credentials_are_asked_for_before_each_dial(at_a_place: Any) -> None:
    keys = [ALICE, BOB]
    asked = 0

    async def current() -> ClientCredentials:
        nonlocal asked
        await trio.lowlevel.checkpoint()
        key = keys[min(asked, 1)]
        asked += 1
        return ClientCredentials(key, public(OLD))

    async def story(place: Place) -> None:
        await place.serve(OLD, ALICE, BOB)
        async with place.connect(current) as client:
            assert await client.call("Who", b"") == public(ALICE)
            place.credentials.replace([public(BOB)])
            await lost(client)
            await client.wait_ready()
            assert await client.call("Who", b"") == public(BOB)
            assert asked == 2

    at_a_place(story)


def test_a_source_that_is_out_of_reach_is_asked_again(
    at_a_place: Any, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[Exception] = [OSError("vault out of reach"), trio.TooSlowError()]

    async def sometimes() -> ClientCredentials:
        if failures:
            raise failures.pop(0)
        return ClientCredentials(ALICE, public(OLD))

    async def story(place: Place) -> None:
        await place.serve(OLD, ALICE)
        async with place.connect(sometimes) as client:
            assert await client.call("Who", b"") == public(ALICE)

    at_a_place(story)
    assert "credentials() failed with OSError: vault out of reach" in caplog.text


def test_a_source_with_a_mistake_is_told_at_once(at_a_place: Any) -> None:
    async def wrong_type() -> ClientCredentials:
        return ALICE  # type: ignore[return-value]

    async def broken() -> ClientCredentials:
        raise KeyError("wsrpc")

    def not_async() -> ClientCredentials:
        return ClientCredentials(ALICE, public(OLD))

    async def story(place: Place) -> None:
        await place.serve(OLD, ALICE)
        for source, cause in ((wrong_type, TypeError), (broken, KeyError), (not_async, TypeError)):
            with pytest.raises(CredentialsUnavailable, match=cause.__name__) as caught:
                async with place.connect(source):
                    pass
            assert isinstance(caught.value.__cause__, cause)
            assert ALICE.hex() not in str(caught.value)

    at_a_place(story)


def test_once_connected_no_failure_of_the_source_ends_the_client(
    at_a_place: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Any] = [None, KeyError("gone for a moment"), None]

    async def source() -> ClientCredentials:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return ClientCredentials(ALICE, public(OLD))

    async def story(place: Place) -> None:
        await place.serve(OLD, ALICE)
        async with place.connect(source) as client:
            await place.serve(OLD, ALICE)
            await lost(client)
            await client.wait_ready()
            assert client.connections == 2
            assert answers == []

    with caplog.at_level(logging.WARNING):
        at_a_place(story)
    assert "gone for a moment" in caplog.text


def test_a_slow_source_counts_as_a_failed_attempt(at_a_place: Any) -> None:
    async def never() -> ClientCredentials:
        await trio.sleep_forever()
        raise AssertionError

    async def story(place: Place) -> None:
        await place.serve(OLD, ALICE)
        once = RetryPolicy(attempts=1)
        options = wsrpc.Options(open_timeout=0.05)
        with pytest.raises(TimeoutError, match=r"within 0.05 s"):
            async with wsrpc.connect(
                f"127.0.0.1:{place._port}", never, retry=once, options=options
            ):
                pass

    at_a_place(story)


def test_a_source_must_take_no_argument_and_be_one() -> None:
    async def wants_more(name: str) -> ClientCredentials:
        raise AssertionError(name)

    for wrong in (wants_more, None, "keys", ClientCredentials):
        with pytest.raises(TypeError, match="credentials"):
            wsrpc.connect("127.0.0.1:1", wrong)  # type: ignore[arg-type]


def test_a_key_that_is_listed_again_gets_in_again(at_a_place: Any) -> None:
    async def story(place: Place) -> None:
        await place.serve(OLD, BOB)
        credentials = ClientCredentials(ALICE, public(OLD))
        with pytest.raises(PeerRefused):
            async with place.connect(credentials):
                pass
        place.credentials.replace([public(ALICE), public(BOB)])
        async with place.connect(credentials) as client:
            assert await client.call("Who", b"") == public(ALICE)

    at_a_place(story)
