"""How calls and handlers end when their connection does, and what is then said of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from wirecore.errors import Overloaded, RemoteLimitExceeded, RpcError
from wirecore_trio.wsrpc import CallLost, NotConnected, Options, Peer

Opener = Callable[..., Any]
Run = Callable[..., Any]


async def never(payload: bytes, peer: Peer) -> bytes:
    await trio.sleep_forever()
    raise AssertionError


async def lose(call: Callable[[], Any]) -> CallLost:
    """The error that *call* ends with; it must be a CallLost."""
    with pytest.raises(CallLost) as caught:
        await call()
    error = caught.value
    assert isinstance(error, trio.BrokenResourceError)
    return error


def test_every_pending_call_ends_at_once_when_the_peer_goes(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Never", never)
            ends: list[str] = []

            async def call() -> None:
                error = await lose(lambda: pair.client.call("Never", b""))
                ends.append(error.execution)

            async with trio.open_nursery() as nursery:
                for _ in range(2500):
                    nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                pair.server.close()
            assert ends == ["maybe_executed"] * 2500
            with pytest.raises(NotConnected) as caught:
                await pair.client.call("Never", b"")
            assert caught.value.execution == "not_sent"

    run(main)


def test_what_never_left_was_not_sent(open_pair: Opener, run: Run) -> None:
    """A stream that takes one send and no more: what is behind it can't have been executed."""

    async def main() -> None:
        async with open_pair(client=Options(high_water=10_000_000)) as pair:
            pair.server_methods.handle("Never", never)
            ends: dict[str, str] = {}

            async def call(name: str, size: int) -> None:
                error = await lose(lambda: pair.client.call("Never", b"x" * size))
                ends[name] = error.execution

            stuck = trio.Event()
            pair.client_stream.send_stream.send_all_hook = stuck.wait
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, "handed to the stream", 10)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(call, "behind it", 10)
                nursery.start_soon(call, "large", 1_000_000)
                await trio.testing.wait_all_tasks_blocked()
                pair.client.close()
            stuck.set()
            assert ends == {
                "handed to the stream": "maybe_executed",
                "behind it": "not_sent",
                "large": "not_sent",
            }

    run(main)


def test_a_call_cancelled_while_calls_are_being_lost_ends_once(open_pair: Opener, run: Run) -> None:
    """Losing many calls goes in chunks: those that wait for their turn can still be cancelled."""

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Never", never)
            lost = 0

            async def call() -> None:
                nonlocal lost
                await lose(lambda: pair.client.call("Never", b""))
                lost += 1

            async with trio.open_nursery() as nursery:
                for _ in range(3000):
                    nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                pair.client.close()
                nursery.cancel_scope.cancel()
            assert lost < 3000
            await trio.testing.wait_all_tasks_blocked()

    run(main)


@pytest.mark.parametrize("on_disconnect", ["finish", "cancel"])
def test_running_handlers_finish_or_are_cancelled_as_asked(
    open_pair: Opener, run: Run, on_disconnect: Any
) -> None:
    async def main() -> None:
        release = trio.Event()
        ends: list[str] = []

        async def work(payload: bytes, peer: Peer) -> bytes:
            try:
                await release.wait()
            except trio.Cancelled:
                ends.append("cancelled")
                raise
            ends.append("finished")
            return b"nobody reads this"

        async with open_pair(server=Options(on_disconnect=on_disconnect)) as pair:
            pair.server_methods.handle("Work", work)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lose, lambda: pair.client.call("Work", b""))
                await trio.testing.wait_all_tasks_blocked()
                pair.client.close()
                await trio.testing.wait_all_tasks_blocked()
            release.set()
            await trio.testing.wait_all_tasks_blocked()
        assert ends == ["finished" if on_disconnect == "finish" else "cancelled"]

    run(main)


def test_a_peer_without_pongs_is_given_up(open_pair: Opener, run: Run) -> None:
    """20 s after the last pong, or the start, it is over."""

    async def main() -> None:
        quiet = Options(ping_interval=None, ping_timeout=None, write_timeout=None)
        async with open_pair(server=quiet) as pair:
            pair.server_methods.handle("Never", never)
            begun = trio.current_time()
            stuck = trio.Event()
            pair.server_stream.send_stream.send_all_hook = stuck.wait
            error = await lose(lambda: pair.client.call("Never", b""))
            assert error.execution == "maybe_executed"
            assert trio.current_time() - begun == pytest.approx(20, abs=0.1)
            stuck.set()

    run(main, autojump=True)


def test_pings_keep_a_quiet_connection_alive(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Echo", lambda payload, _: payload, inline=True)
            await trio.sleep(3600)
            assert await pair.client.call("Echo", b"still here") == b"still here"

    run(main, autojump=True)


def test_a_peer_that_asks_and_never_reads_is_cut(open_pair: Opener, run: Run) -> None:
    """Its answers may pile up to max_queued_bytes; memory comes before its calls."""

    async def main() -> None:
        options = Options(max_queued_bytes=1_000_000, write_timeout=None)
        async with open_pair(server=options) as pair:
            pair.server_methods.handle("Big", lambda _, __: b"x" * 300_000, inline=True)
            stuck = trio.Event()
            pair.server_stream.send_stream.send_all_hook = stuck.wait
            errors: list[CallLost] = []

            async def call() -> None:
                errors.append(await lose(lambda: pair.client.call("Big", b"")))

            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                assert pair.server.ended
                assert pair.server.error is not None
                assert "doesn't read" in str(pair.server.error.__cause__)
                stuck.set()
                pair.client.close()  # what the stuck stream swallowed, its end too, never came
            assert len(errors) == 10

    run(main)


def test_a_peer_that_takes_nothing_is_given_up_after_write_timeout(
    open_pair: Opener, run: Run
) -> None:
    async def main() -> None:
        quiet: dict[str, Any] = {"ping_interval": None, "ping_timeout": None}
        async with open_pair(client=Options(write_timeout=10, **quiet)) as pair:
            pair.server_methods.handle("Never", never)
            stuck = trio.Event()
            pair.client_stream.send_stream.send_all_hook = stuck.wait
            begun = trio.current_time()
            error = await lose(lambda: pair.client.call("Never", b"x" * 1000))
            assert trio.current_time() - begun == pytest.approx(10, abs=0.1)
            assert "took nothing" in str(error)
            stuck.set()

    run(main, autojump=True)


def test_garbage_between_calls_is_survived(open_pair: Opener, run: Run) -> None:
    """No envelope, an empty one, an answer nobody asked for: dropped, and the rest goes on."""

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Echo", lambda payload, _: payload, inline=True)
            connection = pair.client._session._connection
            for rubbish in (b"\xff\xff\xff", b"", "text"):
                connection.send(rubbish)
            pair.client._session.reply("12345678-1234-4234-8234-123456789012", b"unasked")
            assert await pair.client.call("Echo", b"x") == b"x"
            assert pair.server._session.dropped == 3
            assert pair.server._session.table.unknown == 1

    run(main)


def test_an_answer_given_twice_counts_once(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair:

            async def twice(payload: bytes, peer: Peer) -> bytes:
                call_id = next(iter(pair.client._session.table.calls())).call_id
                pair.server._session.reply(call_id, b"first")
                return b"second"

            pair.server_methods.handle("Twice", twice)
            assert await pair.client.call("Twice", b"") == b"first"
            pair.server_methods.handle("Echo", lambda payload, _: payload, inline=True)
            assert await pair.client.call("Echo", b"x") == b"x"
            assert pair.client._session.table.duplicate == 1

    run(main)


def test_a_cancelled_call_is_forgotten_wherever_it_is_cancelled(
    open_pair: Opener, run: Run
) -> None:
    """Cancelled after each possible number of loop passes: it answers or leaves no trace."""

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Later", later)
            outcomes = set()
            for passes in range(12):
                outcome = "cancelled"
                with trio.CancelScope() as scope:

                    async def cancel_after(passes: int = passes, scope: Any = scope) -> None:
                        for _ in range(passes):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()

                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(cancel_after)
                        assert await pair.client.call("Later", b"ab") == b"ab"
                        outcome = "answered"
                        nursery.cancel_scope.cancel()
                outcomes.add(outcome)
                await trio.testing.wait_all_tasks_blocked()
                assert pair.client._session.pending_calls == 0
            assert await pair.client.call("Later", b"x") == b"x"
            assert "cancelled" in outcomes

    async def later(payload: bytes, peer: Peer) -> bytes:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        return payload

    run(main)


def test_a_flood_of_requests_starves_nobody(open_pair: Opener, run: Run) -> None:
    """A peer that asks without end: other tasks run, and cancellation is heard."""

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Echo", lambda payload, _: payload, inline=True)
            turns = 0

            async def flood() -> None:
                while True:
                    await pair.client.call("Echo", b"x")

            async def count() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await trio.lowlevel.checkpoint()

            with trio.move_on_after(0.5) as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(count)
                    for _ in range(50):
                        nursery.start_soon(flood)
            assert scope.cancelled_caught
            assert turns > 10

    run(main)


def test_errors_from_a_lost_connection_tell_their_side(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Never", never)
            async with trio.open_nursery() as nursery:

                async def call() -> None:
                    error = await lose(lambda: pair.client.call("Never", b""))
                    assert "maybe_executed" in str(error)
                    assert not isinstance(error, RpcError)

                nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                await pair.server_stream.aclose()

    run(main)


def test_the_peers_reason_for_closing_is_told(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair(server=Options(max_message_size=100)) as pair:
            pair.server_methods.handle("Never", never)
            error = await lose(lambda: pair.client.call("Never", b"x" * 1000))
            assert "1009" in str(error)
            assert pair.client.error.code == 1009
            assert isinstance(pair.server.error.__cause__, RemoteLimitExceeded)

    run(main)


def test_not_connected_is_a_lost_call(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.client.close()
            error = await lose(lambda: pair.client.call("Never", b""))
            assert isinstance(error, NotConnected)

    run(main)


def test_a_peers_words_forge_no_line_in_a_log(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Never", never)

            async def call() -> None:
                error = await lose(lambda: pair.client.call("Never", b""))
                assert "bye\\r\\nCRITICAL \\x1b[31m" in str(error)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                pair.server._session._connection.close(1000, "bye\r\nCRITICAL \x1b[31m")
                pair.server._pump.push()
            assert pair.client.error.reason == "bye\r\nCRITICAL \x1b[31m"

    run(main)


def test_a_peer_that_closes_and_reads_nothing_keeps_no_call(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair(client=Options(write_timeout=None)) as pair:
            pair.server_methods.handle("Never", never)
            stuck = trio.Event()
            pair.client_stream.send_stream.send_all_hook = stuck.wait
            begun = trio.current_time()

            async def call() -> None:
                await lose(lambda: pair.client.call("Never", b"x" * 1000))
                assert trio.current_time() == begun

            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                pair.server._session.close(1000)
                pair.server._pump.push()
            stuck.set()

    run(main, autojump=True)


def test_while_draining_new_requests_are_refused_and_running_ones_finish(
    open_pair: Opener, run: Run
) -> None:
    async def main() -> None:
        release = trio.Event()

        async def work(payload: bytes, peer: Peer) -> bytes:
            await release.wait()
            return b"done"

        async with open_pair() as pair:
            pair.server_methods.handle("Work", work)
            answers: list[bytes] = []

            async def call() -> None:
                answers.append(await pair.client.call("Work", b""))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await trio.testing.wait_all_tasks_blocked()
                pair.server.stop_handling()
                with pytest.raises(Overloaded, match="stopping"):
                    await pair.client.call("Work", b"")
                release.set()
            assert answers == [b"done"]

    run(main)


def test_an_answer_over_our_own_bound_is_told_as_that(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair(client=Options(max_message_size=100)) as pair:
            pair.server_methods.handle("Large", lambda _, __: bytes(1000), inline=True)
            error = await lose(lambda: pair.client.call("Large", b""))
            says = "bytes or more came, over this side's Options.max_message_size of 100"
            assert re.search(rf"a message of \d{{4}} {re.escape(says)}", str(error))
            assert says in str(pair.client.error)
            assert isinstance(pair.client.error.__cause__, RemoteLimitExceeded)

    run(main)
