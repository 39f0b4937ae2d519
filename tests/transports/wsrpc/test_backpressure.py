"""What waits to be sent is bounded: calls wait, answers don't, and nothing is lost in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from wirecore._backend import Backend
from wirecore.events import Buffer
from wirecore_trio._dispatch import Workers
from wirecore_trio.wsrpc import CallLost, NotConnected, Options, Peer, UnknownMethod
from wirecore_trio.wsrpc._channel import Channel
from wirecore_trio.wsrpc._registry import Registry
from wirecore_trio.wsrpc._upgrade import make_session

Opener = Callable[..., Any]
Run = Callable[..., Any]

SMALL = Options(high_water=1000)


def echo(payload: bytes, peer: Peer) -> bytes:
    return payload


@asynccontextmanager
async def stuck(stream: Any) -> AsyncIterator[trio.Event]:
    """What is sent into *stream* doesn't arrive before the event is set, or the block left."""
    release = trio.Event()
    deliver = stream.send_stream.send_all_hook

    async def wait() -> None:
        await release.wait()
        await deliver()

    stream.send_stream.send_all_hook = wait
    try:
        yield release
    finally:
        release.set()


async def fill(nursery: trio.Nursery, call: Callable[..., Any], *arguments: Any) -> None:
    """Start a call, and wait until it got as far as it gets."""
    nursery.start_soon(call, *arguments)
    await trio.testing.wait_all_tasks_blocked()


def test_a_call_waits_while_too_much_waits_to_be_sent(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair(client=SMALL) as pair, trio.open_nursery() as nursery:
            pair.server_methods.handle("Echo", echo, inline=True)
            answers: list[bytes] = []

            async def call(payload: bytes) -> None:
                answers.append(await pair.client.call("Echo", payload))

            async with stuck(pair.client_stream) as release:
                await fill(nursery, call, b"handed to the stream")
                await fill(nursery, call, b"x" * 2000)  # one alone may be longer
                await fill(nursery, call, b"waits for room")
                assert pair.client._session.pending_calls == 2
                with trio.move_on_after(0) as scope:
                    await pair.client.call("Echo", b"cancelled while it waits for room")
                assert scope.cancelled_caught
                assert pair.client._session.pending_calls == 2
                release.set()
                await trio.testing.wait_all_tasks_blocked()
            assert answers == [b"handed to the stream", b"x" * 2000, b"waits for room"]

    run(main)


def test_a_call_that_waited_for_room_in_vain_was_not_sent(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair(client=SMALL) as pair:
            ends: dict[str, tuple[type, str]] = {}

            async def lose(name: str, size: int) -> None:
                with pytest.raises(CallLost) as caught:
                    await pair.client.call("Echo", b"x" * size)
                ends[name] = (type(caught.value), caught.value.execution)

            async with trio.open_nursery() as nursery, stuck(pair.client_stream):
                await fill(nursery, lose, "handed to the stream", 1)
                await fill(nursery, lose, "queued", 2000)
                await fill(nursery, lose, "waiting for room", 1)
                pair.client.close()
                await trio.testing.wait_all_tasks_blocked()
            assert ends == {
                "handed to the stream": (CallLost, "maybe_executed"),
                "queued": (CallLost, "not_sent"),
                "waiting for room": (NotConnected, "not_sent"),
            }

    run(main)


def test_behind_the_peers_close_frame_no_call_is_taken(open_pair: Opener, run: Run) -> None:
    """What was queued before is still on its way out, but nobody will answer any more."""

    async def main() -> None:
        async with open_pair() as pair:

            async def lose() -> None:
                with pytest.raises(CallLost):
                    await pair.client.call("Echo", b"x" * 1000)

            async with trio.open_nursery() as nursery, stuck(pair.client_stream):
                await fill(nursery, lose)
                await fill(nursery, lose)
                pair.server.close()
                await trio.testing.wait_all_tasks_blocked()
                assert not pair.client.ended
                with pytest.raises(NotConnected) as caught:
                    await pair.client.call("Echo", b"")
                assert isinstance(caught.value, trio.BrokenResourceError)
                assert caught.value.execution == "not_sent"
                pair.client.close()

    run(main)


def test_a_peer_that_asks_for_errors_and_never_reads_them_is_cut(
    open_pair: Opener, run: Run
) -> None:
    async def main() -> None:
        options = Options(max_queued_bytes=1000, write_timeout=None)
        async with open_pair(server=options) as pair:
            ends: list[type] = []

            async def fail() -> None:
                with pytest.raises((UnknownMethod, CallLost)) as caught:
                    await pair.client.call("Unknown", b"")
                ends.append(caught.type)

            async with trio.open_nursery() as nursery, stuck(pair.server_stream):
                for _ in range(50):
                    nursery.start_soon(fail)
                await trio.testing.wait_all_tasks_blocked()
                assert pair.server.ended
                assert "doesn't read" in str(pair.server.error.__cause__)
                pair.client.close()  # the end of the stuck stream never came
            assert ends == [UnknownMethod] + [CallLost] * 49  # the first was still taken

    run(main)


def test_an_end_in_good_order_comes_behind_what_waits(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair, trio.open_nursery() as nursery:
            pair.server_methods.handle("Echo", echo, inline=True)
            answers: list[bytes] = []

            async def call(payload: bytes) -> None:
                answers.append(await pair.client.call("Echo", payload))

            async with stuck(pair.server_stream):
                await fill(nursery, call, b"handed to the stream")
                await fill(nursery, call, b"queued")
                await fill(nursery, pair.server.finish)
                assert not pair.server.ended
                assert answers == []
            await trio.testing.wait_all_tasks_blocked()
            assert answers == [b"handed to the stream", b"queued"]
            assert pair.server.ended
            assert pair.client.error.code == 1000
            await pair.server.finish()  # once more changes nothing

    run(main)


def test_a_call_over_a_lost_connection_lets_others_run(open_pair: Opener, run: Run) -> None:
    """To try again and again is no good idea, but it mustn't stop everything else."""

    async def main() -> None:
        async with open_pair() as pair:
            pair.client.close()
            with trio.testing.assert_checkpoints(), pytest.raises(NotConnected):
                await pair.client.call("Echo", b"")

    run(main)


def test_sending_the_request_may_show_that_the_connection_is_gone(
    backend: Backend, run: Run
) -> None:
    """The call has ended before it begins to wait."""

    class ResetLink:
        number = -1
        owes = False

        def try_recv_into(self, buffer: memoryview) -> int | None:
            return None

        def try_send(self, data: Buffer) -> int:
            raise trio.BrokenResourceError("reset by the peer")

        def readable_within(self, seconds: float) -> bool:
            raise AssertionError

        async def wait_readable(self) -> None:
            raise AssertionError

        async def flush(self) -> None:
            raise AssertionError

        def backlog(self) -> None:
            return None

        def close(self) -> None:
            pass

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            options = Options()
            channel = Channel(
                ResetLink(),
                make_session(client=True, options=options, backend=backend),
                public_key=b"S" * 32,
                registry=Registry(),
                workers=Workers(nursery),
                options=options,
            )
            with pytest.raises(CallLost, match="reset by the peer") as caught:
                await channel.call("Echo", b"")
            assert caught.value.execution == "maybe_executed"
            assert channel.ended

    run(main)
