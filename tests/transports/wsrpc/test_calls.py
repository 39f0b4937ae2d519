"""Calls over one connection, in both directions: answers, errors, deadlines, nesting."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

from wirecore.errors import (
    CallTimeout,
    InvalidMessage,
    LocalLimitExceeded,
    Overloaded,
    RpcError,
    UnknownMethod,
)
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc import Options, Peer
from wirecore_trio.wsrpc.ping import GnipRequest, GnipResponse, PingRequest, PingResponse

Opener = Callable[..., Any]
Run = Callable[..., Any]


def reverse(payload: bytes, peer: Peer) -> bytes:
    return payload[::-1]


async def reverse_later(payload: bytes, peer: Peer) -> bytes:
    await trio.lowlevel.checkpoint()
    return payload[::-1]


@pytest.mark.parametrize(
    ("handler", "inline"),
    [(reverse, True), (reverse, False), (reverse_later, False)],
    ids=["inline", "thread", "task"],
)
def test_both_ends_call_and_are_called(
    open_pair: Opener, run: Run, handler: Callable[[bytes, Peer], Any], inline: bool
) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Reverse", handler, inline=inline)
            pair.client_methods.handle("Reverse", handler, inline=inline)
            assert await pair.client.call("Reverse", b"abc") == b"cba"
            assert await pair.server.call("Reverse", b"xyz") == b"zyx"
            assert await pair.client.call("Reverse", b"") == b""

    run(main)


def test_many_calls_at_once_each_get_their_own_answer(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Reverse", reverse, inline=True)
            pair.client_methods.handle("Reverse", reverse_later)
            answered = 0

            async def call(caller: Peer, number: int) -> None:
                nonlocal answered
                payload = b"%d" % number
                assert await caller.call("Reverse", payload) == payload[::-1]
                answered += 1

            async with trio.open_nursery() as nursery:
                for number in range(500):
                    nursery.start_soon(call, pair.client, number)
                    nursery.start_soon(call, pair.server, number)
            assert answered == 1000

    run(main)


def test_typed_messages_and_the_peers_key_in_the_handler(open_pair: Opener, run: Run) -> None:
    async def ping(request: PingRequest, peer: Peer) -> PingResponse:
        return PingResponse(body=f"{request.body} {peer.public_key[:1].decode()}")

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Ping", ping, request=PingRequest, response=PingResponse)
            reply = await pair.client.invoke("Ping", PingRequest(body="hi"), PingResponse)
            assert reply == PingResponse(body="hi C")

    run(main)


def test_a_handler_may_call_back_to_any_depth_below_the_limit(open_pair: Opener, run: Run) -> None:
    async def down(payload: bytes, peer: Peer) -> bytes:
        depth = int(payload)
        return b"bottom" if depth == 0 else await peer.call("Down", b"%d" % (depth - 1))

    async def main() -> None:
        options = Options(max_handlers=20)
        async with open_pair(client=options, server=options) as pair:
            pair.client_methods.handle("Down", down)
            pair.server_methods.handle("Down", down)
            # A depth of 38 needs 20 handlers on the server and 19 on the client.
            assert await pair.client.call("Down", b"38") == b"bottom"
            # Beyond it the 21st is refused, and each handler on the way passes that on.
            with pytest.raises(Overloaded, match="max_handlers is 20"):
                await pair.client.call("Down", b"50")
            assert await pair.client.call("Down", b"3") == b"bottom"

    run(main)


def test_over_the_bound_on_bytes_a_request_is_refused_at_once(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        release = trio.Event()

        async def hold(payload: bytes, peer: Peer) -> bytes:
            await release.wait()
            return b"held"

        async with open_pair(server=Options(max_handler_bytes=100)) as pair:
            pair.server_methods.handle("Hold", hold)
            results: list[bytes] = []

            async def call(payload: bytes) -> None:
                results.append(await pair.client.call("Hold", payload))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, b"x" * 90)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(Overloaded, match="max_handler_bytes is 100"):
                    await pair.client.call("Hold", b"x" * 90)
                release.set()
            assert results == [b"held"]
            # One request alone may be larger: else it could never be handled.
            assert await pair.client.call("Hold", b"x" * 200) == b"held"

    run(main)


def test_an_unknown_method_is_an_error_for_its_caller_alone(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Reverse", reverse, inline=True)
            with pytest.raises(UnknownMethod, match="unknown method: Nope"):
                await pair.client.call("Nope", b"")
            with pytest.raises(UnknownMethod):
                await pair.client.call("N" * 10_000, b"")
            assert await pair.client.call("Reverse", b"ab") == b"ba"

    run(main)


def test_what_a_handler_raises_on_purpose_reaches_the_caller(open_pair: Opener, run: Run) -> None:
    def refuse(payload: bytes, peer: Peer) -> bytes:
        raise RpcError("not today")

    def say_nothing(payload: bytes, peer: Peer) -> bytes:
        raise RpcError("")

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Refuse", refuse)
            pair.server_methods.handle("RefuseInline", refuse, inline=True)
            pair.server_methods.handle("SayNothing", say_nothing)
            for name in ("Refuse", "RefuseInline"):
                with pytest.raises(RpcError) as caught:
                    await pair.client.call(name, b"")
                assert caught.value.text == "not today"
            with pytest.raises(RpcError):  # an empty text would mean success
                await pair.client.call("SayNothing", b"")

    run(main)


@pytest.mark.parametrize("inline", [True, False])
def test_anything_else_a_handler_raises_stays_here(
    open_pair: Opener, run: Run, inline: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(payload: bytes, peer: Peer) -> bytes:
        raise KeyError("the password is hunter2")

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Fail", fail, inline=inline)
            with pytest.raises(RpcError, match=r"^internal error [0-9a-f-]{36}$") as caught:
                await pair.client.call("Fail", b"")
            number = caught.value.text.split()[-1]
            assert number in caplog.text, "the log has what the peer was told"

    with caplog.at_level(logging.ERROR):
        run(main)


def test_a_handler_that_returns_the_wrong_type_is_an_internal_error(
    open_pair: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def text(payload: bytes, peer: Peer) -> Any:
        return "not bytes"

    def wrong_message(request: PingRequest, peer: Peer) -> Any:
        return GnipResponse(body="not a PingResponse")

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Text", text)
            pair.server_methods.handle(
                "Ping", wrong_message, request=PingRequest, response=PingResponse
            )
            for name in ("Text", "Ping"):
                with pytest.raises(RpcError, match="internal error"):
                    await pair.client.call(name, b"")
            assert "must return bytes, not str" in caplog.text
            assert "must return PingResponse, not GnipResponse" in caplog.text

    run(main)


def test_payloads_that_cannot_be_decoded_are_errors_of_that_call(
    open_pair: Opener, run: Run
) -> None:
    def ping(request: PingRequest, peer: Peer) -> PingResponse:
        return PingResponse(body=request.body)

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Ping", ping, request=PingRequest, response=PingResponse)
            pair.server_methods.handle("Garbage", lambda _, __: b"\xff\xff", inline=True)
            with pytest.raises(RpcError, match="can't be decoded"):
                await pair.client.call("Ping", b"\xff\xff")
            with pytest.raises(InvalidMessage, match="PingResponse"):
                await pair.client.invoke("Garbage", GnipRequest(), PingResponse)
            assert await pair.client.invoke("Ping", PingRequest(body="x"), PingResponse)

    run(main)


def test_a_deadline_ends_the_wait_and_a_late_answer_is_dropped(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        release = trio.Event()

        async def slow(payload: bytes, peer: Peer) -> bytes:
            await release.wait()
            return payload

        async with open_pair() as pair:
            pair.server_methods.handle("Slow", slow)
            with pytest.raises(trio.TooSlowError):
                with trio.fail_after(1):
                    await pair.client.call("Slow", b"late")
            release.set()
            assert await pair.client.call("Slow", b"in time") == b"in time"
            assert pair.client._session.table.late == 1
            assert pair.client._session.pending_calls == 0

    run(main, autojump=True)


def test_call_timeout_is_our_own_error_and_keeps_the_connection(
    open_pair: Opener, run: Run
) -> None:
    async def main() -> None:
        async with open_pair(client=Options(call_timeout=5)) as pair:
            pair.server_methods.handle("Never", never)
            pair.server_methods.handle("Reverse", reverse, inline=True)
            begun = trio.current_time()
            with pytest.raises(CallTimeout, match="call_timeout, 5 s"):
                await pair.client.call("Never", b"")
            assert trio.current_time() - begun == pytest.approx(5, abs=0.01)
            assert await pair.client.call("Reverse", b"ab") == b"ba"

    run(main, autojump=True)


async def never(payload: bytes, peer: Peer) -> bytes:
    await trio.sleep_forever()
    raise AssertionError


def test_a_handler_that_takes_too_long_is_cancelled_and_says_so(
    open_pair: Opener, run: Run
) -> None:
    async def main() -> None:
        async with open_pair(server=Options(handler_timeout=3)) as pair:
            pair.server_methods.handle("Never", never)
            begun = trio.current_time()
            with pytest.raises(
                RpcError, match="the handler of Never took longer than handler_timeout, 3 s"
            ):
                await pair.client.call("Never", b"")
            assert trio.current_time() - begun == pytest.approx(3, abs=0.01)

    run(main, autojump=True)


def test_handlers_in_threads_do_not_hold_up_the_loop(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        begun, release = threading.Event(), threading.Event()

        def block(payload: bytes, peer: Peer) -> bytes:
            begun.set()
            release.wait(10)
            return b"unblocked"

        async with open_pair() as pair:
            pair.server_methods.handle("Block", block)
            pair.server_methods.handle("Reverse", reverse, inline=True)
            results: list[bytes] = []

            async def call() -> None:
                results.append(await pair.client.call("Block", b""))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await trio.to_thread.run_sync(begun.wait, 10)
                assert await pair.client.call("Reverse", b"ab") == b"ba"
                release.set()
            assert results == [b"unblocked"]

    run(main)


def test_an_inline_handlers_contextvars_are_its_own(open_pair: Opener, run: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("inline", default="unset")

    def remember(payload: bytes, peer: Peer) -> bytes:
        before = variable.get()
        variable.set(payload.decode())
        return before.encode()

    async def look(payload: bytes, peer: Peer) -> bytes:
        return variable.get().encode()

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Remember", remember, inline=True)
            pair.server_methods.handle("Look", look)
            for _ in range(3):
                assert await pair.client.call("Remember", b"secret") == b"unset"
            assert await pair.client.call("Look", b"") == b"unset"

    run(main)


def test_call_timeout_holds_while_a_call_waits_to_be_sent(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        options = Options(call_timeout=2, high_water=10, write_timeout=None, ping_timeout=None)
        async with open_pair(client=options) as pair:
            stuck = trio.Event()
            pair.client_stream.send_stream.send_all_hook = stuck.wait
            begun = trio.current_time()
            late = 0

            async def call() -> None:
                nonlocal late
                with pytest.raises(CallTimeout, match="call_timeout, 2 s"):
                    await pair.client.call("Reverse", b"x" * 100)
                late += 1

            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(call)
            assert late == 10
            assert trio.current_time() - begun == pytest.approx(2, abs=0.01)
            stuck.set()

    run(main, autojump=True)


def test_one_requests_contextvars_are_not_the_next_ones(open_pair: Opener, run: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def remember(payload: bytes, peer: Peer) -> bytes:
        before = variable.get()
        variable.set(payload.decode())
        await trio.lowlevel.checkpoint()
        return before.encode()

    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Remember", remember)
            for number in range(5):
                assert await pair.client.call("Remember", b"%d" % number) == b"unset"

    run(main)


def test_too_large_a_call_fails_here_and_too_large_a_reply_there(
    open_pair: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            pair.server_methods.handle("Big", lambda _, __: b"x" * 100_000_001, inline=True)
            pair.server_methods.handle("Reverse", reverse, inline=True)
            with pytest.raises(LocalLimitExceeded, match="max_send_size is 10000000"):
                await pair.client.call("Reverse", b"x" * 10_000_001)
            with pytest.raises(RpcError, match="the reply is too large"):
                await pair.client.call("Big", b"")
            assert await pair.client.call("Reverse", b"ab") == b"ba"

    run(main)


def test_too_many_pending_calls_are_the_callers_own_error(open_pair: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_pair(client=Options(max_pending_calls=2)) as pair:
            pair.server_methods.handle("Never", never)
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(pair.client.call, "Never", b"")
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(LocalLimitExceeded, match="max_pending_calls is 2"):
                    await pair.client.call("Never", b"")
                nursery.cancel_scope.cancel()

    run(main)


def test_a_method_needs_a_name_of_its_own_and_a_fitting_function(
    open_pair: Opener, run: Run
) -> None:
    async def main() -> None:
        async with open_pair() as pair:
            methods = pair.server_methods
            methods.handle("Reverse", reverse)
            for arguments, match in (
                (("Reverse", reverse), "served already"),
                (("", reverse), "needs a name"),
            ):
                with pytest.raises(ValueError, match=match):
                    methods.handle(*arguments)
            with pytest.raises(ValueError, match="inline is for plain functions"):
                methods.handle("Later", reverse_later, inline=True)
            with pytest.raises(ValueError, match="is no service"):
                methods.register(object())

    run(main)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_handlers", 0),
        ("max_message_size", 0),
        ("call_timeout", 0),
        ("handler_timeout", -1),
        ("high_water", 0),
    ],
)
def test_options_out_of_bounds_name_the_option(option: str, value: int) -> None:
    arguments: dict[str, Any] = {option: value}
    with pytest.raises(ValueError, match=option):
        wsrpc.Options(**arguments)
